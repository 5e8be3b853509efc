"""Personal Eventing Protocol, XEP-0163: every account is a publish-subscribe service (XEP-0060) for what its owner
tells of himself, and keeps for himself.

What can be done is in `publishing`, who hears of it in `notifying`, what clients ask in `requests` and `owner`.
Of XEP-0060 there are neither collections nor subscription options; an address has one subscription a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.forms import find_form
from chatd.core.jid import JID, InvalidJID
from chatd.core.pubsub import may_read
from chatd.core.pubsub_config import meta_data
from chatd.core.stanza import attribute
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Message, Module, Option, Request
from chatd.xep.caps.caps import Caps
from chatd.xep.pep.owner import Owner
from chatd.xep.pep.publishing import Publishing
from chatd.xep.pep.requests import AUTHORIZE, Requests

__all__ = ["Pep"]

_WORDS: Final = (
    "access-authorize", "access-open", "access-presence", "access-roster", "access-whitelist", "auto-create",
    "auto-subscribe", "config-node", "config-node-max", "create-and-configure", "create-nodes", "delete-items",
    "delete-nodes", "filtered-notifications", "item-ids", "last-published", "manage-subscriptions",
    "member-affiliation", "meta-data", "modify-affiliations", "multi-items", "outcast-affiliation",
    "persistent-items", "presence-notifications", "presence-subscribe", "publish", "publish-options",
    "publisher-affiliation", "purge-nodes", "retract-items", "retrieve-affiliations", "retrieve-default",
    "retrieve-items", "retrieve-subscriptions", "rsm", "subscribe", "subscription-notifications",
)
log = Logger()


class Pep(Module):
    """XEP-0163: nodes on every account."""

    name = "pep"
    xep = "0163"
    version = "1.2.2"
    also = (("0060", "1.30.0"), ("0223", "1.1.1"))
    account_features = (ns.PUBSUB, *(f"{ns.PUBSUB}#{word}" for word in _WORDS))
    account_identities = (("pubsub", "pep", ""),)
    needs = ("caps", "disco", "presence", "roster")
    options = (
        Option("nodes", int, 200, "Nodes of an account at most.", 10, 10_000),
        Option("items", int, 1000, "Items that a node keeps at most; what a client calls max.", 1, 100_000),
        Option("item_bytes", int, 200_000, "Bytes of an item at most.", 1000, 10_000_000),
        Option("account_bytes", int, 10_000_000, "Bytes of all items of an account at most.", 100_000, 1_000_000_000),
    )

    def start(self, api: Api) -> None:
        """Answers requests, disco for nodes, and the owner's word on who may subscribe."""
        super().start(api)
        caps = api.modules["caps"]
        assert isinstance(caps, Caps)
        self.publishing = Publishing(api, caps.clients)
        self._requests = Requests(self.publishing)
        self._owner = Owner(self.publishing)
        for kind in ("get", "set"):
            api.iq(kind, f"{ns.PUBSUB} pubsub", self._ask(self._requests), own=False)
            api.iq(kind, f"{ns.PUBSUB_OWNER} pubsub", self._ask(self._owner), own=False)
        api.on("disco.items", self._items)
        api.on("disco.node", lambda request, kind, node: Deferred.fromCoroutine(self._of_node(request, kind, node)))
        api.on("message.sent", self._decided)
        api.command("pep list", self._command(self._list), "the nodes an account publishes on; address=ADDRESS")
        api.command("pep delete", self._command(self._delete), "delete one of them; address=ADDRESS node=NAME")

    @staticmethod
    def _ask(answers: Requests | Owner) -> Any:
        return lambda request: Deferred.fromCoroutine(answers.answer(request))

    # -- disco, XEP-0060 5.2 to 5.5
    def _items(self, request: Request, node: str | None) -> Any:
        return None if node or not request.to.local else Deferred.fromCoroutine(self._nodes_of(request))

    async def _nodes_of(self, request: Request) -> list[tuple[str, str, str]]:
        """The nodes that the asking address may read (XEP-0163 6.2)."""
        account: Any = request.account
        reader = self.publishing.reader(account, request.from_)
        nodes = await self.publishing.nodes(account)
        return [(account.bare, node.config["title"], node.name) for node in nodes.values()
                if may_read(node, reader) is None]

    async def _of_node(self, request: Request, kind: str, name: str) -> bytes:
        account: Any = request.account
        reader = self.publishing.reader(account, request.from_)
        node = await self.publishing.node(account, name, reader)
        self.publishing.may_read(account, node, reader)
        if kind == "items":
            to = attribute(account.bare)
            ids = await self.api.store.pep.ids(account.id, name)
            found = "".join(f'<item jid="{to}" name="{attribute(one)}"/>' for one in ids)
            return f'<query xmlns="{ns.DISCO_ITEMS}" node="{attribute(name)}">{found}</query>'.encode()
        inner = (f'<identity category="pubsub" type="leaf"{_named(node.config["title"])}/>'
                 f'<feature var="{ns.PUBSUB}"/>{meta_data(node.config)}')
        return f'<query xmlns="{ns.DISCO_INFO}" node="{attribute(name)}">{inner}</query>'.encode()

    # -- the form of XEP-0060 8.6
    def _decided(self, message: Message) -> None:
        stanza = message.stanza
        if f"{ns.DATA} x" not in stanza.children or message.account is None or message.to.bare != message.account.bare:
            return
        form = find_form(stanza.element)
        if form is None or form.getAttribute("type") != "submit" or AUTHORIZE not in stanza.inner.decode():
            return
        account: IAccount = message.account
        Deferred.fromCoroutine(self._requests.decided(account, form)).addErrback(
            lambda failure: log.failure("what {jid} decided is not kept", failure=failure, jid=account.bare))

    # -- chatctl
    def _command(self, work: Any) -> Any:
        return lambda arguments: Deferred.fromCoroutine(self._for_account(work, arguments))

    async def _for_account(self, work: Any, arguments: Mapping[str, Any]) -> Any:
        try:
            jid = JID.parse(str(arguments.get("address", "")))
        except InvalidJID:
            raise StanzaError("jid-malformed", text="Say whose: address=NAME@DOMAIN.") from None
        account: Any = self.api.router.accounts.load(jid) if jid.domain in self.api.router.domains else None
        account = await account if isinstance(account, Deferred) else account
        if account is None:
            raise StanzaError("item-not-found", text=f"There is no account {jid.bare}.")
        return await work(account, arguments)

    async def _list(self, account: IAccount, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        nodes = await self.publishing.nodes(account)
        return [{"node": node.name, "access": node.config["access"],
                 "items": len(await self.api.store.pep.ids(account.id, node.name))}
                for node in sorted(nodes.values(), key=lambda node: node.name)]

    async def _delete(self, account: IAccount, arguments: Mapping[str, Any]) -> dict[str, Any]:
        name = str(arguments.get("node", ""))
        node = (await self.publishing.nodes(account)).get(name)
        if node is None:
            raise StanzaError("item-not-found", text=f"{account.bare} has no node {name!r}.")
        await self.publishing.delete(account, node)
        return {"deleted": name}


def _named(title: str) -> str:
    return f' name="{attribute(title)}"' if title else ""
