"""Who hears of what is published: XEP-0163 4 and 5, XEP-0060 7.1.2 and 12.

Three kinds of readers:
- the account's own clients, and those of contacts who may see its presence, as far as they say "NODE+notify" in
  their capabilities (chatd.xep.caps.clients) and the node's access model lets them;
- who subscribed by himself, as long as the access model lets him: who may read no more is no subscriber any more;
- who becomes available, or may see the account from now on, gets the last item of each node he wants.

Whoever is blocked, or blocks, hears nothing (XEP-0191).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.blocking import blocks
from chatd.core.jid import JID
from chatd.core.pubsub import Item, Node, Published, Reader, may_read
from chatd.core.pubsub_xml import event, items_xml, notice, subscription_xml
from chatd.core.stanza import Stanza
from chatd.interfaces import IAccount, ISession
from chatd.xep.caps.clients import ClientCaps

if TYPE_CHECKING:
    from chatd.xep.pep.publishing import Publishing

__all__ = ["Notifying"]

_AT_ONCE: Final = 100           # contacts whose last items are read in one go

log = Logger()


class Notifying:
    """Tells of changes, and of last items."""

    def __init__(self, publishing: Publishing, clients: ClientCaps) -> None:
        self._publishing = publishing
        self._api = publishing.api
        self._clients = clients
        clients.heard = self._heard
        self._api.undo(lambda: setattr(clients, "heard", None))
        self._api.on("presence.shown", self._shown)
        self._api.on("organisation.seen", self._seen)

    # -- changes
    def tell(self, account: IAccount, node: Node, inner: bytes) -> None:
        """Tells everybody who is to hear of a node that this happened."""
        stanza = notice(node, account.bare, inner, token_hex(8))
        told = set()
        for full, deliver in self._wanting(account, node):
            told.add(full)
            deliver(stanza)
        for address, state in node.subscriptions.items():
            if state != "subscribed" or address in told:
                continue
            jid = JID.parse(address)
            if may_read(node, self._publishing.reader(account, jid)) is not None:
                self._publishing.unsubscribe_silently(account, node.name, address)
            elif not blocks(account.blocked, jid):
                self._send(stanza, address)

    def _wanting(self, account: IAccount, node: Node) -> Iterator[tuple[str, Any]]:
        """Full addresses of clients that want this node, each with what takes a stanza to it."""
        for session in account.available():
            if node.name in self._clients.of_session(session):
                yield session.full, self._to(session)
        router = self._api.router
        for bare in account.subscribers:
            contact = router.accounts.find(bare)
            if contact is None or not contact.sessions:
                continue
            wanting = [session for session in contact.available() if node.name in self._clients.of_session(session)]
            if wanting and self._may_hear(account, node, JID.parse(bare)) and not blocks(contact.blocked, account.jid):
                for session in wanting:
                    yield session.full, self._to(session)
        for full, wanted in self._clients.of_remote(account).items():
            if node.name in wanted and self._may_hear(account, node, JID.parse(full)):
                yield full, lambda stanza, full=full: self._send(stanza, full)

    def _may_hear(self, account: IAccount, node: Node, jid: JID) -> bool:
        reader = self._publishing.reader(account, jid)
        return reader.sees_presence and may_read(node, reader) is None and not blocks(account.blocked, jid)

    @staticmethod
    def _to(session: ISession) -> Any:
        return lambda stanza: session.deliver(stanza.addressed(session.full))

    def _send(self, stanza: Stanza, address: str) -> None:
        self._api.send(stanza.readdressed(to=address))

    # -- last items
    def _heard(self, account: IAccount, full: str, wanted: frozenset[str], session: ISession | None) -> None:
        """A client has become available, or wants more than before."""
        if session is None:
            work = self._last_to_remote(account, JID.parse(full), wanted)
        else:
            work = self._last_to_session(session, wanted)
        self._start(work, full)

    @staticmethod
    def _start(work: Any, to: str) -> None:
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: log.failure("no last items for {to}", failure=failure, to=to))

    def _shown(self, account: IAccount, jid: str) -> None:
        """A contact may see the account from now on, so he may read more of it."""
        contact = self._api.router.accounts.find(jid)
        for session in contact.available() if contact is not None else ():
            wanted = self._clients.of_session(session)
            if wanted:
                self._start(self._last_of_accounts(session, [account.jid], wanted), jid)
        for full, wanted in self._clients.of_remote(account).items():
            if wanted and JID.parse(full).bare == jid:
                self._start(self._last_to_remote(account, JID.parse(full), wanted), jid)

    async def _last_to_session(self, session: ISession, wanted: frozenset[str]) -> None:
        account = session.account
        nodes = await self._publishing.nodes(account)
        for node, item in await self._last(account, nodes, wanted):
            if session.presence is not None:
                session.deliver(self._notice(account.bare, node, item).addressed(session.full))
        domains = self._api.router.domains
        contacts = [JID.parse(item.jid) for item in account.roster.values() if item.shows_us]
        await self._last_of_many(session, [jid for jid in contacts if jid.domain in domains], wanted)

    def _seen(self, account: IAccount, bares: Sequence[str]) -> Deferred[None]:
        """Colleagues of the organisation whom an account may see from now on."""
        return Deferred.fromCoroutine(self._last_of_colleagues(account, bares)).addErrback(
            lambda failure: log.failure("no last items for {to}", failure=failure, to=account.bare))

    async def _last_of_colleagues(self, account: IAccount, bares: Sequence[str]) -> None:
        colleagues = [JID.parse(bare) for bare in bares]
        for session in account.available():
            wanted = self._clients.of_session(session)
            if wanted:
                await self._last_of_many(session, colleagues, wanted)

    async def _last_of_many(self, session: ISession, owners: Sequence[JID], wanted: frozenset[str]) -> None:
        for start in range(0, len(owners), _AT_ONCE):
            if session.presence is None:
                return
            await self._last_of_accounts(session, owners[start:start + _AT_ONCE], wanted)

    async def _last_of_accounts(self, session: ISession, owners: Iterable[JID], wanted: frozenset[str]) -> None:
        by_domain: dict[str, list[str]] = {}
        for owner in owners:
            by_domain.setdefault(owner.domain, []).append(owner.local)
        account = session.account
        blocked = account.blocked
        for domain, locals_ in by_domain.items():
            colleagues = [local for local in locals_ if account.shares(f"{local}@{domain}")]
            for found in await self._api.store.pep.last_of(domain, locals_, session.jid, sorted(wanted), colleagues):
                shared = tuple(group.name for group in account.groups if found.owner in group.members)
                if session.presence is not None and _may_have(account.bare, found, shared) and not (
                        blocked and blocks(blocked, JID.parse(found.owner))):
                    session.deliver(self._notice(found.owner, found.node, found.item).addressed(session.full))

    async def _last_to_remote(self, account: IAccount, jid: JID, wanted: frozenset[str]) -> None:
        nodes = await self._publishing.nodes(account)
        for node, item in await self._last(account, nodes, wanted):
            if self._may_hear(account, node, jid):
                self._send(self._notice(account.bare, node, item), jid.full)

    async def _last(self, account: IAccount, nodes: dict[str, Node], wanted: frozenset[str]
                    ) -> list[tuple[Node, Item]]:
        names = [name for name in wanted if name in nodes and nodes[name].config["notify"]
                 and nodes[name].config["send_last"] == "on_sub_and_presence"]
        found = await self._api.store.pep.last(account.id, names) if names else []
        return [(nodes[name], item) for name, item in found if name in nodes]

    def _notice(self, owner: str, node: Node, item: Item) -> Stanza:
        return notice(node, owner, items_xml(node.name, [item], owner, node.config["payloads"]), token_hex(8))

    def last_on_subscribing(self, account: IAccount, node: Node, to: str) -> None:
        """The last item, for who has just subscribed (XEP-0060 6.1.7)."""
        if node.config["send_last"] == "never" or not node.config["notify"]:
            return

        def found(last: list[tuple[str, Item]]) -> None:
            for _, item in last:
                self._send(self._notice(account.bare, node, item), to)

        self._api.store.pep.last(account.id, [node.name]).addCallback(found).addErrback(
            lambda failure: log.failure("no last item for {to}", failure=failure, to=to))

    # -- what concerns one subscriber, or the owner
    def tell_subscription(self, account: IAccount, name: str, address: str, state: str) -> None:
        """A subscription was granted, denied or ended by the owner (XEP-0060 8.6, 8.8.4)."""
        attrs = {"from": account.bare, "to": address, "type": "headline", "id": token_hex(8)}
        inner = event(subscription_xml(address, state, name).encode())
        self._api.send(Stanza("message", attrs, inner, (f"{ns.PUBSUB_EVENT} event",)))


def _may_have(reader: str, found: Published, shared: tuple[str, ...]) -> bool:
    """shared: groups of the organisation they are both in."""
    config = found.node.config
    return config["send_last"] == "on_sub_and_presence" and config["notify"] and may_read(
        found.node, Reader(reader, is_owner=False, sees_presence=True, groups=found.groups + shared)) is None
