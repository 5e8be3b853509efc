"""Owners find their meetings, see who is in them, end and delete them, without being in one."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.words.xish import domish

from chatd.core import ns
from chatd.xep.meet import owning
from tests.xep.media_double import MediaDouble
from tests.xep.meetings import SERVICE, Hall, command, enter, entered, has_ours, ours
from tests.xep.rooms import condition
from tests.xep.world import Client

LIST = f"<meetings xmlns='{ns.MEET}'/>"
DESTROY = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>"


async def listed(client: Client) -> domish.Element:
    """The answer to <meetings/>."""
    answer = await client.ask_iq("get", LIST, SERVICE)
    assert answer.type == "result", answer.to_bytes()
    return ours(answer, "meetings")


def names(found: domish.Element) -> list[str]:
    """Of the meetings in it."""
    return [meeting["name"] for meeting in found.elements()]


@pytest_twisted.ensureDeferred
async def test_the_list() -> None:
    """One's own and those one is admin of, none of others; those with people first."""
    hall = await Hall.open(MediaDouble())
    john, bob = await hall.account("john"), await hall.account("bob")
    empty = await listed(john)
    assert (empty["media"], empty["create"], empty["complete"]) == ("true", "true", "true")
    assert empty["links"] == "https://chat.example.com/meet/" and not names(empty)
    await hall.make(john, "First")
    second = await hall.make(john, "Second", inner="<password>swordfish</password>")
    bobs = await hall.make(bob, "Bob&apos;s")
    await enter(john, second, "John", "swordfish")
    guest = await hall.guest()
    await enter(guest, second, "Ada &lt;3", "swordfish")
    found = await listed(john)
    assert names(found) == ["Second", "First"]
    first = next(found.elements())
    assert (first["occupants"], first["password"], first["affiliation"]) == ("2", "true", "owner")
    assert first["room"] == second and first["link"].endswith(first["id"]) and first["expires"] > first["used"]
    assert [person["nick"] for person in first.elements()] == ["Ada <3", "John"]
    assert "swordfish" not in found.toXml()
    assert names(await listed(bob)) == ["Bob's"]
    await enter(bob, bobs, "Bob")
    await enter(john, bobs, "John")
    assert await command(bob, bobs, "moderator nick='John' on='true'/>") == ""
    shown = {meeting["name"]: meeting["affiliation"] for meeting in (await listed(john)).elements()}
    assert shown == {"Bob's": "admin", "Second": "owner", "First": "owner"}
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_what_is_off() -> None:
    hall = await Hall.open(create="nobody")
    found = await listed(await hall.account("john"))
    assert (found["media"], found["create"]) == ("false", "false")
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_not_for_guests() -> None:
    hall = await Hall.open()
    for client in (await hall.guest(), await hall.world.client("eve@example.net/a")):
        assert condition(await client.ask_iq("get", LIST, SERVICE)) == "not-allowed"
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_no_answer_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owning, "LISTED_MOST", 2)
    monkeypatch.setattr(owning, "PEOPLE_MOST", 1)
    hall = await Hall.open()
    john, bob = await hall.account("john"), await hall.account("bob")
    for name in ("One", "Two"):
        await hall.make(john, name)
    room = await hall.make(john, "Three")
    await enter(john, room, "John")
    await enter(bob, room, "Bob")
    found = await listed(john)
    assert found["complete"] == "false" and len(names(found)) == 2
    first = next(found.elements())
    assert first["name"] == "Three" and first["occupants"] == "2" and len(list(first.elements())) == 1
    await hall.close()


@pytest_twisted.ensureDeferred
async def test_ended_and_deleted_from_outside() -> None:
    hall = await Hall.open()
    john, bob = await hall.account("john"), await hall.account("bob")
    room = await hall.make(john)
    await enter(bob, room, "Bob")
    eve, guest = await hall.account("eve"), await hall.guest()
    for stranger in (eve, guest):
        assert await command(stranger, room, "end/>") == "forbidden"
    assert await command(bob, room, "end/>") == "forbidden", "he is in, and no moderator"
    bob.take()
    assert await command(john, room, "end/>") == ""
    gone = [stanza for stanza in bob.take() if stanza.name == "presence"]
    assert gone and gone[-1].type == "unavailable" and b"<ended" in gone[-1].inner
    assert entered(await enter(bob, room, "Bob")), "its link stays good"
    assert condition(await eve.ask_iq("set", DESTROY, room)) == "forbidden"
    assert (await john.ask_iq("set", DESTROY, room)).type == "result"
    assert not names(await listed(john))
    assert not any(has_ours(stanza, "meetings") for stanza in bob.take())
    await hall.close()
