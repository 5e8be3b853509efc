"""chatctl's commands about rooms: what they show, what they change, what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred

from chatd.core.errors import StanzaError
from tests.xep.rooms import ROOM, codes, condition, enter, make, nicks, rooms, standing
from tests.xep.world import World


async def run(world: World, words: str, **arguments: Any) -> Any:
    """What the command answers."""
    [command] = [one for one in world.apis["muc"].commands if one.words == words]
    result = await maybeDeferred(command.run, arguments)
    await world.settle()
    return result


async def refusal(world: World, words: str, **arguments: Any) -> str:
    """The condition it is refused with."""
    with pytest.raises(StanzaError) as refused:
        await run(world, words, **arguments)
    assert refused.value.text
    return str(refused.value.condition)


@pytest_twisted.ensureDeferred
async def test_make_and_look() -> None:
    """A room made so is open, its owner owns it, and its settings are as typed; it is there after a restart."""
    world = await rooms()
    assert await run(world, "room list") == []
    made = await run(world, "room create", room=ROOM, owner="a@example.com", roomname="Attic", membersonly=True,
                     presencebroadcast="moderator, visitor", maxusers=20)
    assert made == {"room": ROOM, "owner": "a@example.com"}
    assert await refusal(world, "room create", room=ROOM, owner="a@example.com") == "conflict"
    b = await world.client("b@example.com/1")
    assert condition((await enter(b, "bob"))[0]) == "registration-required"
    a = await world.client("a@example.com/1")
    assert standing((await enter(a, "ann"))[0]) == ("owner", "moderator")
    [listed] = await run(world, "room list", domain="example.com")
    assert listed == {"room": ROOM, "name": "Attic", "occupants": 1, "kind": ["members only"]}
    assert await run(world, "room list", domain="conference.example.net") == []
    shown = await run(world, "room show", room=ROOM)
    assert (shown["owners"], shown["members"], shown["locked"]) == (["a@example.com"], 0, False)
    assert shown["created"] > 1_000_000_000
    [inside] = await run(world, "room occupants", room=ROOM)
    assert inside == {"nick": "ann", "jid": "a@example.com", "role": "moderator", "affiliation": "owner",
                      "clients": ["a@example.com/1"]}
    [row] = await world.store.rooms.load()
    assert row.persistent and row.config["broadcast"] == ["moderator", "visitor"] and row.config["max_users"] == 20
    await world.close()


@pytest_twisted.ensureDeferred
async def test_an_import_that_broke_off() -> None:
    """Its room lets nobody in and is not exported; once it is deleted another of its name is like any other."""
    world = await rooms()
    half = {"room": ROOM, "secret": "A" * 24, "affiliates": [{"jid": "a@example.com", "affiliation": "owner"}]}
    await run(world, "import room", **half)
    assert await refusal(world, "export room", room=ROOM) == "item-not-found"
    await run(world, "room destroy", room=ROOM)
    assert await refusal(world, "import room-done", room=ROOM) == "unexpected-request"
    await run(world, "room create", room=ROOM, owner="b@example.com")
    exported = await run(world, "export room", room=ROOM)
    assert [one["jid"] for one in exported["affiliates"]] == ["b@example.com"]
    assert (await run(world, "export room-archive", room=ROOM))["messages"] == []
    await run(world, "room destroy", room=ROOM)
    await run(world, "import room", **half)
    assert await run(world, "import room-done", room=ROOM) == {"room": ROOM, "owners": ["a@example.com"]}
    await world.close()


@pytest_twisted.ensureDeferred
async def test_settings() -> None:
    """Shown by short names, never the password; what changes is told to those inside."""
    world = await rooms()
    a = await world.client("a@example.com/1")
    await make(a, "ann")
    shown = await run(world, "room config", room=ROOM, passwordprotectedroom="true", roomsecret="sesame",
                      whois="anyone")
    assert shown["roomsecret"] == "set" and shown["passwordprotectedroom"] is True
    assert codes(a.take("message")[0]) == ["104", "171", "172"]
    assert (await run(world, "room config", room=ROOM))["whois"] == "anyone"
    assert await refusal(world, "room config", room=ROOM, moon=1) == "item-not-found"
    assert await refusal(world, "room config", room=ROOM, roomsecret="") == "not-acceptable"
    assert await refusal(world, "room config", room=ROOM, maxusers=5000) == "not-acceptable"
    await run(world, "room config", room=ROOM, persistentroom=False)
    await a.send_xml(f"<presence to='{ROOM}/ann' type='unavailable'/>")
    assert await refusal(world, "room show", room=ROOM) == "item-not-found"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_affiliations() -> None:
    """The list with requests, changes that those inside see, the last owner, whole domains."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    await make(a, "ann")
    await enter(b, "bob")
    changed = await run(world, "room affiliation", room=ROOM, jid="b@example.com", affiliation="admin", reason="so")
    assert changed == {"room": ROOM, "jid": "b@example.com", "affiliation": "admin"}
    assert standing(b.take("presence")[0]) == ("admin", "moderator")
    listed = await run(world, "room affiliation", room=ROOM)
    assert [(one["jid"], one["affiliation"], one["reason"]) for one in listed] == [
        ("a@example.com", "owner", ""), ("b@example.com", "admin", "so")]
    assert await refusal(world, "room affiliation", room=ROOM, jid="a@example.com", affiliation="none") == "conflict"
    assert await refusal(world, "room affiliation", room=ROOM, jid="b@example.com", affiliation="king") == "bad-request"
    assert await refusal(world, "room affiliation", room=ROOM, jid="example.net", affiliation="member") == (
        "jid-malformed")
    await run(world, "room affiliation", room=ROOM, jid="example.com", affiliation="outcast")
    assert nicks(b.take(), "unavailable") == [], "who has a standing of his own keeps it"
    c = await world.client("c@example.com/1")
    assert condition((await enter(c, "cat"))[0]) == "forbidden"
    await world.close()


@pytest_twisted.ensureDeferred
async def test_kick_and_destroy() -> None:
    """307 without an actor; then all hear where to go, and nothing is left."""
    world = await rooms()
    a, b = await world.client("a@example.com/1"), await world.client("b@example.com/1")
    await make(a, "ann")
    await enter(b, "bob")
    kicked = await run(world, "room kick", room=ROOM, nick="bob", reason="noise")
    assert kicked == {"room": ROOM, "nick": "bob", "jid": "b@example.com"}
    assert codes(b.take()[-1]) == ["110", "307"]
    assert await refusal(world, "room kick", room=ROOM, nick="bob") == "item-not-found"
    a.take()
    gone = await run(world, "room destroy", room=ROOM, alternate="cellar@conference.example.com", reason="dust")
    assert gone == {"room": ROOM, "occupants": 1}
    [told] = a.take("presence")
    assert b'<destroy jid="cellar@conference.example.com"><reason>dust</reason>' in told.inner
    assert await world.store.rooms.load() == []
    await world.close()


@pytest_twisted.ensureDeferred
async def test_wrong_arguments() -> None:
    """Each says what is wrong; nothing is made."""
    world = await rooms()
    for room, expected in (("", "bad-request"), ("@", "jid-malformed"), ("attic@example.com", "item-not-found"),
                           ("conference.example.com", "item-not-found"), (f"{ROOM}/x", "item-not-found"),
                           (ROOM, "item-not-found")):
        assert await refusal(world, "room show", room=room) == expected, room
    assert await refusal(world, "room list", domain="example.org") == "item-not-found"
    for owner in ("", "example.com"):
        assert await refusal(world, "room create", room=ROOM, owner=owner) in ("bad-request", "jid-malformed")
    assert await refusal(world, "room create", room=ROOM, owner="a@example.com", persistentroom=False) == (
        "not-acceptable")
    assert await refusal(world, "room create", room=ROOM, owner="a@example.com", whois="nobody") == "not-acceptable"
    assert await run(world, "room list") == [] and await world.store.rooms.load() == []
    await world.close()
