"""Trials of the way to the media server: for whoever has the link, in a room of their own, few at a time, soon over."""

from __future__ import annotations

import json

import pytest_twisted
from twisted.internet.task import Clock

from chatd.xep.meet.trial import ALL_MOST, PERSON_MOST, TRIAL_S
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import SERVICE, Hall, asked, command, ours
from tests.xep.rooms import condition
from tests.xep.test_meet_moderating import held


def clock_of(hall: Hall) -> Clock:
    """What its trials go by, from now on."""
    clock = hall.meet.services[SERVICE].trials.clock = Clock()
    return clock


@pytest_twisted.ensureDeferred
async def test_a_trial() -> None:
    """A guest outside, before any password or lobby: nothing of the meeting can be reached with the token."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    clock = clock_of(hall)
    await command(john, room, "lobby on='true'/>")
    await command(john, room, "password>swordfish</password>")
    outside = await hall.guest()
    said = ours(await asked(outside, room, "trial"), "trial")
    assert said["url"] == "wss://chat.example.com" and said["expires"].endswith("Z")
    claims = json.loads(str(said))
    assert claims["room"].startswith("trial-") and claims["room"] != room and len(claims["room"]) > 20
    assert not claims["publish"] and not claims["subscribe"] and not claims["data"] and claims["ttl"] == TRIAL_S
    assert hall.meet.admits(claims["room"], claims["identity"]) and not hall.meet.admits(room, claims["identity"])
    media.join(str(said))
    await hall.world.settle()
    assert set(media.rooms[claims["room"]]) == {claims["identity"]}
    assert not any(claims["identity"].encode() in one.to_bytes() for one in john.take()), "nobody hears of it"
    clock.advance(TRIAL_S)
    await hall.world.settle()
    assert claims["room"] not in media.rooms
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_limits() -> None:
    """Few of one person, and of all; after half a minute there are others."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    clock = clock_of(hall)
    for _ in range(PERSON_MOST):
        assert (await asked(ada, room, "trial")).type == "result"
    assert condition(await asked(ada, room, "trial")) == "resource-constraint"
    for at in range((ALL_MOST - PERSON_MOST) // PERSON_MOST + 1):
        guest = await hall.guest(source=f"198.51.100.{at}")
        answers = [await asked(guest, room, "trial") for _ in range(PERSON_MOST)]
    assert condition(answers[-1]) == "resource-constraint"
    clock.advance(TRIAL_S)
    await hall.world.settle()
    assert (await asked(ada, room, "trial")).type == "result"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_refusals() -> None:
    """Not for who was removed, not where there is no meeting, no media server, or none that answers; nothing is set."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    assert await command(john, room, "remove nick='Bob'/>") == ""
    assert condition(await asked(bob, room, "trial")) == "forbidden"
    assert await command(john, room, "remove nick='Ada'/>") == ""
    assert condition(await asked(ada, room, "trial")) == "forbidden", "a guest neither"
    assert condition(await asked(john, "talk-aaaaaaaaaaaaaaaaaaaa@meet.example.com", "trial")) == "item-not-found"
    assert await command(john, room, "trial/>") == "service-unavailable", "an iq of type set"
    await hall.close()
    without = await Hall.open(None)
    owner = await without.account("john")
    assert condition(await asked(owner, await without.make(owner), "trial")) == "service-unavailable"
    await without.close()


@pytest_twisted.ensureDeferred
async def test_a_media_server_that_is_away() -> None:
    """The room cannot be deleted: it ends by itself, and nothing is logged as a mistake of ours."""
    media = MediaDouble()
    hall, room, john, bob, ada = await held(media)
    clock = clock_of(hall)
    assert (await asked(ada, room, "trial")).type == "result"
    media.broken = True
    clock.advance(TRIAL_S)
    await hall.world.settle()
    media.broken = False
    assert (await asked(ada, room, "trial")).type == "result"
    await hall.close()
