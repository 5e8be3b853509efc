"""The roster: its items, the roster set of a client, and items on the wire. RFC 6121 2.

The subscription fields change only by the table of `chatd.core.subscription`; a roster set touches name and
groups, or removes (RFC 6121 2.1.2.5, 2.3).
"""
from __future__ import annotations

from collections.abc import Iterable

import attrs
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import attribute, text

NAME_BYTES = 1023
"""Longest handle and longest group name, in UTF-8 bytes (the limit RFC 7622 sets for a JID's part)."""
GROUPS_MAX = 50
"""Groups of one item."""


@attrs.frozen
class RosterItem:
    """One contact of one account.

    jid: bare JID. subscription: "none", "to", "from" or "both". ask: a subscribe of ours waits for the
    contact's answer (pending out). pending_in: the contact's subscribe stanza that waits for our answer.
    approved: pre-approved (RFC 6121 3.4). listed: False for an item that exists only to keep pending_in;
    such an item is never shown (RFC 6121 3.1.3). organisation: those of `groups`, the first ones, that the organisation
    has put the contact into; who is in one cannot be taken out of the roster.
    """

    jid: str
    name: str = ""
    subscription: str = "none"
    ask: bool = False
    pending_in: bytes | None = None
    approved: bool = False
    groups: tuple[str, ...] = ()
    listed: bool = True
    organisation: tuple[str, ...] = ()

    @property
    def may_see_us(self) -> bool:
        """The contact receives our presence."""
        return self.subscription in ("from", "both")

    @property
    def shows_us(self) -> bool:
        """We receive the contact's presence."""
        return self.subscription in ("to", "both")


@attrs.frozen
class RosterChange:
    """A checked roster set: what the client may change. remove: the item goes (name, groups empty then)."""

    jid: str
    remove: bool = False
    name: str = ""
    groups: tuple[str, ...] = ()


def parse_roster_set(query: domish.Element, account_bare: str) -> RosterChange:
    """The <query/> of an iq set. account_bare: whose roster it is.

    Refuses with StanzaError (RFC 6121 2.3.3): bad-request (not exactly one item, no jid, a group twice),
    jid-malformed, not-acceptable (handle or group too long or empty, too many groups), not-allowed (the
    account itself as its own contact).
    """
    items = [child for child in query.elements() if child.name == "item" and child.uri == ns.ROSTER]
    if len(items) != 1:
        raise StanzaError("bad-request", text="A roster set holds one item.")
    item = items[0]
    address = item.getAttribute("jid")
    if not address:
        raise StanzaError("bad-request", text="The item has no 'jid'.")
    try:
        jid = JID.parse(address).bare
    except InvalidJID:
        raise StanzaError("jid-malformed", text="The item's 'jid' is not a valid address.") from None
    if jid == account_bare:
        raise StanzaError("not-allowed", text="An account is not its own contact.")
    # RFC 6121 2.1.2.5: of the subscription values a server heeds only "remove".
    if item.getAttribute("subscription") == "remove":
        return RosterChange(jid, remove=True)
    name = item.getAttribute("name") or ""
    if len(name.encode()) > NAME_BYTES:
        raise StanzaError("not-acceptable", text=f"A contact's name has at most {NAME_BYTES} bytes.")
    groups: dict[str, None] = {}
    for child in item.elements():
        if child.name != "group" or child.uri != ns.ROSTER:
            continue
        group = str(child)
        if not group.strip():
            raise StanzaError("not-acceptable", text="A group needs a name.")
        if len(group.encode()) > NAME_BYTES:
            raise StanzaError("not-acceptable", text=f"A group's name has at most {NAME_BYTES} bytes.")
        if group in groups:
            raise StanzaError("bad-request", text="A group is given twice.")
        groups[group] = None
    if len(groups) > GROUPS_MAX:
        raise StanzaError("not-acceptable", text=f"A contact is in at most {GROUPS_MAX} groups.")
    return RosterChange(jid, False, name, tuple(groups))


def apply_change(item: RosterItem | None, change: RosterChange) -> RosterItem:
    """The item after a roster set that is no removal: only name and groups are the client's to set."""
    if item is None:
        return RosterItem(change.jid, change.name, groups=change.groups)
    return attrs.evolve(item, name=change.name, groups=change.groups, listed=True)


def item_bytes(item: RosterItem) -> bytes:
    """<item/> as it stands inside <query xmlns='jabber:iq:roster'/> (RFC 6121 2.1.2).

    Where the organisation keeps the contact there, an attribute says so (docs/protocol.md). COMPAT(slixmpp): no child,
    which it takes for one more group.
    """
    parts = [f"<item jid='{attribute(item.jid)}' subscription='{item.subscription}'"]
    if item.name:
        parts.append(f" name='{attribute(item.name)}'")
    if item.ask:
        parts.append(" ask='subscribe'")
    if item.approved:
        parts.append(" approved='true'")
    if item.organisation:
        parts.append(f" xmlns:chatd='{ns.DIRECTORY}' chatd:organisation='{len(item.organisation)}'")
    if item.groups:
        parts.append(">")
        parts.extend(f"<group>{text(group)}</group>" for group in item.groups)
        parts.append("</item>")
    else:
        parts.append("/>")
    return "".join(parts).encode()


def removed_bytes(jid: str) -> bytes:
    """<item subscription='remove'/> of a push after a removal (RFC 6121 2.5.2)."""
    return f"<item jid='{attribute(jid)}' subscription='remove'/>".encode()


def query_bytes(items: Iterable[RosterItem | str], version: int | str | None = None) -> bytes:
    """<query/> of a roster result or push: items, or bare JIDs of removed ones; unlisted items are left out.

    version: the roster's version, None where the client does not use versioning (RFC 6121 2.1.1).
    """
    inner = b"".join(
        removed_bytes(item) if isinstance(item, str) else item_bytes(item)
        for item in items if isinstance(item, str) or item.listed)
    ver = "" if version is None else f" ver='{version}'"
    if not inner:
        return f"<query xmlns='{ns.ROSTER}'{ver}/>".encode()
    return f"<query xmlns='{ns.ROSTER}'{ver}>".encode() + inner + b"</query>"


def parse_version(query: domish.Element) -> tuple[int, str] | None:
    """The 'ver' a client sends with its roster get: None without one (no versioning wanted); the number of the
    account's own roster and what the organisation's groups add to it. (0, "") for the empty or an unknown text, which
    no version equals, so the whole roster is sent (RFC 6121 2.6.2)."""
    ver = query.getAttribute("ver")
    if ver is None:
        return None
    own, _, groups = ver.partition("-")
    return (int(own), groups) if own.isascii() and own.isdigit() and len(own) <= 18 else (0, "")


def version_text(own: int, groups: str) -> str:
    """The 'ver' for both."""
    return f"{own}-{groups}" if groups else str(own)
