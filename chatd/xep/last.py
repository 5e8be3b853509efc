"""Last Activity, XEP-0012: when an account was last seen, how long the server has been up.

An account's is told to itself and to those who may see its presence; others get forbidden (section 3), also
where they ask one of its resources, whose client would otherwise tell them that it is there (section 8).
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import text
from chatd.interfaces import ISession
from chatd.xep.api import Api, Module, Request

__all__ = ["Last"]

_log = Logger()


class Last(Module):
    """XEP-0012: seconds since somebody was seen."""

    name = "last"
    xep = "0012"
    version = "2.0"
    features = (ns.LAST,)
    account_features = (ns.LAST,)

    def start(self, api: Api) -> None:
        """Answers for domains and accounts, and notes when the last session of an account ends."""
        super().start(api)
        self._started = api.clock.seconds()
        payload = f"{ns.LAST} query"
        api.iq("get", payload, self._uptime, "domain")
        api.iq("get", payload, self._account, own=False)
        api.iq("get", payload, self._resource, "resource", own=False)
        api.on("session.closed", self._closed)

    def _uptime(self, request: Request) -> bytes:
        return _query(self.api.clock.seconds() - self._started)

    def _resource(self, request: Request) -> None:
        """Passes what the client itself may answer."""
        _refuse(request)

    def _account(self, request: Request) -> Any:
        _refuse(request)
        account: Any = request.account
        if account.sessions:
            return _query(0)
        return self.api.store.last.get(account.id).addCallback(self._found)

    def _found(self, found: tuple[int, str] | None) -> bytes:
        if found is None:
            raise StanzaError("item-not-found", text="It has not been seen yet.")
        stamp_ms, status = found
        return _query(self.api.now() - stamp_ms / 1000, status)

    def _closed(self, session: ISession) -> None:
        account = session.account
        if all(other is session for other in account.sessions.values()):
            self.api.store.last.set(account.id, int(self.api.now() * 1000), "")


def _refuse(request: Request) -> None:
    """Raises forbidden for whoever may not see the account's presence."""
    item = None if request.account is None else request.account.roster.get(request.from_.bare)
    if not request.is_own and (item is None or not item.may_see_us):
        raise StanzaError("forbidden")


def _query(seconds: float, status: str = "") -> bytes:
    start = f'<query xmlns="{ns.LAST}" seconds="{max(0, int(seconds))}"'
    return (f"{start}>{text(status)}</query>" if status else f"{start}/>").encode()
