"""People in rooms: slixmpp clients that keep all stanzas in the order in which they came, and tests made of them.

A test is a coroutine under `@story("alice", "bob")`: it gets a room address of its own (named after the test, not
made yet) and these people logged in; pytest sees an ordinary function.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, NamedTuple

from slixmpp import JID
from slixmpp.exceptions import IqError, PresenceError
from slixmpp.stanza import Message, Presence
from slixmpp.xmlstream import ET

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon
from tests.integration.slix import PATIENCE_S, PLUGINS, Client

SERVICE = f"conference.{DOMAIN}"
NAMES = ("alice", "bob", "carol", "dora", "emil")
ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
ROOM_PLUGINS = (*PLUGINS, "xep_0004", "xep_0045", "xep_0050", "xep_0077", "xep_0249", "xep_0317", "xep_0410",
                "xep_0421", "xep_0424", "xep_0425")
#: Without XEP-0198: a client that is gone when its connection breaks.
PLAIN_PLUGINS = tuple(name for name in ROOM_PLUGINS if name != "xep_0198")
#: Settings whose field is not called muc#roomconfig_NAME.
_OTHER_VARS = {"maxhistoryfetch": "muc#maxhistoryfetch", "memberinvites": "x-muc#roomconfig_memberinvites",
               "locknicks": "x-muc#roomconfig_locknicks"}
_serial = count(1)


class Entrance(NamedTuple):
    """What slixmpp's plugin gives for an entered room."""

    self_presence: Any
    subject: Any
    occupants: list[Any]
    history: list[Any]


def _was_kept(stanza: Any) -> bool:
    """Whether the account stored it: what an earlier session got, but ended before acknowledging, comes again."""
    return stanza.xml.find(f"{{{ns.DELAY}}}delay[@from='{DOMAIN}']") is not None


class Guest(Client):
    """A client in rooms.  Every message and presence that comes goes into one queue, which the test reads in order."""

    def __init__(self, daemon: Daemon, name: str, **options: Any) -> None:
        options.setdefault("plugins", ROOM_PLUGINS)
        super().__init__(daemon, f"{name}@{DOMAIN}", **options)
        self.name = name
        self.muc = self.plugin["xep_0045"]
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.add_filter("in", self._keep)

    def _keep(self, stanza: Any) -> Any:
        if isinstance(stanza, (Message, Presence)):
            self.inbox.put_nowait(stanza)
        return stanza

    # -- what came
    async def next(self, matches: Callable[[Any], bool]) -> Any:
        """The next stanza for which this is true; those before it are dropped."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                stanza = await self.inbox.get()
                if matches(stanza):
                    return stanza

    async def presence(self, address: str, kind: str = "") -> Any:
        """The next presence of this type ("": available) from exactly this address."""
        return await self.next(lambda one: isinstance(one, Presence) and one["from"].full == address
                               and one.xml.get("type", "") == kind)

    async def message_of(self, address: str, matches: Callable[[Any], bool] = lambda _: True) -> Any:
        """The next message from exactly this address."""
        return await self.next(lambda one: isinstance(one, Message) and one["from"].full == address and matches(one))

    async def hear(self, body: str) -> Any:
        """The next groupchat message with this text."""
        return await self.next(lambda one: isinstance(one, Message) and one["type"] == "groupchat"
                               and one["body"] == body)

    async def refusal(self) -> str:
        """The condition of the next message or presence of type error."""
        stanza = await self.next(lambda one: one.xml.get("type") == "error")
        return str(stanza["error"]["condition"])

    async def until_said(self, speaker: Guest, room: str) -> list[Any]:
        """All that came before something that `speaker` says in the room now."""
        body = f"said {next(_serial)}"
        speaker.say(room, body)
        return await self.until_heard(body)

    async def until_heard(self, body: str) -> list[Any]:
        """All that came before this groupchat message."""
        return await self._until(lambda one: isinstance(one, Message) and one["body"] == body
                                 and one["type"] == "groupchat")

    async def until_told(self, speaker: Guest) -> list[Any]:
        """All that came before a message that `speaker` sends to this client now, past all rooms."""
        body = f"told {next(_serial)}"
        speaker.send_message(mto=self.boundjid.full, mbody=body, mtype="chat")
        return await self._until(lambda one: isinstance(one, Message) and one["body"] == body)

    async def _until(self, last: Callable[[Any], bool]) -> list[Any]:
        got = []
        async with asyncio.timeout(PATIENCE_S):
            while True:
                stanza = await self.inbox.get()
                if last(stanza):
                    return got
                if not _was_kept(stanza):
                    got.append(stanza)

    # -- doing
    async def enter(self, room: str, nick: str, **more: Any) -> Entrance:
        """Until the subject has come; raises PresenceError."""
        return Entrance(*await self.muc.join_muc_wait(JID(room), nick, timeout=PATIENCE_S, **more))

    async def make(self, room: str, nick: str, **settings: Any) -> Entrance:
        """Makes a room: with these settings, or as it comes."""
        entered = await self.enter(room, nick)
        assert 201 in codes(entered.self_presence)
        await self.configure(room, **settings)
        return entered

    async def configure(self, room: str, **settings: Any) -> None:
        """Fetches the form, fills in what differs, submits it; raises IqError."""
        if not settings:
            await self.ask("set", f"<query xmlns='{OWNER}'><x xmlns='{ns.DATA}' type='submit'/></query>", room)
            return
        form = await self.muc.get_room_config(room, timeout=PATIENCE_S)
        form["type"] = "submit"
        form.set_values({variable(name): value for name, value in settings.items()})
        await self.muc.set_room_config(room, form, timeout=PATIENCE_S)

    async def settings(self, room: str) -> dict[str, Any]:
        """The values of the form."""
        form = await self.muc.get_room_config(room, timeout=PATIENCE_S)
        return {var: field["value"] for var, field in form.get_fields().items()}

    def say(self, room: str, body: str, **attributes: str) -> Any:
        """To everybody; gives the stanza sent."""
        message = self.make_message(mto=room, mbody=body, mtype="groupchat")
        for name, value in attributes.items():
            message[name] = value
        message.send()
        return message

    async def says(self, room: str, body: str) -> str:
        """To everybody, until it has come back; the id that the room gave it."""
        self.say(room, body)
        return str((await self.hear(body))["stanza_id"]["id"])

    async def items(self, room: str, items: str) -> Any:
        """A muc#admin request with these <item/>s; raises IqError."""
        return await self.ask("set", f"<query xmlns='{ADMIN}'>{items}</query>", room)

    async def give_roles(self, room: str, *roles: tuple[str, str]) -> Any:
        """Changes of (nickname, role) in one request; raises IqError.  (slixmpp's send_role_list says affiliation.)"""
        return await self.items(room, "".join(f"<item nick='{nick}' role='{role}'/>" for nick, role in roles))

    async def listed(self, room: str, item: str) -> list[dict[str, str]]:
        """The attributes of each item of a list asked for with this <item/>; raises IqError."""
        answer = await self.ask("get", f"<query xmlns='{ADMIN}'>{item}</query>", room)
        return [dict(one.attrib) for one in answer.xml.iter(f"{{{ADMIN}}}item")]

    async def info(self, address: str, node: str = "") -> Any:
        """disco#info of an address."""
        answer = await self.plugin["xep_0030"].get_info(jid=address, node=node, timeout=PATIENCE_S, cached=False)
        return answer["disco_info"]

    async def found(self, address: str, **more: Any) -> set[str]:
        """The addresses among an address's disco#items."""
        answer = await self.plugin["xep_0030"].get_items(jid=address, timeout=PATIENCE_S, **more)
        return {str(item[0]) for item in answer["disco_items"]["items"]}


def variable(name: str) -> str:
    """The field of a setting."""
    return _OTHER_VARS.get(name, f"muc#roomconfig_{name}")


def codes(stanza: Any) -> set[int]:
    """The status codes in a presence or message."""
    return set(stanza["muc"]["status_codes"])


def standing(stanza: Any) -> tuple[str, str]:
    """(affiliation, role)."""
    return stanza["muc"]["affiliation"], stanza["muc"]["role"]


def real(stanza: Any) -> str:
    """The real address told in a presence, "" without one."""
    found = stanza.xml.find(f"{{{ns.MUC_USER}}}x/{{{ns.MUC_USER}}}item")
    return found.get("jid", "") if found is not None else ""


def actor_and_reason(stanza: Any) -> tuple[str, str]:
    """(nickname of who did it, why)."""
    item = stanza["muc"]["item"]
    return item["actor"]["nick"], item["reason"]


def form_fields(stanza: Any) -> dict[str, str]:
    """The first value of each field of the data form in a message."""
    found = {}
    for field in stanza.xml.iter(f"{{{ns.DATA}}}field"):
        found[field.get("var")] = field.findtext(f"{{{ns.DATA}}}value", "")
    return found


def part(stanza: Any, space: str, name: str) -> ET.Element | None:
    """The direct child of this name."""
    found: ET.Element | None = stanza.xml.find(f"{{{space}}}{name}")
    return found


async def refused(asked: Awaitable[Any]) -> str:
    """The condition with which this is refused; raises AssertionError where it is not."""
    try:
        await asked
    except (IqError, PresenceError) as error:
        return str(error.condition)
    raise AssertionError("this was granted")


def story(*names: str, timeout_s: float = 60) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Makes a test of a coroutine `play(room, *people)`; parametrized arguments go behind them by name."""

    def wrap(play: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        title = play.__name__.removeprefix("test_").replace("_", "-")
        extra = list(inspect.signature(play).parameters.values())[1 + len(names):]

        def test(daemon: Daemon, **given: Any) -> None:
            room = f"{title}-{next(_serial)}@{SERVICE}"

            async def run() -> None:
                async with AsyncExitStack() as stack:
                    people = [Guest(daemon, name) for name in names]
                    await asyncio.gather(*(stack.enter_async_context(one) for one in people))
                    for one in people:
                        one.inbox = asyncio.Queue()
                    await asyncio.wait_for(play(room, *people, **given), timeout_s)

            asyncio.run(run())

        test.__name__, test.__doc__, test.__module__ = play.__name__, play.__doc__, play.__module__
        daemon = inspect.Parameter("daemon", inspect.Parameter.KEYWORD_ONLY)
        keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in extra]
        test.__signature__ = inspect.Signature([daemon, *keywords])  # type: ignore[attr-defined]
        return test

    return wrap
