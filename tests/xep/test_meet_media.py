"""Sound and picture: tokens for occupants only, grants that follow what is allowed, and nobody stays who has left."""

from __future__ import annotations

import json

import pytest_twisted
from twisted.internet.defer import Deferred

from chatd.core.media import MediaError, MediaParticipant, MediaRoom
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import asked, command, enter, entered, ours, participant, token
from tests.xep.rooms import condition
from tests.xep.test_meet_moderating import held
from tests.xep.world import Client

ALL = ("microphone", "camera", "screen_share", "screen_share_audio")


@pytest_twisted.ensureDeferred
async def test_only_occupants_get_a_token() -> None:
    """Not the owner outside, not somebody who waits, not somebody who has left, nor by another's address."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    outside, carol = await hall.guest(), await hall.account("carol")
    await command(john, room, "lobby on='true'/>")
    for client in (outside, carol):
        assert condition(await asked(client, room, "media")) == "forbidden"
    second = await hall.account("john", "phone")
    assert condition(await asked(second, room, "media")) == "forbidden", "another client of an occupant"
    answer = await asked(ada, room, "media")
    said = ours(answer, "media")
    assert said["url"] == "wss://chat.example.com" and said["expires"].endswith("Z")
    claims = json.loads(str(said))
    assert claims["identity"] == said["identity"] and claims["room"] == room and claims["name"] == "Ada"
    assert set(claims["sources"]) == set(ALL) and claims["publish"] and not claims["data"] and claims["ttl"] <= 600
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert condition(await asked(ada, room, "media")) == "forbidden"
    assert condition(await ada.ask_iq("get", "<media xmlns='urn:chatd:meet:0'/>", f"{room}/John")) == "not-acceptable"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_identities() -> None:
    """One a seat, shown to everybody, the same as long as it sits, and another one afterwards."""
    hall, room, john, bob, ada = await held(MediaDouble())
    first = ours(await asked(ada, room, "media"), "media")["identity"]
    assert participant(bob.take(), "Ada")["media"] == first
    bob.take()
    assert ours(await asked(ada, room, "media"), "media")["identity"] == first and bob.take() == []
    phone = await hall.account("bob", "phone")
    await enter(phone, room, "Bob")
    tablet = ours(await asked(phone, room, "media"), "media")["identity"]
    desk = ours(await asked(bob, room, "media"), "media")["identity"]
    assert set(participant(ada.take(), "Bob")["media"].split()) == {desk, tablet} and desk != tablet
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    await enter(ada, room, "Ada")
    again = ours(await asked(ada, room, "media"), "media")["identity"]
    assert again != first
    assert entered(await enter(ada, room, "Ada")), "a client that has lost track and enters again"
    assert ours(await asked(ada, room, "media"), "media")["identity"] == again
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_whoever_leaves_loses_the_media_at_once() -> None:
    """By leaving, by kick, by ban, by removal, by the end of the session; with one of several clients, that one."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)

    async def joined(client: Client) -> str:
        identity = media.join(await token(client, room), "camera")
        assert identity in media.rooms[room]
        return identity

    async def come() -> tuple[Client, str]:
        guest = await hall.guest(source=f"198.51.100.{len(media.asked) % 250}")
        assert entered(await enter(guest, room, "Bea"))
        return guest, await joined(guest)

    admin = "http://jabber.org/protocol/muc#admin"
    for way in ("leave", "kick", "ban", "remove", "session"):
        guest, identity = await come()
        if way == "leave":
            await guest.send_xml(f"<presence to='{room}/Bea' type='unavailable'/>")
        elif way == "session":
            guest.s.close(None)
            await hall.world.settle()
        elif way == "remove":
            assert await command(john, room, "remove nick='Bea'/>") == ""
        else:
            what = "role='none'" if way == "kick" else "affiliation='outcast'"
            await john.ask_iq("set", f"<query xmlns='{admin}'><item nick='Bea' {what}/></query>", room)
        assert identity not in media.rooms[room] and ("remove", identity) in media.asked, way
        hall.meeting(room).present.sources.clear()
    phone = await hall.account("bob", "phone")
    await enter(phone, room, "Bob")
    desk, hand = await joined(bob), await joined(phone)
    await phone.send_xml(f"<presence to='{room}/Bob' type='unavailable'/>")
    assert hand not in media.rooms[room] and desk in media.rooms[room]
    assert participant(ada.take(), "Bob")["media"] == desk
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_token_is_worth_nothing_afterwards() -> None:
    """Forged, kept back, or another meeting's: who turns up without a seat is put out."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    kept = await token(ada, room)
    await command(john, room, "remove nick='Ada'/>")
    identity = media.join(kept)
    await hall.world.settle()
    assert identity not in media.rooms[room]
    admits = hall.meet.admits
    assert not admits(room, identity) and not admits(room, "") and not admits("x@meet.example.com", identity)
    assert admits("a room of somebody else's", "anybody")
    assert admits(room, ours(await asked(bob, room, "media"), "media")["identity"])
    forged = json.dumps(json.loads(kept) | {"identity": "forged"})
    media.join(forged)
    await hall.world.settle()
    assert "forged" not in media.rooms[room]
    other = await hall.make(john)
    elsewhere = json.dumps(json.loads(await token(bob, room)) | {"room": other})
    media.join(elsewhere)
    await hall.world.settle()
    assert media.rooms[other] == {}
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_what_is_forbidden_is_taken_from_the_media_server() -> None:
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    identities = {name: media.join(await token(client, room), "microphone", "camera")
                  for name, client in (("john", john), ("bob", bob), ("ada", ada))}

    def sources(name: str) -> tuple[str, ...]:
        grants = media.grants[identities[name]]
        return grants.sources if grants.may_publish else ()

    assert await command(john, room, "allow microphone='false'/>") == ""
    assert sources("john") == ALL
    assert sources("bob") == sources("ada") == ("camera", "screen_share", "screen_share_audio")
    assert await command(john, room, "allow nick='Ada' microphone='true'/>") == ""
    assert "microphone" in sources("ada") and "microphone" not in sources("bob")
    assert await command(john, room, "allow camera='false' screen='false'/>") == ""
    assert sources("ada") == ("microphone",) and sources("bob") == ()
    assert not media.grants[identities["bob"]].may_publish and media.grants[identities["bob"]].may_subscribe
    claims = json.loads(await token(bob, room))
    assert claims["publish"] is False, "and in new tokens"
    assert await command(john, room, "moderator nick='Bob' on='true'/>") == "" and sources("bob") == ALL
    assert await command(john, room, "moderator nick='Bob' on='false'/>") == "" and sources("bob") == ()
    assert all(not grants.may_publish_data for grants in media.grants.values())
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_a_token_from_before_the_change() -> None:
    """It was given when the camera was allowed, and is used when it is not any more."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    old = await token(ada, room)
    await command(john, room, "allow camera='false'/>")
    identity = media.join(old)
    assert "camera" not in media.grants[identity].sources
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_muting() -> None:
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    ids = [media.join(await token(client, room), "microphone", "camera", "screen_share", "screen_share_audio")
           for client in (john, bob, ada)]

    def muted(number: int) -> list[str]:
        return [track.source for track in media.rooms[room][ids[number]].tracks if track.is_muted]

    assert await command(john, room, "mute nick='Ada' source='microphone'/>") == ""
    assert muted(2) == ["microphone"] and muted(1) == []
    assert await command(john, room, "mute source='microphone'/>") == ""
    assert muted(1) == ["microphone"] and muted(0) == [], "not the moderators"
    assert await command(john, room, "mute nick='Bob' source='screen'/>") == ""
    assert muted(1) == ["microphone", "screen_share", "screen_share_audio"]
    count = len([one for one in media.asked if one[0] == "mute"])
    assert await command(john, room, "mute nick='Bob' source='screen'/>") == ""
    assert len([one for one in media.asked if one[0] == "mute"]) == count, "what is off is not switched off again"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_the_media_server_is_away() -> None:
    """Chat and rules work on; nothing fails for it, and what was missed is made good."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    identity = media.join(await token(ada, room), "camera")
    johns = media.join(await token(john, room), "camera")
    bobs = media.join(await token(bob, room), "camera")
    media.broken = True
    assert await command(john, room, "mute nick='Ada' source='camera'/>") == "service-unavailable"
    assert await command(john, room, "allow camera='false'/>") == ""
    assert participant(ada.take(), "Ada")["may"] == "microphone screen chat"
    await ada.send_xml(f"<presence to='{room}/Ada' type='unavailable'/>")
    assert identity in media.rooms[room], "could not be told"
    await hall.meet._check()
    media.broken = False
    media.asked.clear()
    await hall.meet._check()
    await hall.world.settle()
    assert identity not in media.rooms[room]
    told = [one for one in media.asked if one[0] == "grant"]
    assert [one[1] for one in told] == [bobs] and "camera" not in told[0][2], "told to it again"
    media.asked.clear()
    await hall.meet._check()
    await hall.world.settle()
    assert johns in media.rooms[room] and not [one for one in media.asked if one[0] == "grant"]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_without_media() -> None:
    hall, room, john, bob, ada = await held(None)
    assert condition(await asked(ada, room, "media")) == "service-unavailable"
    assert await command(john, room, "allow camera='false'/>") == ""
    assert await command(john, room, "mute source='camera'/>") == ""
    assert await command(john, room, "record on='true'/>") == "not-allowed"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_hidden_ones_and_other_rooms_are_left_alone() -> None:
    """A recorder of the engine's own, and rooms that are none of ours."""
    media = MediaDouble()
    hall, room, *_ = await held(media)
    recorder = MediaParticipant(sid="PA_r", identity="recorder", is_hidden=True)
    stranger = MediaParticipant(sid="PA_s", identity="stranger")
    media.rooms = {room: {"recorder": recorder}, "elsewhere": {"stranger": stranger}, "x@meet.example.com": {}}
    for name, who in ((room, recorder), ("elsewhere", stranger), ("x@meet.example.com", stranger)):
        media.tell("participant_joined", room=MediaRoom(sid="RM", name=name), participant=who)
    await hall.meet._check()
    await hall.world.settle()
    assert not [one for one in media.asked if one[0] == "remove"]
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_one_thing_after_the_other() -> None:
    """The engine's answers come late: what was decided last is what it is told last."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    media.join(await token(ada, room))
    waiting: list[Deferred[None]] = []
    told: list[tuple[str, ...]] = []
    original = media.update_participant

    def slow(room: str, identity: str, **more: object) -> Deferred[object]:
        done: Deferred[object] = Deferred()
        waiting.append(done)        # type: ignore[arg-type]
        told.append(more["grants"].sources)     # type: ignore[attr-defined]
        return done.addCallback(lambda _: original(room, identity, **more))     # type: ignore[arg-type]

    media.update_participant = slow     # type: ignore[method-assign,assignment]
    await command(john, room, "allow camera='false'/>")
    await command(john, room, "allow camera='true'/>")
    assert len(waiting) == 1, "the second waits for the first"
    waiting.pop().callback(None)
    await hall.world.settle()
    waiting.pop().errback(MediaError("unavailable", "gone"))
    await hall.world.settle()
    assert len(told) == 2 and "camera" not in told[0] and "camera" in told[1]
    await hall.close()
