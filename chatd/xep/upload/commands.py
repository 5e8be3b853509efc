"""`chatctl upload ...`: what files take, whose they are, and how one goes before its time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import maybeDeferred

from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.uploads import is_token, served_type
from chatd.xep.upload.files import Files

if TYPE_CHECKING:
    from chatd.xep.api import Api

__all__ = ["UploadCommands"]

_ADDRESS: Final = re.compile(r"(?:.*/upload/)?([A-Za-z0-9_-]{32})(?:/.*)?", re.ASCII)


@attrs.frozen
class UploadCommands:
    """files: those of all domains."""

    files: Files
    api: Api

    def register(self) -> None:
        """Offers them all."""
        self.api.command("upload usage", self.usage, "what files take, by account")
        self.api.command("upload list", self.list, "the files of an account")
        self.api.command("upload delete", self.delete, "delete one file by its address, or all of an account")

    async def usage(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All accounts that have files, the largest first, or `jid` alone."""
        if arguments.get("jid"):
            account = await self._account(arguments)
            usage = await self.api.store.uploads.usage(account.id, self.files.now_ms)
            return [{"jid": account.bare, "files": usage.files, "bytes": usage.bytes}]
        return [{"jid": jid, "files": usage.files, "bytes": usage.bytes}
                for jid, usage in await self.api.store.uploads.users()]

    async def list(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those of `jid`, oldest first; addresses are for whoever was sent them and not shown."""
        account = await self._account(arguments)
        return [{"file": row.token, "sent": row.stored_ms / 1000, "bytes": row.bytes, "type": served_type(row),
                 "expires": row.expires_ms / 1000 if row.expires_ms else None, "name": row.name}
                for row in await self.api.store.uploads.of(account.id) if row.stored_ms]

    async def delete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The one of `file`, an address or what `list` calls it, or all of `jid`."""
        store = self.api.store.uploads
        if arguments.get("jid"):
            rows = await store.of((await self._account(arguments)).id)
        else:
            match = _ADDRESS.fullmatch(str(arguments.get("file", "")))
            row = await store.get(match[1]) if match is not None and is_token(match[1]) else None
            if row is None:
                raise StanzaError("item-not-found", text="There is no such file.")
            rows = [row]
        return {"files": await self.files.delete(rows), "bytes": sum(row.bytes for row in rows if row.stored_ms)}

    async def _account(self, arguments: Mapping[str, Any]) -> Any:
        try:
            jid = JID.parse(str(arguments.get("jid", "")))
        except InvalidJID as error:
            raise StanzaError("jid-malformed", text=f"That is no address: {error}.") from None
        is_ours = jid.local and jid.domain in self.api.router.domains
        account = await maybeDeferred(self.api.router.accounts.load, JID.of(jid.local, jid.domain)) if is_ours else None
        if account is None:
            raise StanzaError("item-not-found", text=f"There is no account {jid.bare}.")
        return account
