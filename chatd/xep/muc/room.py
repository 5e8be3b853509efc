"""A room in memory: settings, standings, who is in it, and how presence and messages get to them.

An occupant is one person under one nickname, with a seat for each client in which she entered with it (XEP-0045
7.2.8 leaves that to the service): a panel in two tabs and a phone are one occupant.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs

from chatd.core import ns
from chatd.core.jid import JID
from chatd.core.muc import Affiliate, RoomRow, affiliation_rank
from chatd.core.muc_config import DEFAULTS
from chatd.core.stanza import Stanza, attribute, text
from chatd.interfaces import ISession

if TYPE_CHECKING:
    from chatd.xep.muc.history import History
    from chatd.xep.muc.service import Conference

__all__ = ["OCCUPANT_ID", "Occupant", "Room", "Seat", "item_xml", "mark_xml", "user_xml"]

OCCUPANT_ID: Final = "urn:xmpp:occupant-id:0"
_ID_NAME: Final = f"{OCCUPANT_ID} occupant-id"
_USER_NAME: Final = f"{ns.MUC_USER} x"


@attrs.define(eq=False)
class Seat:
    """One client in a room: its full address, its session here (None: on another server), what it last showed.

    escaped: the address as it stands in the XML of all it gets.
    """

    full: str
    session: ISession | None
    presence: Stanza
    escaped: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.escaped = attribute(self.full).encode()


@attrs.define(eq=False)
class Occupant:
    """Who is in a room: `address` is room@service/nick, `jid` the real bare address.

    mark: the occupant-id element (XEP-0421).  asked: iqs passed on for this occupant, by the id they were
    given: the client that asked, its id, the bare address that is to answer.
    asked_voice: when voice was last asked for, seconds since 1970.
    """

    nick: str
    address: str
    jid: str
    role: str
    mark: bytes
    seats: dict[str, Seat] = attrs.field(factory=dict)
    asked: OrderedDict[str, tuple[str, str, str]] = attrs.field(factory=OrderedDict)
    asked_voice: float = 0.0

    @property
    def code(self) -> str:
        """The occupant id itself."""
        return self.mark.decode().split('"')[-2]

    @property
    def shown(self) -> Stanza:
        """The presence that the others see: that of the seat taken or changed last."""
        return next(reversed(self.seats.values())).presence


class Room:
    """One room.  queue: stanzas that wait until what is being worked off has come back from the store, or None.

    locked: made but not configured yet (XEP-0045 10.1.1).  history: what was said last, None: not read yet.
    reserved: kept nicknames, see nick.py; None: to be made anew.  invited: who invited whom, bare addresses.
    spent: what people have made the room do, see rate.py.  id_xml: what the stanza-ids it gives begin with.
    """

    def __init__(self, service: Conference, row: RoomRow, locked: bool = False) -> None:
        self.service = service
        self.id = row.id
        self.jid = JID.of(row.local, row.domain)
        self.bare = self.jid.bare
        self.id_xml = f'<stanza-id xmlns="{ns.SID}" by="{attribute(self.bare)}" id="'.encode()
        self.secret = row.secret
        self.config: dict[str, Any] = {**DEFAULTS, **row.config, "persistent": row.persistent}
        self.subject, self.subject_nick, self.subject_ms = row.subject, row.subject_nick, row.subject_ms
        self.subject_mark = row.subject_mark
        self.created_ms = row.created_ms
        self.hats = row.hats
        self.vcard = row.vcard
        self.photo_sha1: str | None = None      # of the picture in it; None: not looked at yet
        self.affiliates = {one.jid: one for one in row.affiliates}
        self.banned_domains = _banned_domains(row.affiliates)
        self.reserved: dict[str, str] | None = None
        self.locked = locked
        self.invited: OrderedDict[str, str] = OrderedDict()
        self.spent: dict[str, tuple[float, float]] = {}
        self.occupants: dict[str, Occupant] = {}
        self.seats: dict[str, Occupant] = {}
        self.history: History | None = None
        self.queue: deque[Callable[[], bool]] | None = None
        self.is_gone = False

    # -- standings
    def affiliation(self, bare: str) -> str:
        """The lasting standing of a bare address; without one of its own, that of its domain (XEP-0045 9.2)."""
        found = self.affiliates.get(bare)
        if found is not None and found.affiliation != "none":
            return found.affiliation
        if self.banned_domains and bare.partition("@")[2] in self.banned_domains:
            return "outcast"
        return "none"

    def is_at_least(self, bare: str, affiliation: str) -> bool:
        """Is the standing of this address that or higher?"""
        return affiliation_rank[self.affiliation(bare)] >= affiliation_rank[affiliation]

    def affiliated(self, affiliation: str) -> list[Affiliate]:
        """Everybody of this standing."""
        return [one for one in self.affiliates.values() if one.affiliation == affiliation]

    def keep(self, affiliates: Iterable[Affiliate]) -> None:
        """Puts standings into memory, after the store has them."""
        for one in affiliates:
            if one.is_empty:
                self.affiliates.pop(one.jid, None)
            else:
                self.affiliates[one.jid] = one
        self.banned_domains = _banned_domains(self.affiliates.values())
        self.reserved = None

    def mark_of(self, bare: str) -> bytes:
        """The occupant-id element of a person here: cannot be guessed, and is another one in every room (0421 4).

        Whoever gets the address of an account that was deleted is another person.
        """
        account = self.service.router.accounts.find(bare)
        who = bare if account is None else f"{bare} {account.id}"
        digest = hmac.digest(self.secret, who.encode(), hashlib.sha256)
        return mark_xml(base64.urlsafe_b64encode(digest)[:32].decode())

    def sees_addresses(self, occupant: Occupant) -> bool:
        """May this occupant see the others' real addresses?"""
        may = bool(self.config["whois"] == "anyone") or occupant.role == "moderator"
        return may and self.tells_addresses_to(occupant.jid)

    # -- what other kinds of rooms have otherwise (chatd.xep.meet)
    features: ClassVar[tuple[str, ...]] = ()
    """What disco says besides of a room and its service."""

    def shown_since_ms(self, bare: str) -> int:
        """From when on this person is shown what was said; 0: from the beginning."""
        return 0

    def tells_addresses_to(self, bare: str) -> bool:
        """Is this somebody who may know real addresses, if his role lets him?"""
        return True

    def find_by_jid(self, bare: str) -> list[Occupant]:
        """All occupants that are this person, or of this domain."""
        if "@" not in bare:
            return [one for one in self.occupants.values() if bare in (one.jid, one.jid.partition("@")[2])]
        return [one for one in self.occupants.values() if one.jid == bare]

    # -- sending
    def everyone(self) -> Iterator[tuple[Occupant, Seat]]:
        """Each seat of each occupant."""
        for occupant in self.occupants.values():
            for seat in occupant.seats.values():
                yield occupant, seat

    def send(self, deliveries: list[tuple[Seat, Stanza]]) -> None:
        """Hands these out, after everything written before is in the store."""
        self.service.then(self._deliver, deliveries)

    def _deliver(self, error: Exception | None, deliveries: list[tuple[Seat, Stanza]]) -> None:
        for seat, stanza in deliveries:
            self.service.hand(seat, stanza)

    def announce(self, stanza: Stanza) -> None:
        """The same stanza, which has no `to`, for everybody."""
        self.send([(seat, stanza.addressed(seat.full, seat.escaped)) for _, seat in self.everyone()])

    def tell(self, *codes: int) -> None:
        """A message of the room itself with status codes."""
        stanza = Stanza("message", {"from": self.bare, "type": "groupchat"}, user_xml("", codes).encode(),
                        (_USER_NAME,))
        self.announce(stanza)

    # -- presence
    def presence(self, occupant: Occupant, item: str, codes: Iterable[int] = (), gone: bool = False,
                 shown: Stanza | None = None, also: str = "") -> Stanza:
        """An occupant's presence as the room tells it; item: what `item_xml` gave; also: further XML beside it."""
        attributes = {"from": occupant.address}
        if gone:
            attributes["type"] = "unavailable"
        inner = shown.inner if shown is not None else b""
        children = shown.children if shown is not None else ()
        if shown is not None and "xml:lang" in shown.attrs:
            attributes["xml:lang"] = shown.attrs["xml:lang"]
        hats = b"" if gone else self.hats_of(occupant.jid)
        inner += user_xml(item + also, codes).encode() + occupant.mark + hats
        return Stanza("presence", attributes, inner, (*children, _USER_NAME, _ID_NAME))

    def show(self, occupant: Occupant, codes: Iterable[int] = (), joined: Seat | None = None,
             joined_codes: Iterable[int] = (), joined_id: str | None = None, reason: str = "", actor: str = "") -> None:
        """Tells everybody what an occupant is now.

        joined: the seat just taken, which gets further codes and the id it asked with.
        """
        affiliation = self.affiliation(occupant.jid)
        real = next(reversed(occupant.seats))
        made: dict[tuple[bool, bool, bool], Stanza] = {}
        deliveries = []
        hidden = occupant.role not in self.config["broadcast"]
        for other, seat in self.everyone():
            is_self = other is occupant
            if hidden and not is_self:
                continue
            key = (self.sees_addresses(other), is_self, seat is joined)
            stanza = made.get(key)
            if stanza is None:
                item = item_xml(affiliation, occupant.role, real if key[0] else "", reason=reason, actor=actor)
                told = [*codes, *(joined_codes if key[2] else ()), *((110,) if is_self else ())]
                stanza = made[key] = self.presence(occupant, item, told, shown=occupant.shown)
                if key[2] and joined_id is not None:
                    stanza.attrs["id"] = joined_id
            if seat is not joined:
                deliveries.append((seat, stanza.addressed(seat.full, seat.escaped)))
            else:
                last = (seat, stanza.addressed(seat.full, seat.escaped))
        if joined is not None:
            deliveries.append(last)
        self.send(deliveries)

    def show_gone(self, occupant: Occupant, codes: Iterable[int] = (), reason: str = "", actor: str = "",
                  nick: str = "", shown: Stanza | None = None, also: str = "", role: str = "none",
                  seats: Iterable[Seat] | None = None) -> None:
        """Tells everybody that this nickname is not there any more.

        nick: the new one, of somebody who changed it.  also: a <destroy/>.  seats: only these are told.
        """
        affiliation = self.affiliation(occupant.jid)
        real = next(iter(occupant.seats), occupant.jid)
        hidden = occupant.role not in self.config["broadcast"]
        wanted = None if seats is None else {seat.full for seat in seats}
        made: dict[tuple[bool, bool], Stanza] = {}
        deliveries = []
        for other, seat in self.everyone():
            is_self = other is occupant
            if (hidden and not is_self) or (wanted is not None and seat.full not in wanted):
                continue
            key = (self.sees_addresses(other), is_self)
            stanza = made.get(key)
            if stanza is None:
                item = item_xml(affiliation, role, real if key[0] else "", nick=nick, reason=reason, actor=actor)
                told = [*codes, *((110,) if is_self else ())]
                stanza = made[key] = self.presence(occupant, item, told, gone=True, shown=shown, also=also)
            deliveries.append((seat, stanza.addressed(seat.full, seat.escaped)))
        self.send(deliveries)

    def remove(self, occupant: Occupant) -> None:
        """Takes an occupant with all seats out of memory."""
        for full in occupant.seats:
            self.seats.pop(full, None)
        if self.occupants.get(occupant.nick) is occupant:
            del self.occupants[occupant.nick]

    def expel(self, occupant: Occupant, *codes: int, reason: str = "", actor: str = "") -> None:
        """Puts an occupant out and says why: 301 banned, 307 kicked, 321 no member any more, 322 members only."""
        self.show_gone(occupant, codes, reason, actor)
        self.remove(occupant)

    # -- hats, XEP-0317
    def hats_of(self, bare: str) -> bytes:
        """The <hats/> this person wears, or nothing."""
        worn = [(uri, hat) for uri, hat in self.hats.items() if bare in hat["worn"]]
        if not worn:
            return b""
        inner = "".join(f'<hat uri="{attribute(uri)}" title="{attribute(hat["title"])}"'
                        + (f' hue="{attribute(hat["hue"])}"' if hat.get("hue") else "") + "/>" for uri, hat in worn)
        return f'<hats xmlns="urn:xmpp:hats:0">{inner}</hats>'.encode()


def _banned_domains(affiliates: Iterable[Affiliate]) -> set[str]:
    """Of those without a local part: a component is a person of its own, and may be known for other reasons."""
    return {one.jid for one in affiliates if "@" not in one.jid and one.affiliation == "outcast"}


def mark_xml(code: str) -> bytes:
    """The occupant-id element of this id."""
    return f'<occupant-id xmlns="{OCCUPANT_ID}" id="{code}"/>'.encode()


def user_xml(inner: str, codes: Iterable[int] = ()) -> str:
    """The <x/> of muc#user with its status codes."""
    told = "".join(f'<status code="{code}"/>' for code in codes)
    return f'<x xmlns="{ns.MUC_USER}">{inner}{told}</x>'


def item_xml(affiliation: str, role: str, jid: str = "", nick: str = "", reason: str = "", actor: str = "") -> str:
    """The <item/> of muc#user and muc#admin."""
    head = f'<item affiliation="{affiliation}" role="{role}"'
    for key, value in (("jid", jid), ("nick", nick)):
        if value:
            head += f' {key}="{attribute(value)}"'
    inner = (f'<actor nick="{attribute(actor)}"/>' if actor else "") + (f"<reason>{text(reason)}</reason>" if reason
                                                                       else "")
    return f"{head}>{inner}</item>" if inner else f"{head}/>"
