"""Messages of the day and welcome messages, as XEP-0133 4.21 to 4.25 has them: what all accounts of a domain are told.

A message of the day is told each account once: at once to whoever is online, to others when they come. A client with a
negative priority gets none (RFC 6121 4.7.2.3); who has no other is told when he does. It stands until it is taken back;
a corrected one is not told again. A welcome message waits for each new account, not for those that were taken over from
another server (event account.imported).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core.errors import StanzaError
from chatd.core.notices import MOTD, TEXT_MOST, WELCOME, Notice
from chatd.core.stanza import Stanza, text
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Module

__all__ = ["Notices"]

log = Logger()

_SAYS = {MOTD: "message of the day", WELCOME: "welcome message"}


class Notices(Module):
    """Messages (RFC 6121 5) of a domain to all its accounts; administrators' clients change them as chatctl does."""

    name = "notices"
    needs = ("message",)

    def start(self, api: Api) -> None:
        """Reads what there is, and waits for people to come."""
        super().start(api)
        self._there: dict[tuple[str, str], Notice] = {}
        self._imported: set[str] = set()
        api.on("presence.available", self._came)
        api.on("account.imported", self._imported.add)
        api.on("account.created", self._created)
        for kind, says in _SAYS.items():
            api.command(f"{kind} show", self._showing(kind), f"the {says} of a domain")
            api.command(f"{kind} set", self._setting(kind), f"set the {says} of a domain")
            api.command(f"{kind} delete", self._deleting(kind), f"take the {says} of a domain back")
        api.command(f"{MOTD} edit", self._edit, "correct the message of the day; nobody is told again")
        api.store.notices.all().addCallbacks(self._read, lambda failure: log.failure(
            "messages of the day could not be read", failure=failure))

    def _read(self, found: list[Notice]) -> None:
        for notice in found:
            self._there.setdefault((notice.domain, notice.kind), notice)

    # -- telling
    def _came(self, session: ISession) -> None:
        notice = self._there.get((session.account.jid.domain, MOTD))
        if notice is not None:
            self._tell(session.account, notice)

    def _tell(self, account: IAccount, notice: Notice) -> None:
        if account.state.get("notices", -1) >= notice.stamp_ms:
            return
        account.state["notices"] = notice.stamp_ms
        Deferred.fromCoroutine(self._tell_once(account, notice)).addErrback(
            lambda failure: log.failure("{jid} is not told the message of the day", failure=failure, jid=account.bare))

    async def _tell_once(self, account: IAccount, notice: Notice) -> None:
        notices = self.api.store.notices
        if not await notices.told(account.id, notice.stamp_ms):
            return
        if _is_reached(account):
            self.api.send(_message(notice, account.bare, "headline"))
        else:           # gone again meanwhile
            account.state.pop("notices", None)
            await notices.not_told(account.id, notice.stamp_ms)

    def _created(self, bare: str) -> None:
        notice = self._there.get((bare.rpartition("@")[2], WELCOME))
        if bare in self._imported:
            self._imported.discard(bare)
        elif notice is not None:
            self.api.send(_message(notice, bare, "normal"))

    # -- chatctl
    def _domain(self, arguments: Mapping[str, Any]) -> str:
        domain, served = arguments.get("domain"), self.api.router.domains
        if domain is None and len(served) == 1:
            return str(next(iter(served)))
        if domain not in served:
            raise StanzaError("item-not-found", text=f"Which domain? There are {', '.join(sorted(served))}.")
        return str(domain)

    def _standing(self, arguments: Mapping[str, Any], kind: str) -> Notice:
        domain = self._domain(arguments)
        notice = self._there.get((domain, kind))
        if notice is None:
            raise StanzaError("item-not-found", text=f"{domain} has no {_SAYS[kind]}.")
        return notice

    def _showing(self, kind: str) -> Any:
        return lambda arguments: {"text": self._standing(arguments, kind).text}

    def _setting(self, kind: str) -> Any:
        async def set_(arguments: Mapping[str, Any]) -> dict[str, Any]:
            stamp_ms = int(self.api.now() * 1000)
            notice = Notice(self._domain(arguments), kind, _said(arguments), stamp_ms)
            await self._keep(notice)
            if kind == MOTD:
                for account in list(self.api.router.accounts.online()):
                    if account.jid.domain == notice.domain and _is_reached(account):
                        self._tell(account, notice)
            return {"domain": notice.domain}

        return lambda arguments: Deferred.fromCoroutine(set_(arguments))

    def _edit(self, arguments: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        async def edit() -> dict[str, Any]:
            notice = attrs.evolve(self._standing(arguments, MOTD), text=_said(arguments))
            await self._keep(notice)
            return {"domain": notice.domain}

        return Deferred.fromCoroutine(edit())

    async def _keep(self, notice: Notice) -> None:
        await self.api.store.notices.set(notice)
        self._there[notice.domain, notice.kind] = notice

    def _deleting(self, kind: str) -> Any:
        async def delete(arguments: Mapping[str, Any]) -> dict[str, Any]:
            notice = self._standing(arguments, kind)
            await self.api.store.notices.delete(notice.domain, kind)
            self._there.pop((notice.domain, kind), None)
            return {"domain": notice.domain}

        return lambda arguments: Deferred.fromCoroutine(delete(arguments))


def _is_reached(account: IAccount) -> bool:
    """Has it a client that gets messages to its bare address?"""
    return any(session.priority >= 0 for session in account.available())


def _said(arguments: Mapping[str, Any]) -> str:
    said = arguments.get("text")
    if not isinstance(said, str) or not said.strip():
        raise StanzaError("bad-request", text="What is to be told?")
    if len(said) > TEXT_MOST:
        raise StanzaError("not-acceptable", text=f"It may have {TEXT_MOST} characters.")
    return said


def _message(notice: Notice, to: str, kind: str) -> Stanza:
    subject = "Welcome" if notice.kind == WELCOME else "Message of the day"
    body = f"<subject>{subject}</subject><body>{text(notice.text)}</body>".encode()
    attributes = {"from": notice.domain, "to": to, "type": kind}
    return Stanza("message", attributes, body, ("jabber:client subject", "jabber:client body"))
