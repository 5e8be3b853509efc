"""Rooms in a World: people who enter and what they get to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.stanza import Stanza
from chatd.xep.archive import Archive
from chatd.xep.disco import Disco
from chatd.xep.message import Messages
from chatd.xep.muc.muc import Muc
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ROOM = "attic@conference.example.com"
ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"


async def rooms(**options: Any) -> World:
    """A World with rooms and what people need to use them."""
    world = await World.open(Messages, Roster, Presence, Disco, Archive)
    world.start(Muc, **options)
    await world.settle()
    return world


async def enter(client: Client, nick: str, room: str = ROOM, inner: str = "") -> list[Stanza]:
    """Enters and gives all that came."""
    client.take()
    await client.send_xml(f"<presence to='{room}/{nick}'><x xmlns='{ns.MUC}'>{inner}</x></presence>")
    return client.take()


async def make(client: Client, nick: str, room: str = ROOM, **settings: Any) -> None:
    """Makes a room with these settings, named by the end of their var."""
    await enter(client, nick, room)
    await configure(client, room, **settings)
    client.take()


async def configure(client: Client, room: str = ROOM, **settings: Any) -> Stanza:
    """Submits the form with these fields; the answer."""
    fields = "".join(f"<field var='{'muc#maxhistoryfetch' if var == 'history' else 'muc#roomconfig_' + var}'>"
                     + "".join(f"<value>{one}</value>" for one in (value if isinstance(value, list) else [value]))
                     + "</field>" for var, value in settings.items())
    return await client.ask_iq("set", f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'>{fields}</x></query>",
                               room, "conf")


async def admin(client: Client, items: str, kind: str = "set", room: str = ROOM) -> Stanza:
    """A muc#admin request; the answer."""
    return await client.ask_iq(kind, f"<query xmlns='{ADMIN}'>{items}</query>", room, "adm")


async def say(client: Client, body: str, room: str = ROOM, inner: str = "", id_: str = "m") -> None:
    """Says something to everybody."""
    await client.send_xml(f"<message to='{room}' type='groupchat' id='{id_}'><body>{body}</body>{inner}</message>")


def codes(stanza: Stanza) -> list[str]:
    """The status codes, in order of number."""
    return sorted(part["code"] for part in user(stanza) if part.name == "status")


def user(stanza: Stanza) -> Iterable[domish.Element]:
    """What is inside the muc#user element."""
    return [part for child in stanza.element.elements() if child.uri == ns.MUC_USER for part in child.elements()]


def item(stanza: Stanza) -> domish.Element:
    """The <item/> of a presence."""
    return next(part for part in user(stanza) if part.name == "item")


def standing(stanza: Stanza) -> tuple[str, str]:
    """(affiliation, role)."""
    return item(stanza)["affiliation"], item(stanza)["role"]


def bodies(stanzas: Iterable[Stanza]) -> list[str]:
    """The texts of the messages among these."""
    return [str(child) for stanza in stanzas if stanza.name == "message" for child in stanza.element.elements()
            if child.name == "body"]


def condition(stanza: Stanza) -> str:
    """What an error says."""
    assert stanza.type == "error", stanza
    error = next(child for child in stanza.element.elements() if child.name == "error")
    return str(next(error.elements()).name)


def nicks(stanzas: Iterable[Stanza], kind: str | None = None) -> list[str]:
    """Whose presence of this type is among these."""
    return [stanza.attrs["from"].partition("/")[2] for stanza in stanzas if stanza.name == "presence"
            and stanza.type == kind]
