"""Publish-Subscribe on the wire: what XEP-0060 puts into answers and notifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chatd.core import ns
from chatd.core.pubsub import Item, Node
from chatd.core.stanza import Stanza, attribute

__all__ = ["affiliations_xml", "event", "items_xml", "notice", "owner_xml", "pubsub_xml", "retracted_xml",
           "subscription_xml"]


def pubsub_xml(inner: str | bytes) -> bytes:
    """<pubsub/> around an answer."""
    return _wrapped(ns.PUBSUB, inner)


def owner_xml(inner: str | bytes) -> bytes:
    """<pubsub/> around an answer to the owner's requests."""
    return _wrapped(ns.PUBSUB_OWNER, inner)


def _wrapped(namespace: str, inner: str | bytes) -> bytes:
    return f'<pubsub xmlns="{namespace}">'.encode() + (inner if isinstance(inner, bytes) else inner.encode()) + \
        b"</pubsub>"


def items_xml(name: str, items: Iterable[Item], owner: str, payloads: bool = True) -> bytes:
    """<items/>; the publisher is named where it is not the owner."""
    parts = [f'<items node="{attribute(name)}">'.encode()]
    for item in items:
        by = "" if item.publisher == owner else f' publisher="{attribute(item.publisher)}"'
        head = f'<item id="{attribute(item.id)}"{by}'.encode()
        parts.append(head + b">" + item.payload + b"</item>" if payloads else head + b"/>")
    parts.append(b"</items>")
    return b"".join(parts)


def retracted_xml(name: str, ids: Iterable[str]) -> bytes:
    """<items/> of what was taken back (XEP-0060 7.2.2.1)."""
    inner = "".join(f'<retract id="{attribute(one)}"/>' for one in ids)
    return f'<items node="{attribute(name)}">{inner}</items>'.encode()


def notice(node: Node, owner: str, inner: bytes, id_: str) -> Stanza:
    """The message that tells of `inner`, without `to` (XEP-0060 7.1.2.1, XEP-0163 4.3)."""
    attrs = {"from": owner, "type": node.config["message"], "id": id_}
    return Stanza("message", attrs, event(inner), (f"{ns.PUBSUB_EVENT} event",))


def event(inner: bytes) -> bytes:
    """<event/> around what happened."""
    return f'<event xmlns="{ns.PUBSUB_EVENT}">'.encode() + inner + b"</event>"


def subscription_xml(jid: str, state: str, name: str = "") -> str:
    """One <subscription/>; the id of a subscription is its address, since there is one for each."""
    of = f' node="{attribute(name)}"' if name else ""
    return f'<subscription{of} jid="{attribute(jid)}" subscription="{state}" subid="{attribute(jid)}"/>'


def affiliations_xml(found: Mapping[str, str], key: str) -> str:
    """<affiliation/>s; key: "node" or "jid", what they are listed by."""
    return "".join(f'<affiliation {key}="{attribute(name)}" affiliation="{standing}"/>'
                   for name, standing in sorted(found.items()))
