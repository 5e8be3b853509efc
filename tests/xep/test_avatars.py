"""A person's picture in both its forms, XEP-0398: published (XEP-0084) and in the vCard (XEP-0054)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from hashlib import sha1

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.xep.avatar import Avatar
from chatd.xep.vcard import VCard
from tests.xep import pep_kit
from tests.xep.pep_kit import ALICE, BOB, befriend, events, ids, items, listen, owner, publish
from tests.xep.world import Client, World

PNG, JPEG = b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff\xe0" + bytes(90)
DATA, METADATA = ns.AVATAR_DATA, ns.AVATAR_METADATA
OPEN = {"access_model": "open"}


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Both forms."""
    made = await pep_kit.open_world(VCard, Avatar)
    yield made
    await made.close()


def hash_of(picture: bytes) -> str:
    """Its id."""
    return sha1(picture).hexdigest()


async def show(client: Client, picture: bytes, metadata: str = "", **options: str) -> None:
    """Publishes a picture as XEP-0084 has it."""
    data = f"<data xmlns='{DATA}'>{b64encode(picture).decode()}</data>"
    await publish(client, DATA, hash_of(picture), payload=data, **options)
    info = metadata or f"<info bytes='{len(picture)}' id='{hash_of(picture)}' type='image/png' width='8' height='8'/>"
    metadata = f"<metadata xmlns='{METADATA}'>{info}</metadata>"
    await publish(client, METADATA, hash_of(picture), payload=metadata, **options)
    await client.world.settle()


async def photo(client: Client, of: str = ALICE) -> bytes | None:
    """The picture in a vCard."""
    answer = await client.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=of)
    if answer.type == "error" or answer.element.vCard.PHOTO is None:
        return None
    assert str(answer.element.vCard.PHOTO.TYPE).startswith("image/")
    return b64decode(str(answer.element.vCard.PHOTO.BINVAL))


async def set_vcard(client: Client, picture: bytes | None, id_: str = "q") -> None:
    """Sets a vCard with a name."""
    value = b64encode(picture or b"").decode()
    inner = "" if picture is None else f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{value}</BINVAL></PHOTO>"
    answer = await client.ask_iq("set", f"<vCard xmlns='vcard-temp'><FN>Alice &amp; Co</FN>{inner}</vCard>", id_=id_)
    assert answer.type == "result"
    await client.world.settle()


@pytest_twisted.ensureDeferred
async def test_from_what_is_published(world: World) -> None:
    """It stands in the vCard, which keeps its other fields, and in presence; taken away it is gone from both."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await set_vcard(alice, None)
    await show(alice, PNG, **OPEN)
    assert await photo(bob) == PNG
    card = (await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)).element.vCard
    assert str(card.FN) == "Alice & Co" and str(card.PHOTO.TYPE) == "image/png"
    [presence] = bob.take("presence")
    assert f"<photo>{hash_of(PNG)}</photo>".encode() in presence.inner
    await show(alice, JPEG, **OPEN)
    card = (await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)).element.vCard
    assert await photo(bob) == JPEG and str(card.PHOTO.TYPE) == "image/jpeg", "what it is, not what was said"
    await publish(alice, METADATA, "", payload=f"<metadata xmlns='{METADATA}'/>")
    await world.settle()
    assert await photo(bob) is None
    assert b"<photo></photo>" in bob.take("presence")[-1].inner
    assert str((await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)).element.vCard.FN) == "Alice & Co"


@pytest_twisted.ensureDeferred
async def test_only_what_everybody_may_see(world: World) -> None:
    """The vCard is for everybody, so a picture for contacts alone does not go there (XEP-0398 8)."""
    alice = await world.client(ALICE + "/a")
    await show(alice, PNG)
    assert await photo(alice) is None


@pytest_twisted.ensureDeferred
async def test_pictures_that_are_none(world: World) -> None:
    """Elsewhere on the web, no such data, another hash, no base64: the vCard stays; of several the one here counts."""
    alice = await world.client(ALICE + "/a")
    await show(alice, PNG, **OPEN)
    away = f"<info bytes='1' id='{hash_of(JPEG)}' type='image/png' url='https://away.example/x.png'/>"
    for info in (away, f"<info bytes='1' id='{'0' * 40}' type='image/png'/>", "<info/>"):
        await show(alice, JPEG, metadata=info)
        assert await photo(alice) == PNG, info
    for wrong in (f"<data xmlns='{DATA}'>{b64encode(JPEG).decode()}</data>", f"<data xmlns='{DATA}'>%%%</data>",
                  f"<data xmlns='{DATA}'/>", "<data xmlns='urn:other'/>"):
        await publish(alice, DATA, "0" * 40, payload=wrong)
        info = f"<metadata xmlns='{METADATA}'><info bytes='1' id='{'0' * 40}' type='image/png'/></metadata>"
        await publish(alice, METADATA, "0" * 40, payload=info)
        await world.settle()
        assert await photo(alice) == PNG, wrong
    here = f"<info bytes='9' id='{hash_of(JPEG)}' type='image/jpeg'/>"
    await show(alice, JPEG, metadata=away.replace(hash_of(JPEG), "1" * 40) + here)
    assert await photo(alice) == JPEG


@pytest_twisted.ensureDeferred
async def test_from_the_vcard(world: World) -> None:
    """It is published for everybody, and those who listen are told; taken out of the vCard it is taken back."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    await listen(bob, METADATA)
    await set_vcard(alice, PNG)
    assert events(bob) == [(ALICE, METADATA, [("item", hash_of(PNG))])]
    carol = await world.client("carol@example.com/c")
    answer = await items(carol, METADATA, ALICE)
    info = answer.element.pubsub.items.item.metadata.info
    assert (info["id"], info["bytes"], info["type"]) == (hash_of(PNG), str(len(PNG)), "image/png")
    found = await items(carol, DATA, ALICE, inner=f"<item id='{hash_of(PNG)}'/>")
    assert b64decode(str(found.element.pubsub.items.item.data)) == PNG
    await set_vcard(alice, PNG)
    assert events(bob) == [], "it is the same"
    await set_vcard(alice, None)
    [(_, _, [(kind, _)])] = events(bob)
    assert kind == "item"
    assert (await items(carol, METADATA, ALICE)).element.pubsub.items.item.metadata.children == []
    await set_vcard(alice, None)
    assert events(bob) == []


@pytest_twisted.ensureDeferred
async def test_no_nodes_for_vcards_without_a_picture(world: World) -> None:
    """And one too big to be published stays in the vCard alone."""
    alice = await world.client(ALICE + "/a")
    await set_vcard(alice, None)
    assert await world.store.pep.nodes(alice.s.account.id) == []
    world.modules["pep"].publishing.most_item_bytes = 50      # type: ignore[attr-defined]
    await set_vcard(alice, PNG)
    assert await photo(alice) == PNG and await world.store.pep.nodes(alice.s.account.id) == []


@pytest_twisted.ensureDeferred
async def test_another_phone_number_is_no_other_picture(world: World) -> None:
    """A vCard with the picture it had, or without one as before, leaves what is published for a few."""
    alice = await world.client(ALICE + "/a")
    for had in (None, PNG):
        await set_vcard(alice, had)
        await show(alice, JPEG, access_model="whitelist")
        assert ids(await items(alice, METADATA)) == [hash_of(JPEG)]
        await set_vcard(alice, had)
        assert ids(await items(alice, METADATA)) == [hash_of(JPEG)], had


@pytest_twisted.ensureDeferred
async def test_access_is_the_owners(world: World) -> None:
    """What he has set for his node stays when the vCard changes."""
    alice = await world.client(ALICE + "/a")
    await show(alice, PNG, access_model="whitelist")
    await set_vcard(alice, JPEG)
    assert ids(await items(alice, METADATA)) == [hash_of(JPEG)]
    answer = await alice.ask_iq("get", owner(f"<configure node='{METADATA}'/>"))
    assert "whitelist" in [str(field.value) for field in answer.element.pubsub.configure.x.elements()]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("newer", [None, JPEG], ids=["only a name", "another picture"])
async def test_a_vcard_stored_meanwhile_is_not_lost(world: World, newer: bytes | None) -> None:
    """The owner stores one while the published picture is on its way into the former: what he wrote stays, and a
    picture of his own is the newer wish in both forms."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    await befriend(alice, bob)
    read, between = world.store.vcard.get, []

    async def slow_get(account_id: int) -> bytes | None:
        found = await read(account_id)
        if not between:
            between.append(True)
            await set_vcard(alice, newer, "meanwhile")
        return found

    world.store.vcard.get = lambda account_id: Deferred.fromCoroutine(slow_get(account_id))
    await show(alice, PNG, **OPEN)
    assert between, "the vCard was never read"
    for _ in range(3):
        await world.settle()
    card = (await bob.ask_iq("get", "<vCard xmlns='vcard-temp'/>", to=ALICE)).element.vCard
    assert str(card.FN) == "Alice & Co"
    assert await photo(bob) == (newer or PNG)
    assert ids(await items(bob, METADATA, ALICE)) == [hash_of(newer or PNG)]
