"""Personal eventing with slixmpp against a real daemon: contacts, several devices, a restart, another server."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest
from slixmpp.exceptions import IqError

from tests.daemon import DOMAIN, Daemon, running
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.listeners import AVATAR, BOOKMARKS, MARKS, NICK, TUNE, Listener
from tests.integration.slix import befriend

NAMES = ("alice", "bob", "carol", "dora", "emil")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(400)
HASH = sha1(PICTURE).hexdigest()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that is started anew in the middle."""
    with running(Path(tmp_path_factory.mktemp("pep")), *(f"{name}@{DOMAIN}" for name in NAMES)) as made:
        yield made


async def show_picture(client: Listener) -> None:
    """As a client publishes its avatar for everybody."""
    options = client.options(access_model="open")
    await client.plugin["xep_0084"].publish_avatar(PICTURE, options=options)
    await client.plugin["xep_0084"].publish_avatar_metadata(
        {"id": HASH, "type": "image/png", "bytes": len(PICTURE)}, options=options)


def test_contacts_devices_and_a_restart(daemon: Daemon) -> None:
    """Told while there, the last of it on coming; bookmarks and read marks for one's own devices; kept when killed."""
    alice_, bob_ = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
    room = f"attic@conference.{DOMAIN}"

    async def publish() -> None:
        async with Listener(daemon, alice_) as alice, Listener(daemon, bob_ + "/here", AVATAR, TUNE, NICK) as bob:
            await befriend(alice, bob)
            async with Listener(daemon, alice_, BOOKMARKS, MARKS) as phone:
                await alice.plugin["xep_0118"].publish_tune(artist="A", title="T")
                await bob.hears((alice_, TUNE, "current"))
                await alice.plugin["xep_0172"].publish_nick("Al")
                await bob.hears((alice_, NICK, "current"))
                await show_picture(alice)
                await bob.hears((alice_, AVATAR, HASH))
                seen = await bob.presence_of(alice.boundjid.full)
                assert [photo.text for photo in seen.xml.iter("{vcard-temp:x:update}photo")] == [HASH]
                card = await bob.ask("get", "<vCard xmlns='vcard-temp'/>", alice_)
                assert b64decode(next(card.xml.iter("{vcard-temp}BINVAL")).text) == PICTURE
                bookmark = alice.plugin["xep_0402"].stanza.Conference()
                bookmark["name"], bookmark["autojoin"], bookmark["nick"] = "The attic", True, "al"
                await alice.plugin["xep_0223"].store(bookmark, node=BOOKMARKS, id=room)
                await phone.hears((alice_, BOOKMARKS, room))
                await alice.plugin["xep_0490"].flag_chat(bob_, "1234")
                await phone.hears((alice_, MARKS, bob_))
                assert bob.told.empty()

    async def read() -> None:
        async with Listener(daemon, bob_, AVATAR, TUNE, BOOKMARKS) as bob:
            await bob.hears((alice_, AVATAR, HASH), (alice_, TUNE, "current"))
            picture = await bob.plugin["xep_0084"].retrieve_avatar(alice_, HASH)
            assert picture["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE
            with pytest.raises(IqError) as refused:
                await bob.plugin["xep_0060"].get_items(alice_, BOOKMARKS)
            assert refused.value.condition == "not-allowed"
        async with Listener(daemon, alice_) as alice:
            found = (await alice.plugin["xep_0060"].get_items(alice_, BOOKMARKS))["pubsub"]["items"]
            assert [(one["id"], one["conference"]["name"], one["conference"]["autojoin"]) for one in found] == [
                (room, "The attic", True)]
            storage = "<storage xmlns='storage:bookmarks'/>"
            old = await alice.ask("get", f"<query xmlns='jabber:iq:private'>{storage}</query>")
            [conference] = old.xml.iter("{storage:bookmarks}conference")
            assert (conference.get("jid"), conference.get("autojoin")) == (room, "true")
            marks = (await alice.plugin["xep_0490"].catch_up())["pubsub"]["items"]
            assert [(one["id"], one["displayed"]["stanza_id"]["id"]) for one in marks] == [(bob_, "1234")]

    asyncio.run(publish())
    asyncio.run(read())
    daemon.kill()
    daemon.start()
    asyncio.run(read())
    listed = daemon.ctl("do", "pep", "list", f"address={alice_}")["result"]
    assert {one["node"] for one in listed} >= {AVATAR, BOOKMARKS, MARKS, TUNE}


def test_keys_of_omemo_are_for_everybody(daemon: Daemon) -> None:
    """A stranger finds the devices and their bundles, in the old form and the new, whatever the client says or not."""
    carol_, dora_ = f"carol@{DOMAIN}", f"dora@{DOMAIN}"
    old = "eu.siacs.conversations.axolotl"
    lists = {f"{old}.devicelist": f"<list xmlns='{old}'><device id='7'/></list>",
             f"{old}.bundles:7": f"<bundle xmlns='{old}'/>",
             "urn:xmpp:omemo:2:devices": "<devices xmlns='urn:xmpp:omemo:2'><device id='7'/></devices>"}

    async def play() -> None:
        async with Listener(daemon, carol_, *lists) as carol, Listener(daemon, dora_) as dora:
            for node, payload in lists.items():
                await carol.ask("set", f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'>"
                                       f"<item id='current'>{payload}</item></publish></pubsub>")
                await carol.hears((carol_, node, "current"))
                found = await dora.plugin["xep_0060"].get_items(carol_, node)
                assert [one["id"] for one in found["pubsub"]["items"]] == ["current"]
            for device in ("7", "8"):
                await carol.ask("set", "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
                                       f"<publish node='urn:xmpp:omemo:2:bundles'><item id='{device}'>"
                                       "<bundle xmlns='urn:xmpp:omemo:2'/></item></publish></pubsub>")
            found = await dora.plugin["xep_0060"].get_item(carol_, "urn:xmpp:omemo:2:bundles", "7")
            assert [one["id"] for one in found["pubsub"]["items"]] == ["7"]

    asyncio.run(play())


def test_gone_with_the_account(daemon: Daemon) -> None:
    """A new account of the same name begins with nothing."""
    emil_ = f"emil@{DOMAIN}"

    async def publish() -> None:
        async with Listener(daemon, emil_) as emil:
            await show_picture(emil)

    async def look() -> None:
        async with Listener(daemon, emil_, AVATAR) as emil:
            with pytest.raises(IqError) as missing:
                await emil.plugin["xep_0060"].get_items(emil_, AVATAR)
            assert missing.value.condition == "item-not-found" and emil.told.empty()

    asyncio.run(publish())
    daemon.ctl("user", "delete", emil_, "--yes")
    daemon.add(emil_)
    asyncio.run(look())


def test_across_servers(tmp_path: Path) -> None:
    """A contact on another server is told what he wants, gets the last of it, and reads what he may."""
    authority = Authority(tmp_path)

    async def play(here: Country, there: Country) -> None:
        romeo_, juliet_ = f"romeo@{HERE}", f"juliet@{THERE}"
        async with Listener(here, romeo_) as romeo, Listener(there, juliet_ + "/balcony", AVATAR, TUNE) as juliet:
            await befriend(romeo, juliet)
            await romeo.plugin["xep_0118"].publish_tune(title="One")
            # Her capabilities came with her presence; the question what they mean may still be on its way.
            await juliet.hears((romeo_, TUNE, "current"))
            await show_picture(romeo)
            await juliet.hears((romeo_, AVATAR, HASH))
            picture = await juliet.plugin["xep_0084"].retrieve_avatar(romeo_, HASH)
            assert picture["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE
        async with Listener(here, romeo_) as romeo, Listener(there, juliet_, AVATAR) as juliet:
            await juliet.hears((romeo_, AVATAR, HASH))
            with pytest.raises(IqError) as refused:
                await juliet.plugin["xep_0060"].get_items(romeo_, BOOKMARKS)
            assert refused.value.condition == "item-not-found"
            romeo.send_presence_subscription(pto=juliet_, ptype="unsubscribed")
            await juliet.presence_of(romeo_, "unsubscribed")
            with pytest.raises(IqError) as refused:
                await juliet.plugin["xep_0060"].get_items(romeo_, TUNE)
            assert refused.value.condition == "service-unavailable"

    with Names() as dns:
        made = [Country(tmp_path / domain, domain, authority, dns) for domain in (HERE, THERE)]
        with countries(*made) as (here, there):
            asyncio.run(play(here, there))
            for country in made:
                assert not country.logged("Traceback"), country.log.read_text()[-4000:]
