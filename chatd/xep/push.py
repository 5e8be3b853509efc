"""Push Notifications, XEP-0357: a client that sleeps is told through its app server that something has come.

A client is told of what a person would want to hear of (`chatd.core.push`)
- while its stream is cut and waits to be resumed, or it said that nobody looks at it (XEP-0352);
- while it is not connected at all; whether also when the person uses another client meanwhile, the site chooses.
The first message is told at once, what follows within a moment together. How much is told, from nothing to the text,
is the site's choice and not the client's (section 10).

An app server that refuses is not asked again; one that cannot be reached is given some more tries.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.push import TELLS, PushRow, is_worth_it, notification
from chatd.core.stanza import Stanza
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Message, Module, Option, Request

__all__ = ["Push"]

log = Logger()

PUBLISH_OPTIONS: Final = f"{ns.PUBSUB}#publish-options"
_ANSWER_S: Final = 60.0
_TRIES: Final = 10              # without an answer, or with one that says later
_ASKED_MOST: Final = 10_000
_NODE_MOST: Final = 1024        # characters
_OPTIONS_MOST: Final = 4096     # bytes
_PAYLOAD: Final = f"{ns.PUBSUB} pubsub"
_OUT_OF_REACH: Final = ("remote-server-not-found", "remote-server-timeout")
_ENCRYPTED: Final = (" encrypted", " openpgp", "jabber:x:encrypted x")

Key = tuple[str, str]
"""Service and node."""


@attrs.define(eq=False)
class _Client:
    """What is known of one client besides its row. unread: since it was last awake. untold: of these, since it was last
    told. failures: in a row. pause: runs while nothing is told."""

    account: IAccount
    row: PushRow
    unread: int = 0
    untold: int = 0
    failures: int = 0
    sender: str = ""
    body: str = ""
    pause: Any = None


class Push(Module):
    """XEP-0357."""

    name = "push"
    xep = "0357"
    version = "0.4.1"
    account_features = (ns.PUSH,)
    options = (
        Option("beside", bool, True,
               "Whether a client that is not connected is told also while its owner uses another one."),
        Option("clients", int, 20, "How many clients of one account may be told; of more the oldest goes.", 1, 1000),
        Option("pause_s", int, 5, "So long what follows a notification is gathered into the next.", 1, 3600),
        Option("tells", str, "count", "How much the app server learns: nothing, that something has come; count, how "
               "many messages; sender, also who wrote the last; text, also what.", choices=TELLS),
    )

    def start(self, api: Api) -> None:
        """Answers the two requests, and listens to what comes."""
        super().start(api)
        self._is_used = True            # until the store has said that nobody has ever asked for it
        self._is_enabled = False
        self._is_stopped = False
        self._paused: set[_Client] = set()
        self._asked: dict[str, tuple[_Client, Any]] = {}
        api.iq("set", f"{ns.PUSH} enable", self._enable)
        api.iq("set", f"{ns.PUSH} disable", self._disable)
        api.on("message.received", self._received)
        api.on("message.routed", self._routed)
        api.on("session.resumed", self._awake)
        api.on("session.active", self._awake)
        api.on("iq.answered", self._answered)
        api.store.push.count().addCallbacks(self._counted, lambda failure: log.failure(
            "the clients to be told could not be counted", failure=failure))

    def stop(self) -> None:
        """Nobody is told any more."""
        for account in self.api.router.accounts.online():
            for session in account.sessions.values():
                session.unseen = None
        self._is_stopped = True         # what was asked of the store meanwhile may still come
        for _, timer in self._asked.values():
            timer.cancel()
        self._asked.clear()
        for client in list(self._paused):
            self._rest(client)

    def _counted(self, count: int) -> None:
        self._is_used = bool(count) or self._is_enabled     # somebody may have asked meanwhile

    # -- who is told
    def _clients(self, account: Any) -> Deferred[dict[Key, _Client]]:
        """Those of an account, from the store the first time."""
        known = account.state.get("push")
        if isinstance(known, dict):
            return succeed(known)
        waiting: list[Deferred[Any]] = account.state.setdefault("push", [])
        done: Deferred[dict[Key, _Client]] = Deferred()
        waiting.append(done)
        if len(waiting) == 1:
            self.api.store.push.load(account.id).addCallbacks(
                self._loaded, self._not_loaded, callbackArgs=(account, waiting), errbackArgs=(account, waiting))
        return done

    def _loaded(self, rows: list[PushRow], account: Any, waiting: list[Deferred[Any]]) -> None:
        account.state["push"] = found = {(row.service, row.node): _Client(account, row) for row in rows}
        for done in waiting:
            done.callback(found)

    def _not_loaded(self, failure: Any, account: Any, waiting: list[Deferred[Any]]) -> None:
        del account.state["push"]
        for done in waiting:
            done.errback(failure)

    def _enable(self, request: Request) -> Deferred[bytes]:
        session, account = _asker(request)
        row = self._row(request.child, session)
        return Deferred.fromCoroutine(self._keep(session, account, row))

    def _row(self, child: domish.Element, session: ISession) -> PushRow:
        """Raises StanzaError for what is no request (section 5)."""
        service, node = _service(child), child.getAttribute("node") or ""
        if service == session.account.bare or len(node) > _NODE_MOST:
            raise StanzaError("bad-request", text="That is no app server, or its node has too long a name.")
        form = next(child.elements(ns.DATA, "x"), None)
        options = None
        if form is not None:
            kinds = [str(value) for field in form.elements(ns.DATA, "field") if field.getAttribute("var") == "FORM_TYPE"
                     for value in field.elements(ns.DATA, "value")]
            options = form.toXml(defaultUri=ns.PUBSUB).encode()
            if kinds != [PUBLISH_OPTIONS] or len(options) > _OPTIONS_MOST:
                raise StanzaError("bad-request", text="The form is none of publish-options, or too long.")
        return PushRow(service, node, session.jid.resource, options, int(self.api.now() * 1000))

    async def _keep(self, session: Any, account: IAccount, row: PushRow) -> bytes:
        clients = await self._clients(account)
        self._is_used = self._is_enabled = True
        await self.api.store.push.enable(account.id, row)
        key = (row.service, row.node)
        former = clients.pop(key, None)
        if former is not None:
            self._rest(former)
        clients[key] = _Client(account, row)
        if session.state is None:
            session.state = {}
        # A client has one: what it asked for before is another app server, or the same with a new node.
        session.state["push"] = key
        session.unseen = self._unseen
        while len(clients) > self.api.options["clients"]:
            await self._forget(clients, next(iter(clients)))
        return b""

    def _disable(self, request: Request) -> Deferred[bytes]:
        _, account = _asker(request)
        service, node = _service(request.child), request.child.getAttribute("node")
        return Deferred.fromCoroutine(self._drop(account, service, node))

    async def _drop(self, account: IAccount, service: str, node: str | None) -> bytes:
        clients = await self._clients(account)
        for key in [key for key in clients if key[0] == service and node in (None, key[1])]:
            await self._forget(clients, key)
        return b""

    async def _forget(self, clients: dict[Key, _Client], key: Key) -> None:
        client = clients.pop(key, None)
        if client is None:
            return
        self._rest(client)
        for session in list(client.account.sessions.values()):
            if session.state is not None and session.state.get("push") == key:
                del session.state["push"]
                session.unseen = None
        await self.api.store.push.disable(client.account.id, *key)

    # -- what comes
    def _routed(self, message: Message, sessions: Any) -> None:
        """A message was delivered, or kept: clients without a session hear of it."""
        account = message.account
        if not self._is_used or account is None or message.to.domain not in self.api.router.domains or (
                message.from_.bare == account.bare) or not is_worth_it(message.stanza.type, message.stanza.children):
            return
        found = self._clients(account)
        found.addCallback(self._tell_absent, account, message.stanza)
        found.addErrback(lambda failure: log.failure("clients could not be told", failure=failure))

    def _tell_absent(self, clients: dict[Key, _Client], account: IAccount, stanza: Stanza) -> None:
        if not clients or (not self.api.options["beside"] and any(map(_is_awake, account.available()))):
            return
        sessions = list(account.sessions.values())
        there = {session.state.get("push") for session in sessions if session.state is not None}
        resources = {session.jid.resource for session in sessions}
        for key, client in list(clients.items()):
            if key not in there and client.row.resource not in resources:
                self._notify(client, stanza)

    def _unseen(self, session: ISession, stanza: Stanza) -> None:
        """What a session is delivered while its client sleeps, or had not acknowledged when its stream broke."""
        client = self._client_of(session)
        if client is not None and stanza.name == "message" and is_worth_it(stanza.type, stanza.children):
            self._notify(client, stanza)

    def _awake(self, session: ISession) -> None:
        """A client has come back: it knows by itself what it has not read."""
        client = self._client_of(session)
        if client is not None:
            client.unread = client.untold = 0

    def _client_of(self, session: ISession) -> _Client | None:
        key = session.state.get("push") if session.state is not None else None
        clients = session.account.state.get("push")
        return clients.get(key) if key is not None and isinstance(clients, dict) else None

    # -- telling
    def _notify(self, client: _Client, stanza: Stanza) -> None:
        client.unread += 1
        client.untold += 1
        client.sender = stanza.attrs.get("from", "")
        client.body = _body(stanza) if self.api.options["tells"] == "text" else ""
        if client.pause is None:
            self._tell(client)

    def _tell(self, client: _Client) -> None:
        """Publishes, and waits a moment with the next (sections 7, 8)."""
        client.pause = None
        self._paused.discard(client)
        if self._is_stopped or not client.untold or len(self._asked) >= _ASKED_MOST:
            return
        client.untold = 0
        self._paused.add(client)
        client.pause = self.api.clock.callLater(self.api.options["pause_s"], self._tell, client)
        id = f"push-{secrets.token_hex(8)}"
        self._asked[id] = (client, self.api.clock.callLater(_ANSWER_S, self._no_answer, id))
        inner = notification(client.row, client.unread, client.sender, client.body, self.api.options["tells"])
        attributes = {"type": "set", "id": id, "from": client.account.jid.domain, "to": client.row.service}
        self.api.send(Stanza("iq", attributes, inner, (_PAYLOAD,)))

    def _rest(self, client: _Client) -> None:
        if client.pause is not None and client.pause.active():
            client.pause.cancel()
        client.pause = None
        client.untold = 0
        self._paused.discard(client)

    # -- answers
    def _answered(self, stanza: Stanza, from_: JID, to: JID) -> None:
        id = stanza.attrs.get("id", "")
        asked = self._asked.get(id)
        if asked is None or to.local or from_.full != asked[0].row.service:
            return
        del self._asked[id]
        client, timer = asked
        timer.cancel()
        if stanza.type == "result":
            client.failures = 0
        else:
            self._failed(client, _is_passing(stanza))

    def _no_answer(self, id: str) -> None:
        client, _ = self._asked.pop(id)
        self._failed(client, is_passing=True)

    def _failed(self, client: _Client, is_passing: bool) -> None:
        """Section 7.1: an app server that refuses is not asked again."""
        client.failures += 1
        clients = client.account.state.get("push")
        key = (client.row.service, client.row.node)
        if (is_passing and client.failures < _TRIES) or not isinstance(clients, dict) or clients.get(key) is not client:
            return
        log.info("{service} takes no notifications for {jid} any more.", service=client.row.service,
                 jid=client.account.bare)
        self._forget_later(clients, key)

    def _received(self, message: Message) -> None:
        """Section 8: an app server tells that it takes no more."""
        account = message.account
        if account is None or not self._is_used or _PAYLOAD not in message.stanza.children:
            return
        for pubsub in message.stanza.element.elements(ns.PUBSUB, "pubsub"):
            told = [one.getAttribute("affiliation") for one in pubsub.elements(ns.PUBSUB, "affiliation")]
            key = (message.from_.full, pubsub.getAttribute("node") or "")
            if told == ["none"]:
                found = self._clients(account)
                found.addCallback(self._forget_later, key)
                found.addErrback(lambda failure: log.failure("a client could not be forgotten", failure=failure))

    def _forget_later(self, clients: dict[Key, _Client], key: Key) -> None:
        Deferred.fromCoroutine(self._forget(clients, key)).addErrback(
            lambda failure: log.failure("a client could not be forgotten", failure=failure))


def _asker(request: Request) -> tuple[ISession, IAccount]:
    if request.session is None or request.account is None:
        raise StanzaError("forbidden")
    return request.session, request.account


def _service(child: domish.Element) -> str:
    """The app server's address; raises StanzaError."""
    address = child.getAttribute("jid")
    if not address:
        raise StanzaError("bad-request", text="The app server's address is missing.")
    try:
        return str(JID.parse(address).full)
    except InvalidJID:
        raise StanzaError("jid-malformed") from None


def _is_awake(session: Any) -> bool:
    return session.stream is not None and not session.inactive


def _is_passing(stanza: Stanza) -> bool:
    """Does an error say that it may be better later?"""
    for error in stanza.element.elements(ns.CLIENT, "error"):
        names = {child.name for child in error.elements() if child.uri == ns.STANZAS}
        return error.getAttribute("type") == "wait" or not names.isdisjoint(_OUT_OF_REACH)
    return False


def _body(stanza: Stanza) -> str:
    if any(child.endswith(_ENCRYPTED) for child in stanza.children):
        return ""
    for child in stanza.element.elements():
        if child.name == "body" and child.uri == stanza.ns:
            return str(child)
    return ""
