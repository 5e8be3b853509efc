"""`announce` and `shutdown`: commands of chatctl, and of administrators with an XMPP client (XEP-0133)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from chatd.core.stanza import Stanza, text
from chatd.server.control import CommandError, Commands, text_argument

__all__ = ["ServerCommands"]

log = Logger()

DELAY_MOST_S: Final = 86400
TEXT_MOST: Final = 8192


@attrs.define
class ServerCommands:
    """router: whose people are told. reactor: is stopped."""

    router: Any
    reactor: Any
    _ending: IDelayedCall | None = None

    def register(self, commands: Commands) -> None:
        """Offer both."""
        commands.register("announce", self.announce, "tell everybody who is online something, of one domain or of all")
        commands.register("shutdown", self.shutdown, "end the daemon in good order, after `delay_s` seconds")

    def announce(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        """Send `text` as a headline to all who are online, in `domain` only if there is one."""
        said, domain = text_argument(arguments, "text"), arguments.get("domain")
        if domain is not None and domain not in self.router.domains:
            raise CommandError("item-not-found", f"{domain!r} is not among this server's domains.")
        if len(said) > TEXT_MOST:
            raise CommandError("not-acceptable", f"An announcement has at most {TEXT_MOST} characters.")
        body = f"<subject>Announcement</subject><body>{text(said)}</body>".encode()
        told = 0
        for account in list(self.router.accounts.online()):
            if domain not in (None, account.jid.domain) or not account.available():
                continue
            told += 1
            self.router.route(Stanza(
                "message", {"from": account.jid.domain, "to": account.bare, "type": "headline"}, body,
                ("jabber:client subject", "jabber:client body")))
        return {"accounts": told}

    def shutdown(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        """Stop the daemon after `delay_s`, telling everybody `text` now if there is one. Of several the last counts."""
        delay_s = arguments.get("delay_s", 0)
        if isinstance(delay_s, bool) or not isinstance(delay_s, int) or not 0 <= delay_s <= DELAY_MOST_S:
            raise CommandError("not-acceptable", f"A delay is 0 to {DELAY_MOST_S} seconds.")
        if arguments.get("text"):
            self.announce({"text": arguments["text"]})
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        log.warn("The daemon was told to end in {delay_s} s", delay_s=delay_s)
        # Not before the answer is on its way.
        self._ending = self.reactor.callLater(max(delay_s, 0.5), self.reactor.stop)
        return {"delay_s": delay_s}
