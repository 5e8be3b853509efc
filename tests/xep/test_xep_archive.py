"""The archive: XEP-0313, 0359, 0334, 0441, over the real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted

from chatd.core.archive import ArchivePage, ArchiveQuery, ArchiveRow
from chatd.core.stanza import Stanza
from chatd.xep import archive
from chatd.xep.archive import Archive, bounded
from chatd.xep.message import Messages
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
MAM, SID = "urn:xmpp:mam:2", "urn:xmpp:sid:0"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Messages and their archive."""
    made = await World.open(Roster, Presence, Messages, Archive)
    yield made
    await made.close()


def form(**fields: str | list[str]) -> str:
    """The form of a query; `_` stands for `-`."""
    inner = "".join(
        f"<field var='{var.replace('_', '-')}'>"
        + "".join(f"<value>{value}</value>" for value in ([values] if isinstance(values, str) else values)) + "</field>"
        for var, values in fields.items())
    return f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>{inner}</x>"


def rsm(inner: str) -> str:
    """A page's request."""
    return f"<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"


async def query(client: Client, inner: str = "", to: str = "") -> tuple[list[tuple[str, str]], Any]:
    """(id, text) of each result, and <fin/>."""
    client.take()
    answer = await client.ask_iq("set", f"<query xmlns='{MAM}' queryid='f1'>{inner}</query>", to=to)
    assert answer.type == "result", answer.to_bytes()
    rows = []
    for stanza in client.take("message"):
        result = stanza.element.result
        assert (result.uri, result["queryid"]) == (MAM, "f1")
        assert stanza.attrs["from"] == client.s.jid.bare and stanza.attrs["to"] == client.s.full
        assert result.forwarded.delay["stamp"].endswith("Z")
        rows.append((result["id"], str(result.forwarded.message.body)))
    return rows, answer.element.fin


def ids_by(stanza: Stanza, by: str) -> list[str]:
    """Its stanza-ids of that archive."""
    return [child["id"] for child in stanza.element.elements(SID, "stanza-id") if child["by"] == by]


async def say(client: Client, *texts: str, to: str = BOB) -> None:
    """Chat messages."""
    for text in texts:
        await client.send_xml(f"<message to='{to}' type='chat' id='{text}'><body>{text}</body></message>")


@pytest_twisted.ensureDeferred
async def test_both_sides_have_it_with_ids_of_their_own(world: World) -> None:
    """What was sent and received, in order; the recipient's stanza-id is the id in his archive, and only his."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    await say(alice, "one", "two")
    delivered = bob.take("message")
    await say(bob, "three", to=ALICE + "/a")
    [three] = alice.take("message")
    mine, fin = await query(alice)
    his, _ = await query(bob)
    assert [text for _, text in mine] == [text for _, text in his] == ["one", "two", "three"]
    assert [ids_by(stanza, BOB) for stanza in delivered] == [[his[0][0]], [his[1][0]]]
    assert ids_by(delivered[0], ALICE) == [] and ids_by(three, ALICE) == [mine[2][0]]
    assert fin["complete"] == "true"
    assert (str(fin.set.first), fin.set.first["index"], str(fin.set.last), str(fin.set.count)) == (
        mine[0][0], "0", mine[2][0], "3")


@pytest_twisted.ensureDeferred
async def test_stored_as_it_was_sent(world: World) -> None:
    """Addresses, type, id and content; nothing of ours inside."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    await alice.send_xml(f"<message to='{BOB}/b' type='chat' id='x1' xml:lang='de'><body>Grüße &amp; mehr</body>"
                         "<x xmlns='urn:other' y='1'/></message>")
    for client in (alice, bob):
        client.take()
        await client.ask_iq("set", f"<query xmlns='{MAM}'/>")
        [stanza] = client.take("message")
        message = stanza.element.result.forwarded.message
        assert (message["from"], message["to"], message["type"], message["id"]) == (
            ALICE + "/a", BOB + "/b", "chat", "x1")
        assert str(message.body) == "Grüße & mehr" and message.uri == "jabber:client" and message.x["y"] == "1"
        assert "queryid" not in stanza.element.result.attributes


@pytest_twisted.ensureDeferred
async def test_messages_to_oneself_once(world: World) -> None:
    """To the own address: one row, found by it; to somebody else they are not found by it."""
    alice = await world.client(ALICE + "/a")
    await say(alice, "note", to=ALICE)
    await world.client(BOB + "/b")
    await say(alice, "other")
    rows, _ = await query(alice)
    assert [text for _, text in rows] == ["note", "other"]
    rows, _ = await query(alice, form(**{"with": ALICE}))
    assert [text for _, text in rows] == ["note"]


@pytest_twisted.ensureDeferred
async def test_forged_ids_go_others_stay(world: World) -> None:
    """XEP-0359 3: whatever claims to be the recipient's archive's is deleted, however it is written."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    forged = "".join(
        f"<stanza-id xmlns='{SID}' by='{by}' id='forged'/>" for by in (BOB, " BOB@example.NET", BOB + "/b"))
    kept = f"<stanza-id xmlns='{SID}' by='room@muc.example.com' id='r'/><origin-id xmlns='{SID}' id='o'/>"
    await alice.send_xml(f"<message to='{BOB}' type='chat'>{forged}<body>x</body>{kept}</message>")
    [stanza] = bob.take("message")
    assert b"forged" not in stanza.to_bytes()
    assert ids_by(stanza, "room@muc.example.com") == ["r"] and stanza.has(SID, "origin-id")
    assert len(ids_by(stanza, BOB)) == 1
    secret = "<no-store xmlns='urn:xmpp:hints'/><body>x</body>"
    await alice.send_xml(f"<message to='{BOB}' type='chat'>{forged}{secret}</message>")
    [stanza] = bob.take("message")
    assert not stanza.has(SID, "stanza-id"), "also where none of our own takes its place"
    mine = f"<stanza-id xmlns='{SID}' by='{ALICE}' id='667'/>"
    await alice.send_xml(f"<message to='{BOB}' type='chat'><body>x</body>{mine}</message>")
    assert b"667" not in bob.take("message")[0].to_bytes()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("attributes", "inner", "kept"), [
    ("type='chat'", "<body>x</body>", True),
    ("", "<body>x</body>", True),
    ("type='chat'", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", False),
    ("type='headline'", "<body>x</body>", False),
    ("type='error'", "<body>x</body>", False),
    ("type='chat'", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", False),
    ("type='chat'", "<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", False),
    ("type='chat'", "<z xmlns='urn:z'/><store xmlns='urn:xmpp:hints'/>", True),
])
async def test_what_is_kept(world: World, attributes: str, inner: str, kept: bool) -> None:
    """XEP-0313 6.1.1, XEP-0334: on both sides alike; the id only where there is a row."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    await alice.send_xml(f"<message to='{BOB}/b' {attributes}>{inner}</message>")
    [stanza] = bob.take("message")
    assert bool(ids_by(stanza, BOB)) is kept
    for client in (alice, bob):
        rows, _ = await query(client)
        assert len(rows) == (1 if kept else 0)


@pytest_twisted.ensureDeferred
async def test_pages(world: World) -> None:
    """RSM forward, backward, flipped; complete and count; bounds by id and a single message."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    await say(alice, *"abcdefg")
    rows, _ = await query(alice)
    ids = {text: row_id for row_id, text in rows}

    async def page(inner: str) -> tuple[str, str | None, str, str]:
        found, fin = await query(alice, inner)
        first = fin.set.first
        return ("".join(text for _, text in found), fin.getAttribute("complete"), str(fin.set.count),
                first["index"] if first else "")

    assert await page(rsm("<max>3</max>")) == ("abc", None, "7", "0")
    assert await page(rsm(f"<max>3</max><after>{ids['c']}</after>")) == ("def", None, "7", "3")
    assert await page(rsm(f"<max>3</max><after>{ids['f']}</after>")) == ("g", "true", "7", "6")
    assert await page(rsm("<max>3</max><before/>")) == ("efg", None, "7", "4")
    assert await page(rsm(f"<max>9</max><before>{ids['c']}</before>")) == ("ab", "true", "7", "0")
    assert await page(rsm("<max>3</max><before/>") + "<flip-page/>") == ("gfe", None, "7", "4")
    assert await page(rsm("<max>0</max>")) == ("", None, "7", "")
    assert (await page(form(after_id=ids["b"], before_id=ids["e"])))[:3] == ("cd", "true", "2")
    assert (await page(form(ids=[ids["f"], ids["b"]])))[:3] == ("bf", "true", "2")
    assert (await page(form(**{"with": "carol@example.com"})))[:3] == ("", "true", "0")


@pytest_twisted.ensureDeferred
async def test_refusals(world: World) -> None:
    """Unknown ids and fields, broken forms, somebody else's archive."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    await say(alice, "x")
    for inner, condition in (
            (rsm("<after>12345</after>"), b"item-not-found"), (rsm("<before>no-id</before>"), b"item-not-found"),
            (form(ids=["99"]), b"item-not-found"), (form(before_id="99"), b"item-not-found"),
            (form(unheard_of="1"), b"feature-not-implemented"), (form(start="yesterday"), b"bad-request"),
            (form(**{"with": "@"}), b"jid-malformed"), (rsm("<max>-1</max>"), b"bad-request")):
        answer = await alice.ask_iq("set", f"<query xmlns='{MAM}'>{inner}</query>")
        assert answer.type == "error" and condition in answer.inner, (inner, answer.to_bytes())
    for kind, payload in (("set", "query"), ("get", "query"), ("get", "metadata"), ("get", "prefs")):
        answer = await alice.ask_iq(kind, f"<{payload} xmlns='{MAM}'/>", to=BOB)
        assert answer.type == "error" and b"service-unavailable" in answer.inner
    assert alice.take("message") == []


@pytest_twisted.ensureDeferred
async def test_form_and_metadata(world: World) -> None:
    """XEP-0313 4.1.5 and 5."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    answer = await alice.ask_iq("get", f"<query xmlns='{MAM}'/>")
    fields = {field["var"] for field in answer.element.query.x.elements()}
    assert {"with", "start", "end", "before-id", "after-id", "ids"} < fields
    answer = await alice.ask_iq("get", f"<metadata xmlns='{MAM}'/>")
    assert list(answer.element.metadata.elements()) == []
    await say(alice, "x", "y")
    rows, _ = await query(alice)
    metadata = (await alice.ask_iq("get", f"<metadata xmlns='{MAM}'/>")).element.metadata
    assert (metadata.start["id"], metadata.end["id"]) == (rows[0][0], rows[1][0])
    assert metadata.start["timestamp"].endswith("Z")


@pytest_twisted.ensureDeferred
async def test_preferences(world: World) -> None:
    """XEP-0441: answered as applied, obeyed at once, read again with the account."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    answer = await alice.ask_iq("get", f"<prefs xmlns='{MAM}'/>")
    assert answer.element.prefs["default"] == "always" and answer.element.prefs.always is not None
    wish = f"<prefs xmlns='{MAM}' default='never'><always><jid>carol@example.com</jid></always><never/></prefs>"
    answer = await bob.ask_iq("set", wish)
    assert str(answer.element.prefs.always.jid) == "carol@example.com"
    carol = await world.client("carol@example.com/c")
    await say(alice, "no")
    await say(carol, "yes")
    assert [bool(ids_by(stanza, BOB)) for stanza in bob.take("message")] == [False, True]
    assert [text for _, text in (await query(bob))[0]] == ["yes"]
    assert [text for _, text in (await query(alice))[0]] == ["no"], "the other side decides for itself"
    answer = await bob.ask_iq("set", f"<prefs xmlns='{MAM}' default='roster'><never><jid>{ALICE}</jid></never></prefs>")
    await say(carol, "stranger")
    await bob.ask_iq("set", "<query xmlns='jabber:iq:roster'><item jid='carol@example.com'/></query>")
    await say(carol, "contact")
    assert [text for _, text in (await query(bob))[0]] == ["yes", "contact"]
    assert (await world.store.archive.prefs(bob.s.account.id)).default == "roster"
    answer = await bob.ask_iq("set", f"<prefs xmlns='{MAM}' default='sometimes'/>")
    assert b"bad-request" in answer.inner


@pytest_twisted.ensureDeferred
async def test_default_of_the_configuration(world: World) -> None:
    """archive.default, also when it is changed while running."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    world.settings.archive.default = "never"
    await say(alice, "x")
    world.settings.archive.default = "always"
    await say(alice, "y")
    assert [text for _, text in (await query(alice))[0]] == ["y"]


@pytest_twisted.ensureDeferred
async def test_what_it_has_is_not_refused_for_being_offline(world: World) -> None:
    """Without offline storage the archive counts as kept; what it does not take is refused."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    bob.s.close()
    await say(alice, "x")
    assert alice.take("message") == []
    await alice.send_xml(f"<message to='{BOB}'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>")
    assert [stanza.type for stanza in alice.take("message")] == ["error"]


@pytest_twisted.ensureDeferred
async def test_old_messages_go(world: World) -> None:
    """Retention and `chatctl archive expire`."""
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    await say(alice, "x")
    api = world.apis["archive"]
    [command] = [one for one in api.commands if one.words == "archive expire"]
    with pytest.raises(ValueError):
        command.run({})
    assert await command.run({"days": "1"}) == {"deleted": 0}
    module: Any = world.modules["archive"]
    module._now = lambda: 4e9
    assert await command.run({"days": 1}) == {"deleted": 2}
    assert (await query(alice))[0] == []
    assert module._expire() is None
    world.settings.archive.retention_days = 30
    assert await module._expire() == 0


@pytest_twisted.ensureDeferred
async def test_a_long_page_goes_in_turns_and_stops_with_its_session(world: World, monkeypatch: Any) -> None:
    """Other work is done in between; who leaves in the middle gets no more."""
    monkeypatch.setattr(archive, "_ROWS_A_TURN", 2)
    alice = await world.client(ALICE + "/a")
    await world.client(BOB + "/b")
    await say(alice, *"abcdefg")
    assert "".join(text for _, text in (await query(alice))[0]) == "abcdefg"
    deliver = alice.got.append

    def count(stanza: Stanza) -> None:
        deliver(stanza)
        if len(alice.got) == 3:
            alice.s.close()

    monkeypatch.setattr(alice, "send_stanza", count)
    await alice.send_xml(f"<iq type='set' id='q'><query xmlns='{MAM}'/></iq>")
    await world.settle()
    assert len(alice.take("message")) == 3


def test_pages_are_bounded_in_bytes() -> None:
    """As much as fits, from the side that paging begins at; never nothing."""
    rows = tuple(ArchiveRow(number, 0, bytes(2 << 20)) for number in range(1, 6))
    page = ArchivePage(rows, True, 9, 4)
    forward = bounded(page, ArchiveQuery())
    assert [row.id for row in forward.rows] == [1, 2] and not forward.complete and forward.index == 4
    backward = bounded(page, ArchiveQuery(before=""))
    assert [row.id for row in backward.rows] == [4, 5] and not backward.complete and backward.index == 7
    huge = ArchivePage((ArchiveRow(1, 0, bytes(9 << 20)),), True, 1, 0)
    assert bounded(huge, ArchiveQuery()) is huge


SEARCH = "{urn:xmpp:fulltext:0}fulltext"


@pytest_twisted.ensureDeferred
async def test_search(world: World) -> None:
    """XEP-0431: both sides' words; one's own archive only; a bounded number of times a minute."""
    alice = await world.client(ALICE + "/a")
    bob = await world.client(BOB + "/b")
    await say(alice, "Lunch at noon?", "Or later?")
    await say(bob, "Noon it is", to=ALICE)
    noon = form(**{SEARCH: "NOON"})
    rows, fin = await query(alice, noon + rsm("<before/>"))
    assert [text for _, text in rows] == ["Lunch at noon?", "Noon it is"] and fin["complete"] == "true"
    rows, _ = await query(alice, form(**{SEARCH: "noon lunch", "with": BOB}))
    assert [text for _, text in rows] == ["Lunch at noon?"]
    rows, fin = await query(alice, form(**{SEARCH: "dinner"}))
    assert rows == [] and fin["complete"] == "true"
    refused = None
    for _ in range(30):
        answer = await alice.ask_iq("set", f"<query xmlns='{MAM}'>{noon}</query>")
        if answer.type == "error":
            refused = answer.element.error
            break
    assert refused is not None and refused["type"] == "wait"
    assert refused.firstChildElement().name == "resource-constraint"
    rows, _ = await query(alice)
    assert len(rows) == 3, "reading goes on"
    rows, _ = await query(bob, noon)
    assert len(rows) == 2
