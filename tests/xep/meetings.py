"""Meetings in a World: accounts and guests who come in, and what they get to see."""

from __future__ import annotations

import re
from typing import Any

from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.jid import JID
from chatd.core.stanza import Stanza
from chatd.xep.archive import Archive
from chatd.xep.disco import Disco
from chatd.xep.meet.meet import Meet
from chatd.xep.message import Messages
from chatd.xep.muc.muc import Muc
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from chatd.xep.vcard import VCard
from tests.xep.media_double import MediaDouble
from tests.xep.rooms import condition
from tests.xep.world import Client, World

SERVICE = "meet.example.com"
GUESTS = "guest.example.com"
REGISTER = "jabber:iq:register"
FORM = "http://jabber.org/protocol/muc#register"
MODULES = (Messages, Roster, Presence, Disco, Archive, VCard, Muc)


class Hall:
    """A World with meetings, and the media engine they use."""

    def __init__(self, world: World, media: MediaDouble | None) -> None:
        self.world = world
        self.media = media

    @classmethod
    async def open(cls, media: MediaDouble | None = None, world: World | None = None, **options: Any) -> Hall:
        """options: of the module."""
        world = world or await World.open(*MODULES)
        world.router.visits.secret = b"s" * 32
        world.media = media
        world.start(Meet, **options)
        await world.settle()
        return cls(world, media)

    async def close(self) -> None:
        """Ends it."""
        await self.world.close()

    @property
    def meet(self) -> Meet:
        """The module."""
        found = self.world.modules["meet"]
        assert isinstance(found, Meet)
        return found

    async def account(self, name: str, resource: str = "a") -> Client:
        """A session of an account."""
        return await self.world.client(f"{name}@example.com/{resource}")

    async def guest(self, given: str = "", source: str = "192.0.2.1", domain: str = GUESTS) -> Client:
        """A visit; given: a pass."""
        jid = await self.world.router.visits.admit(domain, given)
        assert jid is not None, "the pass is not good"
        client = Client(self.world, None)       # type: ignore[arg-type]
        client.source = source                  # type: ignore[attr-defined]
        client.s = client.session = self.world.router.visits.begin(domain, jid, client)     # type: ignore[arg-type]
        return client

    async def make(self, client: Client, name: str = "Talk", inner: str = "", **attributes: str) -> str:
        """A meeting of this client's; gives its room's address."""
        said = "".join(f' {key}="{value}"' for key, value in attributes.items())
        answer = await client.ask_iq("set", f"<create xmlns='{ns.MEET}' name='{name}'{said}>{inner}</create>", SERVICE)
        assert answer.type == "result", answer.to_bytes()
        return ours(answer, "meeting")["room"]

    def meeting(self, room: str) -> Any:
        """The Meeting itself."""
        return self.meet.services[JID.parse(room).domain].rooms[room]


def ours(stanza: Stanza, name: str) -> domish.Element:
    """The element of our namespace in a stanza, at its top."""
    return next(child for child in stanza.element.elements() if child.uri == ns.MEET and child.name == name)


def has_ours(stanza: Stanza, name: str) -> bool:
    """Is there one?"""
    return f"{ns.MEET} {name}" in stanza.children


def all_ours(stanzas: list[Stanza], name: str) -> list[domish.Element]:
    """All of this name among these stanzas."""
    return [ours(stanza, name) for stanza in stanzas if has_ours(stanza, name)]


def participant(stanzas: list[Stanza], nick: str) -> domish.Element:
    """The last <participant/> of this nickname."""
    return [ours(stanza, "participant") for stanza in stanzas if stanza.name == "presence"
            and stanza.attrs["from"].endswith(f"/{nick}") and has_ours(stanza, "participant")][-1]


async def enter(client: Client, room: str, nick: str, password: str = "", history: str = "") -> list[Stanza]:
    """Enters and gives all that came."""
    client.take()
    inner = (f"<password>{password}</password>" if password else "") + history
    await client.send_xml(f"<presence to='{room}/{nick}'><x xmlns='{ns.MUC}'>{inner}</x></presence>")
    return client.take()


def entered(stanzas: list[Stanza]) -> bool:
    """Did the entering succeed?"""
    return any(stanza.name == "presence" and stanza.type is None and b'code="110"' in stanza.inner
               for stanza in stanzas)


def refused(stanzas: list[Stanza]) -> str:
    """The condition with which entering was refused."""
    found = [stanza for stanza in stanzas if stanza.name == "presence" and stanza.type == "error"]
    assert len(found) == 1, stanzas
    return condition(found[0])


async def command(client: Client, room: str, xml: str, kind: str = "set") -> str:
    """An element of ours as an iq: "" for done, or the condition of its refusal.  Other stanzas stay to be taken."""
    name = re.match(r"[a-z]+", xml)[0]      # type: ignore[index]
    answer = await client.ask_iq(kind, f"<{name} xmlns='{ns.MEET}'{xml[len(name):]}", room, "cmd")
    return condition(answer) if answer.type == "error" else ""


async def asked(client: Client, room: str, name: str) -> Stanza:
    """An iq get of ours; its answer."""
    return await client.ask_iq("get", f"<{name} xmlns='{ns.MEET}'/>", room, "get")


async def token(client: Client, room: str) -> str:
    """A media token."""
    answer = await asked(client, room, "media")
    assert answer.type == "result", answer.to_bytes()
    return str(ours(answer, "media"))


async def knock(client: Client, room: str, nick: str) -> str:
    """Knocks: "" for heard, or the condition of the refusal."""
    answer = await client.ask_iq(
        "set", f"<query xmlns='{REGISTER}'><x xmlns='{ns.DATA}' type='submit'>"
        f"<field var='FORM_TYPE'><value>{FORM}</value></field>"
        f"<field var='muc#register_roomnick'><value>{nick}</value></field></x></query>", room, "knock")
    return condition(answer) if answer.type == "error" else ""
