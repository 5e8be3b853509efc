"""The commands of chatctl about the tokens that Webmail was given for its users (docs/webmail.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from chatd.core.jid import JID, InvalidJID
from chatd.interfaces import ITokens, IWebmailStore
from chatd.server.control import CommandError, Commands

__all__ = ["TokenCommands"]


@attrs.frozen
class TokenCommands:
    """`token list|revoke`. tokens, store: see there. now: seconds since 1970."""

    tokens: ITokens
    store: IWebmailStore
    now: Callable[[], float]

    def register(self, commands: Commands) -> None:
        """Offer them."""
        commands.register("token list", self.list_all, "tokens of Webmail that are good now")
        commands.register("token revoke", self.revoke, "end tokens of Webmail and the sessions opened with them")

    async def list_all(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """List them, of the account `jid` or of all; nobody can log in with what is told of them."""
        jid = None if arguments.get("jid") is None else _jid(arguments["jid"])
        rows = await self.store.list(int(self.now() * 1000))
        return [{"jid": f"{row.local}@{row.domain}", "webmail": row.webmail, "token": row.hash.hex()[:12],
                 "created": row.created_ms / 1000, "expires": row.expires_ms / 1000}
                for row in rows if jid is None or (row.local, row.domain) == (jid.local, jid.domain)]

    async def revoke(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Revoke those of the account `jid`, of `webmail`, or of both together."""
        jid = None if arguments.get("jid") is None else _jid(arguments["jid"])
        webmail = arguments.get("webmail")
        if jid is None and not (isinstance(webmail, str) and webmail):
            raise CommandError("bad-request", "Whose tokens? Give jid, webmail or both.")
        tokens, sessions = await self.tokens.revoke(webmail=webmail, jid=jid)
        return {"tokens": tokens, "sessions_ended": sessions}


def _jid(text: Any) -> JID:
    try:
        jid = JID.parse(str(text))
    except InvalidJID as error:
        raise CommandError("jid-malformed", f"{text!r} is not an address: {error}.") from None
    if not jid.local or jid.resource:
        raise CommandError("jid-malformed", f"{text!r} is not an account's address, such as john@example.com.")
    return jid
