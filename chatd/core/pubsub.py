"""Publish-Subscribe, XEP-0060, as XEP-0163 has it on every account: nodes, items, and who may do what.

Values in, values out.  What a node can be set to is in `chatd.core.pubsub_config`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import attrs
from twisted.words.xish import domish

from chatd.core.errors import StanzaError
from chatd.core.pubsub_config import complete
from chatd.core.pubsub_errors import refusal

__all__ = ["AFFILIATIONS", "ID_MOST", "Item", "Node", "Published", "Reader", "TooMuch", "item_id", "may_publish",
           "may_read", "payload_of"]

ID_MOST: Final = 1023
"""Longest name of a node and longest id of an item, in UTF-8 bytes: as of the parts of an address."""
AFFILIATIONS: Final = ("owner", "publisher", "member", "outcast", "none")


class TooMuch(Exception):
    """An account would publish more bytes than it may."""


@attrs.frozen
class Item:
    """What is published under an id.  payload: one element that declares its namespace.  publisher: a bare address."""

    id: str
    payload: bytes
    publisher: str


@attrs.frozen
class Node:
    """A node of an account.

    settings: those that differ from the defaults.  affiliations: by bare address, without the account itself, which
    owns all.  subscriptions: of those who asked for one by themselves, the state by address ("subscribed" or
    "pending"); that contacts who see the presence need none is XEP-0163's point.
    """

    name: str
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    affiliations: Mapping[str, str] = attrs.field(factory=dict)
    subscriptions: Mapping[str, str] = attrs.field(factory=dict)
    config: Mapping[str, Any] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "config", complete(self.settings))


@attrs.frozen
class Published:
    """The last item of a node of an account (owner, a bare address), and the groups in which its reader is there."""

    owner: str
    groups: tuple[str, ...]
    node: Node
    item: Item


@attrs.frozen
class Reader:
    """Who asks for something of an account: the bare address, whether it is the account itself, whether it may see the
    account's presence, and in which groups of its roster it is."""

    bare: str
    is_owner: bool
    sees_presence: bool = False
    groups: Collection[str] = ()


def may_read(node: Node, reader: Reader) -> StanzaError | None:
    """None where the reader may have this node's items and subscribe to it, else why not (XEP-0060 6.1.3, 6.5.9)."""
    if reader.is_owner:
        return None
    affiliation = node.affiliations.get(reader.bare, "none")
    if affiliation == "outcast":
        return refusal("forbidden")
    if affiliation in ("owner", "publisher", "member"):
        return None
    access = node.config["access"]
    if access == "open":
        return None
    if access == "presence":
        return None if reader.sees_presence else refusal(
            "not-authorized", "presence-subscription-required", kind="auth")
    if access == "roster":
        is_in = reader.sees_presence and not set(reader.groups).isdisjoint(node.config["groups"])
        return None if is_in else refusal("not-authorized", "not-in-roster-group", kind="auth")
    if access == "authorize":
        is_in = node.subscriptions.get(reader.bare) == "subscribed"
        return None if is_in else refusal("not-authorized", "not-subscribed", kind="auth")
    return refusal("not-allowed", "closed-node")


def may_publish(node: Node, reader: Reader) -> bool:
    """XEP-0060 4.1, 16.4.3 (publish_model)."""
    affiliation = node.affiliations.get(reader.bare, "none")
    if reader.is_owner or affiliation in ("owner", "publisher"):
        return True
    model = node.config["publish"]
    if affiliation == "outcast" or model == "publishers" or may_read(node, reader) is not None:
        return False
    return model == "open" or node.subscriptions.get(reader.bare) == "subscribed"


def item_id(element: domish.Element) -> str:
    """The id of an <item/> or <retract/>, "" for none; StanzaError bad-request for one that is too long."""
    value = element.getAttribute("id") or ""
    if len(value.encode()) > ID_MOST:
        raise StanzaError("bad-request", text=f"An item's id has at most {ID_MOST} bytes.")
    return value


def payload_of(item: domish.Element, most: int) -> bytes:
    """The one element in an <item/> of a request, with its namespace.

    Raises (XEP-0060 7.1.3): bad-request with payload-required or invalid-payload, not-acceptable with payload-too-big.
    """
    elements = list(item.elements())
    if not elements:
        raise refusal("bad-request", "payload-required")
    if len(elements) > 1:
        raise refusal("bad-request", "invalid-payload", text="An item holds one element.")
    payload: bytes = elements[0].toXml().encode()
    if len(payload) > most:
        raise refusal("not-acceptable", "payload-too-big", text=f"An item has at most {most} bytes.")
    return payload
