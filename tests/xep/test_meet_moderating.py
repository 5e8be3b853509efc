"""What moderators do, what participants then may, and what is shown of it; hands and reactions."""

from __future__ import annotations

import json

import pytest
import pytest_twisted

from chatd.core import ns
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import (
    Hall,
    all_ours,
    asked,
    command,
    enter,
    entered,
    has_ours,
    ours,
    participant,
    token,
)
from tests.xep.rooms import bodies, codes, condition, standing
from tests.xep.world import Client

EVERYTHING = "microphone camera screen chat"
COMMANDS = ["mute source='microphone'/>", "allow camera='false'/>", "lock on='true'/>", "lobby on='true'/>",
            "password>x</password>", "moderator nick='Ada' on='true'/>", "hand nick='John' raised='false'/>",
            "hand all='true' raised='false'/>", "remove nick='John'/>", "end/>", "record on='true'/>",
            "admit/>", "refuse/>"]


async def held(media: MediaDouble | None = None, **options: object) -> tuple[Hall, str, Client, Client, Client]:
    """A meeting with its owner, an account and a guest in it: John, Bob, Ada."""
    hall = await Hall.open(media, **options)
    john, bob, ada = await hall.account("john"), await hall.account("bob"), await hall.guest()
    room = await hall.make(john)
    for client, nick in ((john, "John"), (bob, "Bob"), (ada, "Ada")):
        assert entered(await enter(client, room, nick))
    for client in (john, bob, ada):
        client.take()
    return hall, room, john, bob, ada


def state(client: Client) -> dict[str, str]:
    """The meeting's state as this client was told last."""
    return dict(all_ours(client.take(), "meeting")[-1].attributes)     # type: ignore[arg-type]


@pytest_twisted.ensureDeferred
async def test_what_one_sees_on_entering() -> None:
    """The others, oneself, the state, in this order; the state only once, and not for those who were there."""
    hall, room, john, bob, ada = await held()
    bea = await hall.guest()
    got = await enter(bea, room, "Bea")
    kinds = [stanza.attrs["from"].partition("/")[2] if stanza.name == "presence" else
             "state" if has_ours(stanza, "meeting") else "subject" for stanza in got]
    assert kinds == ["John", "Bob", "Ada", "Bea", "state", "subject"]
    said = ours(got[4], "meeting")
    assert (said["may"], said["recording"], said["can-record"], said["occupants"], said["moderators"]) == (
        EVERYTHING, "off", "false", "4", "1")
    assert said["since"] and said["room"] == room
    assert not any(has_ours(stanza, "meeting") for stanza in john.take())
    assert b"no-store" in got[4].inner
    outside = await hall.guest()
    answer = ours(await asked(outside, room, "meeting"), "meeting")
    assert answer["occupants"] == "4" and not answer.hasAttribute("may")
    assert ours(await asked(ada, room, "meeting"), "meeting")["may"] == EVERYTHING
    await hall.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("xml", COMMANDS)
async def test_nobody_else_may(xml: str) -> None:
    """Neither participants nor those outside, be they members or guests."""
    hall, room, john, bob, ada = await held(MediaDouble(), recording=True)
    outside, carol = await hall.guest(), await hall.account("carol")
    before = hall.meeting(room).present.kept(), dict(hall.meeting(room).config)
    for client in (bob, ada, outside, carol):
        assert await command(client, room, xml) == "forbidden"
    assert (hall.meeting(room).present.kept(), hall.meeting(room).config) == before
    assert len(hall.meeting(room).occupants) == 3
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_unknown_ones() -> None:
    hall, room, john, *_ = await held()
    for xml in ("dance/>", "media/>", "meeting/>", "create/>"):
        assert await command(john, room, xml) == "service-unavailable"
    assert await command(john, room, "lock/>", kind="get") == "service-unavailable"
    for xml in ("lock/>", "lock on='perhaps'/>", "mute/>", "mute source='chat'/>", "allow/>", "allow camera='x'/>",
                "moderator on='true'/>", "moderator nick='Ada'/>", "hand/>", "record/>"):
        assert await command(john, room, xml) == "bad-request", xml
    assert await command(john, room, "admit jid='@'/>") == "jid-malformed"
    for xml in ("mute nick='x' source='camera'/>", "allow nick='x' camera='true'/>", "moderator nick='x' on='true'/>",
                "remove nick='x'/>", "hand nick='x' raised='false'/>"):
        assert await command(john, room, xml) == "item-not-found", xml
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_moderators_of_accounts_and_of_guests() -> None:
    hall, room, john, bob, ada = await held()
    for nick, client in (("Bob", bob), ("Ada", ada)):
        assert await command(john, room, f"moderator nick='{nick}' on='true'/>") == ""
        got = client.take()
        shown = [one for one in got if one.name == "presence" and one.attrs["from"] == f"{room}/{nick}"][-1]
        assert standing(shown) == ("admin", "moderator") and participant(got, nick)["may"] == EVERYTHING
        assert all_ours(got, "meeting"), "a new moderator is told what only moderators are"
        assert await command(client, room, "lock on='true'/>") == ""
    assert await command(ada, room, "moderator nick='Bob' on='false'/>") == "", "also a guest who is one"
    assert await command(bob, room, "lock on='false'/>") == "forbidden"
    assert await command(bob, room, "moderator nick='Ada' on='false'/>") == "forbidden"
    assert await command(ada, room, "moderator nick='John' on='false'/>") == "not-allowed"
    assert await command(ada, room, "remove nick='John'/>") == "not-allowed"
    assert await command(ada, room, "moderator nick='John' on='true'/>") == ""
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    got = await enter(ada, room, "Ada")
    assert b'role="moderator"' in [one for one in got if one.attrs["from"] == f"{room}/Ada"][-1].inner
    assert await command(john, room, "moderator nick='Ada' on='false'/>") == ""
    assert await command(ada, room, "lock on='true'/>") == "forbidden"
    assert hall.meeting(room).affiliation("bob@example.com") == "member"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_guests_moderation_ends_with_the_meeting() -> None:
    hall, room, john, bob, ada = await held()
    await command(john, room, "moderator nick='Ada' on='true'/>")
    await command(john, room, "end/>")
    got = await enter(ada, room, "Ada")
    assert b'role="participant"' in [one for one in got if one.attrs["from"] == f"{room}/Ada"][-1].inner
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_rule_for_all() -> None:
    hall, room, john, bob, ada = await held()
    assert await command(john, room, "allow camera='false' screen='0'/>") == ""
    got = ada.take()
    assert ours([one for one in got if has_ours(one, "meeting")][-1], "meeting")["may"] == "microphone chat"
    assert participant(got, "Bob")["may"] == participant(got, "Ada")["may"] == "microphone chat"
    bea = await hall.guest()
    got = await enter(bea, room, "Bea")
    assert participant(got, "Bea")["may"] == "microphone chat"
    assert participant(got, "John")["may"] == EVERYTHING, "moderators may everything"
    assert await command(john, room, "allow screen='true'/>") == ""
    assert participant(bea.take(), "Bea")["may"] == "microphone screen chat"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_exceptions() -> None:
    hall, room, john, bob, ada = await held()
    await command(john, room, "allow microphone='false'/>")
    assert await command(john, room, "allow nick='Ada' microphone='true'/>") == ""
    got = bob.take()
    assert participant(got, "Ada")["may"] == EVERYTHING
    await command(john, room, "allow nick='Bob' chat='false'/>")
    assert participant(bob.take(), "Bob")["may"] == "camera screen"
    await command(john, room, "allow camera='false'/>")
    assert participant(ada.take(), "Ada")["may"] == "microphone screen chat", "what is not named stays"
    await command(john, room, "allow microphone='false'/>")
    assert participant(ada.take(), "Ada")["may"] == "screen chat", "the rule was said anew"
    await command(john, room, "allow nick='Ada' microphone='true'/>")
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert participant(await enter(ada, room, "Ada"), "Ada")["may"] == "screen chat"
    assert await command(john, room, "allow nick='John' chat='false'/>") == "not-allowed"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_chat_is_forbidden() -> None:
    """To everybody, and privately, but not to moderators; reactions and typing notices pass."""
    hall, room, john, bob, ada = await held()
    await command(john, room, "allow chat='false'/>")
    for client in (john, bob, ada):
        client.take()
    for client in (bob, ada):
        await client.send_xml(f"<message to='{room}' type='groupchat'><body>x</body></message>")
        [answer] = client.take("message")
        assert condition(answer) == "forbidden" and b"<denied" in answer.inner and b"chat" in answer.inner
    await bob.send_xml(f"<message to='{room}/Ada' type='chat'><body>psst</body></message>")
    assert condition(bob.take("message")[0]) == "forbidden"
    for inner in ("<html xmlns='http://jabber.org/protocol/xhtml-im'/>", "<x xmlns='jabber:x:oob'><url>u</url></x>",
                  f"<active xmlns='{ns.CHAT_STATES}'/><body>x</body>", "<attention xmlns='urn:xmpp:attention:0'/>"):
        await bob.send_xml(f"<message to='{room}' type='groupchat'>{inner}</message>")
        assert condition(bob.take("message")[0]) == "forbidden", inner
    await bob.send_xml(f"<message to='{room}' type='groupchat'><composing xmlns='{ns.CHAT_STATES}'/></message>")
    assert bob.take("message")[0].type == "groupchat"
    ada.take(), john.take()
    await bob.send_xml(f"<message to='{room}/John' type='chat'><body>please</body></message>")
    await john.send_xml(f"<message to='{room}' type='groupchat'><body>listen</body></message>")
    assert bodies(john.take()) == ["please", "listen"] and bodies(ada.take()) == ["listen"]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_hands() -> None:
    hall, room, john, bob, ada = await held()
    assert await command(ada, room, "hand raised='true'/>") == ""
    raised = participant(bob.take(), "Ada")["hand"]
    assert raised.endswith("Z")
    bob.take()
    assert await command(ada, room, "hand raised='true'/>") == "" and bob.take() == [], "it is up already"
    bea = await hall.guest()
    assert participant(await enter(bea, room, "Bea"), "Ada")["hand"] == raised, "newcomers see it"
    assert await command(bob, room, "hand nick='Ada' raised='false'/>") == "forbidden"
    assert await command(john, room, "hand nick='Bob' raised='true'/>") == "not-allowed"
    assert await command(john, room, "hand nick='Ada' raised='false'/>") == ""
    assert not participant(ada.take(), "Ada").hasAttribute("hand")
    for client in (bob, ada, john):
        await command(client, room, "hand raised='true'/>")
    assert await command(john, room, "hand all='true' raised='false'/>") == ""
    assert hall.meeting(room).hands == {}
    await command(ada, room, "hand raised='true'/>")
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert hall.meeting(room).hands == {}
    assert await command(await hall.guest(), room, "hand raised='true'/>") == "forbidden"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_reactions() -> None:
    hall, room, john, bob, ada = await held()
    await command(john, room, "allow chat='false'/>")
    for client in (john, bob, ada):
        client.take()
    clap = "\N{CLAPPING HANDS SIGN}"

    async def react(text: str, more: str = "") -> None:
        await ada.send_xml(f"<message to='{room}' type='groupchat' id='r'><reaction xmlns='{ns.MEET}'>{text}</reaction>"
                           f"{more}</message>")

    await react(clap, "<body>smuggled</body><x xmlns='jabber:x:oob'/>")
    [told] = bob.take()
    assert str(ours(told, "reaction")) == clap and told.attrs["from"] == f"{room}/Ada" and told.id == "r"
    assert b"smuggled" not in told.inner and b"oob" not in told.inner and b"no-store" in told.inner
    assert has_ours(ada.take()[0], "reaction"), "the sender, too"
    for text in ("hello", "", clap * 17, "<b>x</b>"):
        await react(text)
        assert condition(ada.take("message")[0]) == "bad-request"
    assert bob.take() == []
    for _ in range(8):
        await react(clap)
    assert len(bob.take()) == 4 and hall.meeting(room).history is not None and not len(hall.meeting(room).history)
    outside = await hall.guest()
    await outside.send_xml(f"<message to='{room}' type='groupchat'><reaction xmlns='{ns.MEET}'>{clap}</reaction>"
                           "</message>")
    assert condition(outside.take()[0]) == "not-acceptable" and bob.take() == []
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_end_for_all() -> None:
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    await command(john, room, "lock on='true'/>")
    await command(john, room, "moderator nick='Ada' on='true'/>")
    media.join(await token(ada, room))
    for client in (john, bob, ada):
        client.take()
    assert await command(ada, room, "end/>") == ""
    for client, nick in ((john, "John"), (bob, "Bob"), (ada, "Ada")):
        [gone] = client.take("presence")
        assert gone.type == "unavailable" and gone.attrs["from"] == f"{room}/{nick}" and "110" in codes(gone)
        assert b'<ended xmlns="urn:chatd:meet:0" by="Ada"/>' in gone.inner
    assert ("delete", room) in media.asked and media.rooms == {}
    meeting = hall.meeting(room)
    assert not meeting.occupants and not meeting.identities
    assert meeting.present.kept() == {} and meeting.since_ms is None
    assert ours(await asked(bob, room, "meeting"), "meeting")["locked"] == "false"
    assert entered(await enter(bob, room, "Bob")), "the link stays good"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_roles_given_by_another_client() -> None:
    """A plain XMPP client makes a moderator, and takes voice: what may be done follows."""
    hall, room, john, bob, ada = await held()
    admin = "http://jabber.org/protocol/muc#admin"

    async def role(nick: str, value: str) -> None:
        answer = await john.ask_iq("set", f"<query xmlns='{admin}'><item nick='{nick}' role='{value}'/></query>", room)
        assert answer.type == "result"

    await role("Ada", "moderator")
    assert await command(ada, room, "lock on='true'/>") == ""
    await role("Bob", "visitor")
    assert not participant(ada.take(), "Bob").hasAttribute("may"), "nothing"
    bob.take()
    await bob.send_xml(f"<message to='{room}' type='groupchat'><body>x</body></message>")
    assert condition(bob.take("message")[0]) == "forbidden"
    await role("Ada", "participant")
    assert await command(ada, room, "lock on='false'/>") == "forbidden"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_end_to_end_encryption_is_told() -> None:
    hall = await Hall.open(MediaDouble(), recording=True)
    john = await hall.account("john")
    room = await hall.make(john, e2ee="true")
    said = ours([one for one in await enter(john, room, "John") if has_ours(one, "meeting")][0], "meeting")
    assert said["e2ee"] == "true" and said["can-record"] == "false"
    assert await command(john, room, "record on='true'/>") == "not-allowed"
    media = ours(await asked(john, room, "media"), "media")
    assert media["e2ee"] == "true" and json.loads(str(media))["room"] == room
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_server_stops() -> None:
    """Everybody hears of it, nothing is forgotten, and the media of those who come back are not torn down."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    media.join(await token(ada, room))
    media.asked.clear()
    hall.world.router.hooks.tell("server.stopping")
    await hall.world.settle()
    for client in (john, bob, ada):
        assert "332" in codes(client.take("presence")[-1])
    assert media.asked == []
    await hall.close()
