"""What a person's browsers and clients share: the groupchats one is in (XEP-0402), and pictures (XEP-0398)."""

from __future__ import annotations

import zlib
from base64 import b64encode
from hashlib import sha1
from struct import pack

import pytest_twisted

from tests.browser.people import SERVICE, People
from tests.daemon import DOMAIN

PUBSUB = "http://jabber.org/protocol/pubsub"


def entry(room: str) -> str:
    """A groupchat in the list."""
    return f'converse-rooms-list .available-room[data-room-jid="{room}@{SERVICE}"]'


def png() -> bytes:
    """A picture of one red pixel."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    head = pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest_twisted.ensureDeferred
async def test_groupchats_are_those_of_the_person(people: People) -> None:
    """Entered in one browser, one is in them in the other, minimised; left in one, they are left in both."""
    here = await people.at_panel("hanna")
    await here.log_in()
    await here.join_room("Library")
    there = await people.at_panel("hanna")
    await there.log_in()
    await there.page.see(entry("library"))
    assert await there.page.count("converse-muc textarea.chat-textarea") == 0
    await there.page.click(entry("library"))
    await there.page.see("converse-muc textarea.chat-textarea")
    await there.say("From the other window")
    await here.reads("From the other window")
    await there.join_room("Cellar")
    await here.page.see(entry("cellar"))
    await here.page.click(f'converse-rooms-list .close-room[data-room-jid="cellar@{SERVICE}"]')
    await here.dialog_shown()
    await here.page.click("#converse-modals .modal.show button[type=submit]")
    await here.page.gone(entry("cellar"))
    await there.page.gone(entry("cellar"))
    await here.page.see(entry("library"))


@pytest_twisted.ensureDeferred
async def test_a_published_picture_is_seen(people: People) -> None:
    """Another client publishes it as an avatar; the panel, which reads vCards, shows it."""
    carol = await people.at_panel("carol")
    await carol.log_in()
    dora = await people.elsewhere("dora")
    await carol.add_contact("dora")
    picture = png()
    id_ = sha1(picture).hexdigest()
    for node, payload in (("data", b64encode(picture).decode()),
                          ("metadata", f"<info id='{id_}' bytes='{len(picture)}' type='image/png'/>")):
        name = f"urn:xmpp:avatar:{node}"
        options = ("<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                   f"<value>{PUBSUB}#publish-options</value></field><field var='pubsub#access_model'>"
                   "<value>open</value></field></x></publish-options>")
        await dora.ask(f"dora@{DOMAIN}", f"<pubsub xmlns='{PUBSUB}'><publish node='{name}'><item id='{id_}'>"
                       f"<{node} xmlns='{name}'>{payload}</{node}></item></publish>{options}</pubsub>")
    await carol.page.see(f'converse-roster .open-chat[data-jid="dora@{DOMAIN}"] '
                         f'image[href*="{b64encode(picture).decode()[:60]}"]')
