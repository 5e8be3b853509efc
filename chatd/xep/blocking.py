"""Blocking Command, XEP-0191: an account hears nothing of those it blocks, and tells them nothing.

The list is part of the account in memory (`account.blocked`); incoming iqs and presence are held back where
they arrive, in the router and in `presence`.  Here are the list itself, messages, and what leaves.
An entry is a full address, a bare one, a domain with a resource, or a domain (section 5).
Subscriptions are left alone: "polite blocking" (section 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.blocking import blocks
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import Stanza, attribute
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Message, Module, Option, Request

__all__ = ["Blocking"]


class Blocking(Module):
    """XEP-0191: list, block, unblock, and what follows from it."""

    name = "blocking"
    xep = "0191"
    version = "1.3"
    features = (ns.BLOCKING,)
    needs = ("presence",)
    options = (
        Option("entries", int, 1000, "How many addresses one account may block.", 1, 100_000),
    )

    def start(self, api: Api) -> None:
        """Answers the commands; its message hooks come before those that keep or deliver."""
        super().start(api)
        self._pushes = 0
        api.iq("get", f"{ns.BLOCKING} blocklist", self._list)
        api.iq("set", f"{ns.BLOCKING} block", self._block)
        api.iq("set", f"{ns.BLOCKING} unblock", self._unblock)
        api.on("message.sent", self._sent, priority=100)
        api.on("message.received", self._received, priority=100)
        api.on("presence.out", self._out, priority=100)
        api.on("iq.out", self._out, priority=100)

    # -- what is held back
    def _sent(self, message: Message) -> None:
        account: Any = message.account
        if account.blocked:
            self._out(account, message.to)

    def _out(self, account: IAccount, to: JID) -> None:
        """Section 3.3: nothing leaves for a blocked address; one's own and one's server never are."""
        if account.blocked and blocks(account.blocked, to) and not _is_near(account, to):
            blocked = domish.Element((ns.BLOCKING_ERRORS, "blocked"))
            raise StanzaError("not-acceptable", type="cancel", appCondition=blocked,
                              text=f"You have blocked {to.bare}.")

    def _received(self, message: Message) -> None:
        account: Any = message.account
        if account.blocked and blocks(account.blocked, message.from_) and not _is_near(account, message.from_):
            raise StanzaError("service-unavailable")

    # -- the list
    def _list(self, request: Request) -> bytes:
        session, account = _asker(request)
        if session.state is None:
            session.state = {}
        session.state["blocking"] = True            # section 3.3: pushes go to those who asked for the list
        return _command("blocklist", sorted(account.blocked))

    @inlineCallbacks
    def _block(self, request: Request) -> Any:
        _, account = _asker(request)
        jids = _items(request.child)
        if not jids:
            raise StanzaError("bad-request", text="There is no address to block.")
        if any(_is_near(account, jid) for jid in jids):
            raise StanzaError("not-allowed", text="Nobody blocks his own address or his server.")
        entries = [jid.full for jid in jids]
        new = frozenset(entries) - account.blocked
        if len(account.blocked) + len(new) > self.api.options["entries"]:
            raise StanzaError("resource-constraint", type="wait",
                              text=f"A block list holds {self.api.options['entries']} addresses.")
        if new:
            former = account.blocked
            # Before the block, which would hold them back too: who sees the account sees it leave.
            self._show(account, [jid for jid in jids if jid.full in new], former, available=False)
            account.blocked = former | new
            yield self.api.store.blocking.add(account.id, new)
        self._push(account, _command("block", entries))
        for jid, report in _reports(request.child):
            self.api.hooks.tell("blocking.reported", account, jid, report)
        return b""

    @inlineCallbacks
    def _unblock(self, request: Request) -> Any:
        _, account = _asker(request)
        jids = _items(request.child)
        entries = [jid.full for jid in jids]
        gone = account.blocked & frozenset(entries) if jids else account.blocked
        if gone:
            account.blocked = account.blocked - gone
            if jids:
                yield self.api.store.blocking.remove(account.id, gone)
            else:
                yield self.api.store.blocking.clear(account.id)
            self._show(account, [JID.parse(entry) for entry in sorted(gone)], account.blocked, available=True)
        self._push(account, _command("unblock", entries))
        return b""

    def _push(self, account: IAccount, inner: bytes) -> None:
        for session in list(account.sessions.values()):
            if session.state is not None and "blocking" in session.state:
                self._pushes += 1
                attrs = {"type": "set", "id": f"block-{self._pushes}", "from": account.bare, "to": session.full}
                session.deliver(Stanza("iq", attrs, inner, (f"{ns.BLOCKING} block",)))

    # -- presence
    def _show(self, account: IAccount, entries: Iterable[JID], blocked: frozenset[str], available: bool) -> None:
        """Sections 3.3, 3.4: those who may see the account see it go, or come back.

        entries: what is blocked, or no longer.  blocked: the list besides them.  Whoever is told that the account
        is back is also asked whether he is there himself: what he sent meanwhile was dropped.
        """
        seen: set[str] = set()
        for entry in entries:
            for to in self._covered(account, entry):
                if to.full in seen or blocks(blocked, to):
                    continue
                seen.add(to.full)
                for session in list(account.available()):
                    self._send_presence(session, to, available)
        if not available:
            self._hide_from_directed(account, entries, seen)
        else:
            for item in list(account.roster.values()):
                jid = JID.parse(item.jid)
                if item.shows_us and any(blocks(frozenset((entry.full,)), jid) for entry in entries):
                    self.api.send(Stanza("presence", {"type": "probe", "from": account.bare, "to": item.jid}))

    def _hide_from_directed(self, account: IAccount, entries: Iterable[JID], seen: set[str]) -> None:
        """Those that only directed presence went to (RFC 6121 4.6) see it go as well."""
        hidden = frozenset(entry.full for entry in entries)
        for session in list(account.sessions.values()):
            for address in list(session.directed or ()):
                to = JID.parse(address)
                if blocks(hidden, to):
                    session.directed.discard(address)
                    if to.bare not in seen and to.full not in seen:
                        self._send_presence(session, to, available=False)

    def _covered(self, account: IAccount, entry: JID) -> list[JID]:
        """Those that an entry is about and that the account's presence goes to."""
        if entry.local and entry.resource:
            return [entry] if entry.bare in account.subscribers else []
        alone = frozenset((entry.full,))
        return [jid for jid in map(JID.parse, account.subscribers) if blocks(alone, jid)]

    def _send_presence(self, session: ISession, to: JID, available: bool) -> None:
        if available:
            self.api.send(session.presence.addressed(to.full))
        else:
            self.api.send(Stanza("presence", {"type": "unavailable", "from": session.full, "to": to.full}))


def _asker(request: Request) -> tuple[ISession, IAccount]:
    if request.session is None or request.account is None:
        raise StanzaError("forbidden")
    return request.session, request.account


def _is_near(account: IAccount, jid: JID) -> bool:
    """The account itself, whose resources always hear each other, or the server that works for it."""
    return jid.bare == account.bare or jid.full == account.jid.domain


def _items(command: domish.Element) -> list[JID]:
    """The addresses of <item/>s, each once; raises StanzaError jid-malformed, bad-request."""
    jids: dict[str, JID] = {}
    for child in command.elements():
        if child.uri != ns.BLOCKING or child.name != "item":
            continue
        address = child.getAttribute("jid")
        if not address:
            raise StanzaError("bad-request", text="An item has a 'jid'.")
        try:
            jid = JID.parse(address)
        except InvalidJID:
            raise StanzaError("jid-malformed") from None
        jids[jid.full] = jid
    return list(jids.values())


def _reports(command: domish.Element) -> list[tuple[JID, domish.Element]]:
    """What comes with the items of a block (XEP-0377 5)."""
    return [(JID.parse(item["jid"]), report) for item in command.elements(ns.BLOCKING, "item")
            for report in item.elements(ns.REPORTING, "report")]


def _command(name: str, entries: Iterable[str]) -> bytes:
    items = "".join(f'<item jid="{attribute(entry)}"/>' for entry in entries)
    return (f'<{name} xmlns="{ns.BLOCKING}">{items}</{name}>' if items else f'<{name} xmlns="{ns.BLOCKING}"/>').encode()
