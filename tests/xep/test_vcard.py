"""vCards, their photo's hash in presence, private storage, last activity: XEP-0054, 0153, 0049, 0012."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha1

import pytest
import pytest_twisted

from chatd.xep.avatar import Avatar
from chatd.xep.caps.caps import Caps
from chatd.xep.disco import Disco
from chatd.xep.last import Last
from chatd.xep.message import Messages
from chatd.xep.pep.pep import Pep
from chatd.xep.presence import Presence
from chatd.xep.private import Private
from chatd.xep.roster import Roster
from chatd.xep.vcard import VCard
from tests.xep.world import Client, World

ALICE, BOB = "alice@example.com", "bob@example.net"
PHOTO = b"\x89PNG and so on"
HASH = sha1(PHOTO).hexdigest()
UPDATE = "vcard-temp:x:update"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """What an account says of itself."""
    made = await World.open(Roster, Presence, Messages, Disco, Caps, Pep, VCard, Avatar, Private, Last)
    yield made
    await made.close()


def card(photo: bytes | None = PHOTO, name: str = "Alice &amp; Co") -> str:
    """A vCard as a client sends it, with white space in its photo."""
    text = "" if photo is None else b64encode(photo).decode()
    binval = "" if photo is None else f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{text[:4]}\n  {text[4:]}</BINVAL></PHOTO>"
    return f"<vCard xmlns='vcard-temp'><FN>{name}</FN>{binval}</vCard>"


async def subscribe(watcher: Client, watched: Client) -> None:
    """The one sees the other's presence."""
    await watcher.send_xml(f"<presence to='{watched.s.jid.bare}' type='subscribe'/>")
    await watched.send_xml(f"<presence to='{watcher.s.jid.bare}' type='subscribed'/>")
    watcher.take(), watched.take()


@pytest_twisted.ensureDeferred
async def test_vcard(world: World) -> None:
    """Kept as it came; readable by everybody, also while its owner is away; set by its owner only."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    empty = await alice.ask_iq("get", "<vCard xmlns='vcard-temp'/>")
    assert empty.type == "result" and empty.element.vCard.children == []
    unknown = await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to="nobody@example.com")
    missing = await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)
    assert missing.type == unknown.type == "error" and missing.inner == unknown.inner
    assert (await alice.ask_iq("set", card())).type == "result"
    alice.s.close()
    found = (await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)).element.vCard
    assert str(found.FN) == "Alice & Co" and str(found.PHOTO.TYPE) == "image/png"
    assert (await bob.ask_iq("set", card(name="Mallory"), to=ALICE)).type == "error"
    again = await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)
    assert b"Mallory" not in again.inner


@pytest_twisted.ensureDeferred
async def test_vcard_refused(world: World) -> None:
    """Over limits.vcard_bytes, or a photo that is no base64; the former one stays."""
    alice = await world.client(ALICE + "/a")
    await alice.ask_iq("set", card())
    answer = await alice.ask_iq("set", card(bytes(4096)))
    assert b"not-acceptable" in answer.inner and b"limits.vcard_bytes" in answer.inner
    answer = await alice.ask_iq("set", "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>%%%</BINVAL></PHOTO></vCard>")
    assert b"bad-request" in answer.inner
    assert b"Alice" in (await alice.ask_iq("get", "<vCard xmlns='vcard-temp'/>")).inner


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("sent", "expected"), [
    ("", HASH),
    (f"<x xmlns='{UPDATE}'/>", HASH),
    (f"<x xmlns='{UPDATE}'><photo>{'0' * 40}</photo></x>", HASH),
    (f"<x xmlns='{UPDATE}'><photo>{HASH.upper()}</photo></x>", HASH.upper()),
    (f"<x xmlns='{UPDATE}'><photo/></x>", ""),
])
async def test_photo_in_presence(world: World, sent: str, expected: str) -> None:
    """The hash the server knows, for whoever does not say that he wants none; the rest untouched (XEP-0398 4)."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await subscribe(bob, alice)
    await alice.ask_iq("set", card())
    bob.take()
    await alice.send_xml(f"<presence>{sent}<status>there &amp; well</status></presence>")
    [presence] = bob.take("presence")
    assert str(presence.element.status) == "there & well"
    updates = list(presence.element.elements(UPDATE, "x"))
    assert [str(update.photo) for update in updates] == [expected]


@pytest_twisted.ensureDeferred
async def test_photo_in_the_first_presence(world: World) -> None:
    """Also after a restart, and in what is sent to one address, such as a room."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await subscribe(bob, alice)
    await alice.ask_iq("set", card())
    alice.s.close()
    world.router.accounts.forget(ALICE)
    bob.take()
    alice = await world.client(ALICE + "/a", available=False)
    await alice.send_xml("<presence/>")
    assert [HASH.encode() in stanza.inner for stanza in bob.take("presence")] == [True]
    await alice.send_xml(f"<presence to='{BOB}/b'/>")
    assert [HASH.encode() in stanza.inner for stanza in bob.take("presence")] == [True]
    await alice.send_xml(f"<presence to='{BOB}/b' type='unavailable'/><presence type='unavailable'/>")
    assert [stanza.inner for stanza in bob.take("presence")] == [b"", b""]


@pytest_twisted.ensureDeferred
async def test_photo_changes(world: World) -> None:
    """Contacts are told at once, also that there is none any more; a client that wants none is left alone."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    shy = await world.client(ALICE + "/shy")
    await subscribe(bob, alice)
    await shy.send_xml(f"<presence><x xmlns='{UPDATE}'><photo/></x></presence>")
    await alice.send_xml("<presence><status>there</status></presence>")
    assert [UPDATE.encode() in stanza.inner for stanza in bob.take("presence")] == [True, False]
    for photo in (PHOTO, b"other", None, b"third"):
        await alice.ask_iq("set", card(photo))
        [presence] = bob.take("presence")
        assert presence.attrs["from"] == alice.s.full and str(presence.element.status) == "there"
        [update] = presence.element.elements(UPDATE, "x")
        assert str(update.photo) == ("" if photo is None else sha1(photo).hexdigest())
    await alice.ask_iq("set", card(b"third", name="Another name"))
    assert bob.take("presence") == [], "the picture is the same"


@pytest_twisted.ensureDeferred
async def test_private(world: World) -> None:
    """Kept under name and namespace, several at once; empty where there is nothing; one's own only."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    inner = "<a xmlns='urn:1'><b y='&lt;'>ü &amp; z</b></a><a xmlns='urn:2'/>"
    assert (await alice.ask_iq("set", f"<query xmlns='jabber:iq:private'>{inner}</query>")).type == "result"
    answer = await alice.ask_iq("get", "<query xmlns='jabber:iq:private'><a xmlns='urn:1'/></query>")
    found = answer.element.query.a
    assert (found.uri, found.b["y"], str(found.b)) == ("urn:1", "<", "ü & z")
    answer = await alice.ask_iq("get", "<query xmlns='jabber:iq:private'><a xmlns='urn:3'/></query>")
    assert answer.element.query.a.uri == "urn:3" and answer.element.query.a.children == []
    answer = await bob.ask_iq("get", "<query xmlns='jabber:iq:private'><a xmlns='urn:1'/></query>", to=ALICE)
    assert answer.type == "error"
    answer = await bob.ask_iq("get", "<query xmlns='jabber:iq:private'><a xmlns='urn:1'/></query>")
    assert answer.element.query.a.children == []


@pytest_twisted.ensureDeferred
async def test_private_refused(world: World) -> None:
    """Nothing, two at once, no namespace of its own, over limits.private_bytes; then nothing of it is kept."""
    alice = await world.client(ALICE + "/a")
    for kind, inner, condition in (
            ("get", "", b"bad-request"), ("set", "", b"bad-request"), ("set", "<a/>", b"not-acceptable"),
            ("get", "<a xmlns='urn:1'/><a xmlns='urn:2'/>", b"bad-request"),
            ("set", f"<a xmlns='urn:1'/><a xmlns='urn:2'>{'x' * 4096}</a>", b"limits.private_bytes")):
        answer = await alice.ask_iq(kind, f"<query xmlns='jabber:iq:private'>{inner}</query>")
        assert answer.type == "error" and condition in answer.inner, inner
    assert await world.store.private.get(alice.s.account.id, "urn:1 a") is None


@pytest_twisted.ensureDeferred
async def test_last_activity(world: World) -> None:
    """0 while somebody is there, then the seconds since; for those who see the presence; the server's uptime."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    ask = "<query xmlns='jabber:iq:last'/>"
    for to in (ALICE, ALICE + "/a"):
        refused = await bob.ask_iq("get", ask, to=to)
        assert refused.type == "error" and b"forbidden" in refused.inner
    assert alice.take("iq") == [], "her client was not asked"
    await subscribe(bob, alice)
    assert (await bob.ask_iq("get", ask, to=ALICE)).element.query["seconds"] == "0"
    await bob.send_xml(f"<iq type='get' id='l' to='{ALICE}/a'>{ask}</iq>")
    assert [stanza.id for stanza in alice.take("iq")] == ["l"], "now her client answers"
    phone = await world.client(ALICE + "/phone")
    api = world.apis["last"]
    api.now = lambda: 1_000_000.0
    phone.s.close()
    await world.settle()
    assert await world.store.last.get(alice.s.account.id) is None, "one is still there"
    alice.s.close()
    await world.settle()
    api.now = lambda: 1_000_090.5
    assert (await bob.ask_iq("get", ask, to=ALICE)).element.query["seconds"] == "90"
    never = await world.client("carol@example.com/c", available=False)
    assert (await never.ask_iq("get", ask)).element.query["seconds"] == "0"
    assert int((await bob.ask_iq("get", ask, to="example.com")).element.query["seconds"]) >= 0


@pytest_twisted.ensureDeferred
async def test_private_storage_is_bounded_in_names(world):
    alice = await world.client("alice@example.com/a")
    for number in range(100):
        inner = f"<query xmlns='jabber:iq:private'><n{number} xmlns='urn:n'/></query>"
        assert (await alice.ask_iq("set", inner)).type == "result"
    one_more = "<query xmlns='jabber:iq:private'><more xmlns='urn:n'/></query>"
    assert b"resource-constraint" in (await alice.ask_iq("set", one_more)).inner
    changed = "<query xmlns='jabber:iq:private'><n7 xmlns='urn:n'>x</n7></query>"
    assert (await alice.ask_iq("set", changed)).type == "result"
