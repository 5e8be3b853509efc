"""Service Discovery, XEP-0030: what a domain or an account is and can do.

Features and identities are the attributes of the modules that run; more are added by the events
    disco.info(request, node) -> features or None       None: this node is not mine
    disco.identity(request, node) -> identity           of a node, or None: not mine
    disco.forms(request, node) -> {FORM_TYPE: {field: values}} or None      XEP-0128
    disco.items(request, node) -> (jid, name, node) triples, of an account also a Deferred of them, or None
    disco.node(request, kind, node) -> the whole answer or a Deferred of it, or None
The last is asked about nodes of accounts that nobody else knows; kind is "info" or "items".
An account is described to itself and to those who may see its presence; others get the answer of an account
that does not exist (section 8, which wants an empty list of items for both; the router refuses for both).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.stanza import Stanza, attribute, text
from chatd.xep.api import Api, Module, Request, features_of

__all__ = ["Disco", "Forms", "Identity"]

#: category, type, name
Identity = tuple[str, str, str]
#: By FORM_TYPE and field: values
Forms = dict[str, dict[str, list[str]]]

_ACCOUNT: Final[tuple[Identity, ...]] = (("account", "registered", ""),)
_BASIC: Final = (ns.DISCO_INFO, ns.DISCO_ITEMS)


class Disco(Module):
    """XEP-0030: disco#info and disco#items of domains and accounts."""

    name = "disco"
    xep = "0030"
    version = "2.5.0"
    features = _BASIC
    account_features = _BASIC
    identities = (("server", "im", "chatd"),)

    def start(self, api: Api) -> None:
        """Answers both queries for both targets."""
        super().start(api)
        for target, own in (("domain", True), ("account", False)):
            api.iq("get", f"{ns.DISCO_INFO} query", self._info, target, own)
            api.iq("get", f"{ns.DISCO_ITEMS} query", self._items, target, own)

    def describe(self, domain: str) -> tuple[tuple[Identity, ...], tuple[str, ...]]:
        """Identities and features of a domain of ours, as everybody is told them; both sorted (for XEP-0115)."""
        jid = JID.of("", domain)
        query = Stanza("iq", {"type": "get"}, children=(f"{ns.DISCO_INFO} query",))
        return self._entity(Request(query, jid, jid, None, None), None) or ((), ())

    def forms(self, domain: str) -> Forms:
        """The forms of a domain of ours, as everybody is told them (for XEP-0115)."""
        jid = JID.of("", domain)
        query = Stanza("iq", {"type": "get"}, children=(f"{ns.DISCO_INFO} query",))
        return self._forms(Request(query, jid, jid, None, None), None)

    def _forms(self, request: Request, node: str | None) -> Forms:
        found: Forms = {}
        for hook in self.api.hooks.events.get("disco.forms", ()):
            found |= hook(request, node) or {}
        return found

    def _entity(self, request: Request, node: str | None) -> tuple[tuple[Identity, ...], tuple[str, ...]] | None:
        """Identities and features of what is asked about, None if there is no such node."""
        modules = list(self.api.modules.values())
        is_account = bool(request.to.local)
        identities: tuple[Identity, ...]
        if is_account:
            identities = (*_ACCOUNT, *sorted({one for module in modules for one in module.account_identities}))
            attribute_name = "account_features"
        else:
            identities = tuple(sorted({one for module in modules for one in module.identities}))
            attribute_name = "features"
        found = None if node else set(features_of(modules, attribute_name))
        for hook in self.api.hooks.events.get("disco.info", ()):
            more = hook(request, node)
            if more is not None:
                found = (found or set()) | set(more)
        for hook in self.api.hooks.events.get("disco.identity", ()) if node else ():
            of_node = hook(request, node)
            if of_node is not None:
                identities = (of_node,)
        return None if found is None else (identities, tuple(sorted(found)))

    def _info(self, request: Request) -> Any:
        node = request.child.getAttribute("node") or None
        described = self._entity(request, node) if _may_ask(request) else None
        if described is None:
            return self._of_node(request, "info", node)
        identities, features = described
        parts = [f'<query xmlns="{ns.DISCO_INFO}"{_node(node)}>']
        for category, kind, name in identities:
            named = f' name="{attribute(name)}"' if name else ""
            parts.append(f'<identity category="{category}" type="{kind}"{named}/>')
        parts.extend(f'<feature var="{attribute(feature)}"/>' for feature in features)
        parts.extend(_form_xml(kind, fields) for kind, fields in sorted(self._forms(request, node).items()))
        parts.append("</query>")
        return "".join(parts).encode()

    def _items(self, request: Request) -> Any:
        node = request.child.getAttribute("node") or None
        found: list[tuple[str, str, str]] | None = None if node else []
        if not node and not request.to.local:
            found = [(host, "", "") for host in self._components(request.to.domain)]
        waiting = []
        for hook in self.api.hooks.events.get("disco.items", ()) if _may_ask(request) else ():
            more = hook(request, node)
            if isinstance(more, Deferred):
                waiting.append(more)
            elif more is not None:
                found = [*(found or ()), *more]
        if not _may_ask(request) or (found is None and not waiting):
            return self._of_node(request, "items", node)
        return Deferred.fromCoroutine(self._waited(found or [], waiting, node)) if waiting else _items_xml(found, node)

    @staticmethod
    async def _waited(found: list[tuple[str, str, str]], waiting: list[Deferred[Any]], node: str | None) -> bytes:
        for more in waiting:
            found = [*found, *await more]
        return _items_xml(found, node)

    def _of_node(self, request: Request, kind: str, node: str | None) -> Any:
        """What one of the modules says of a node of an account; raises where none does."""
        for hook in self.api.hooks.events.get("disco.node", ()) if node and request.to.local else ():
            answer = hook(request, kind, node)
            if answer is not None:
                return answer
        if not _may_ask(request):
            raise StanzaError("service-unavailable")
        raise StanzaError("item-not-found", text="There is no such node.")

    def _components(self, domain: str) -> list[str]:
        """Components (XEP-0114) and services in this process below a domain."""
        router: Any = self.api.router
        return sorted(host for host in router.components.routes if host and host.endswith("." + domain))


def _may_ask(request: Request) -> bool:
    if not request.to.local or request.is_own:
        return True
    item = None if request.account is None else request.account.roster.get(request.from_.bare)
    return item is not None and item.may_see_us


def _node(node: str | None) -> str:
    return f' node="{attribute(node)}"' if node else ""


def _items_xml(items: Iterable[tuple[str, str, str]] | None, node: str | None) -> bytes:
    return f'<query xmlns="{ns.DISCO_ITEMS}"{_node(node)}>{_item_elements(items or ())}</query>'.encode()


def _form_xml(kind: str, fields: dict[str, list[str]]) -> str:
    def values(of: list[str]) -> str:
        return "".join(f"<value>{text(value)}</value>" for value in of)

    given = "".join(f'<field var="{attribute(var)}" type="list-multi">{values(of)}</field>'
                    for var, of in sorted(fields.items()))
    return (f'<x xmlns="{ns.DATA}" type="result"><field var="FORM_TYPE" type="hidden">{values([kind])}</field>'
            f"{given}</x>")


def _item_elements(items: Iterable[tuple[str, str, str]]) -> str:
    def one(jid: str, name: str, node: str) -> str:
        named = f' name="{attribute(name)}"' if name else ""
        return f'<item jid="{attribute(jid)}"{named}{_node(node)}/>'

    return "".join(one(*item) for item in items)
