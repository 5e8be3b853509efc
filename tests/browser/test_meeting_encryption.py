"""Meetings encrypted from end to end: the right key, another, none, a browser that cannot, who does not encrypt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.bridge.clients.sdk import Sdk
from tests.browser.harness import Page
from tests.browser.party import DECODED, Party, inside, join, sees, tile
from tests.daemon import DOMAIN
from tests.integration import visitors
from tests.media_daemon import MediaDaemon, running_media

pytestmark = pytest.mark.long

KEY = "qk6Hc0n1mG9dI0xq7yZy2m1w4v8s3T5u6R7p8o9n0bE"
OTHER = "Aq6Hc0n1mG9dI0xq7yZy2m1w4v8s3T5u6R7p8o9n0bE"
RECEIVED = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'video')
    .reduce((sum, one) => sum + one.packetsReceived, 0))).then((all) => all.reduce((sum, one) => sum + one, 0))"""


@pytest.fixture(scope="module")
def media_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One where meetings may be recorded, so that a refusal has a reason."""
    folder = tmp_path_factory.mktemp("chatd")
    with running_media(folder, f"alice@{DOMAIN}", extra="[modules.meet]\nrecording = true") as made:
        yield made


async def guest(party: Party, room: str, name: str, key: str = KEY, **options: Any) -> Page:
    """Somebody with a key in the link."""
    page = await party.guest(room, name, fragment=f"#key={key}", **options)
    await inside(page)
    return page


@pytest_twisted.ensureDeferred
async def test_right_and_wrong_key(party: Party) -> None:
    """Three with the key see each other; a fourth with another receives and decodes none; all are told."""
    party.people.expect("Decryption failed|InvalidKey|OperationError|decrypt")
    room = party.meeting("Board", e2ee="true")
    alice = await party.alice(room, fragment=f"#key={KEY}")
    ada = await guest(party, room, "Ada", width=800, height=600)
    bea = await guest(party, room, "Bea", width=800, height=600)
    await alice.see(".encrypted:has-text('End-to-end encrypted')")
    # On a phone there is room for the lock only; it says all the same what it means.
    await alice.call("setViewportSize", {"width": 390, "height": 844})
    await alice.click("button[aria-label='End-to-end encrypted']")
    await alice.see("dialog:has-text('It cannot be recorded.')")
    assert await alice.axe() == []
    await alice.key("Escape")
    await alice.gone("dialog")
    await alice.call("setViewportSize", {"width": 1280, "height": 800})
    for page in (alice, ada, bea):
        await sees(page)
    assert await alice.axe() == []
    await alice.click("button.copy")
    link = str(await alice.eval("navigator.clipboard.readText()"))
    assert link.endswith(f"/meet/{room.partition('@')[0]}#key={KEY}")

    eve = await guest(party, room, "Eve", OTHER, width=800, height=600)
    await eve.see(".toast:has-text('Your key is not that of the others')", 40)
    await alice.see(".toast:has-text('You and Eve have different keys')", 40)
    await alice.see(".tile[data-nick=Eve] .tile__secret:has-text('Has another key')")
    # Some packets of pictures have come; more are not asked for, since nobody could see them.
    await eve.until(f"({RECEIVED}).then((count) => count > 5)", 40)
    assert await eve.eval(DECODED) == 0
    assert await eve.axe() == []
    await sees(alice)

    # The right link pasted over the wrong one changes the fragment only; it is enough.
    await eve.eval(f"location.hash = '#key={KEY}'")
    await sees(eve)
    await eve.gone(".toast:has-text('Your key')")


@pytest_twisted.ensureDeferred
async def test_without_a_key(party: Party) -> None:
    """The link without its key is explained, wrong text too; the first one in may begin with a new key."""
    room = party.meeting("Board", e2ee="true")
    ada = await party.open(room)
    await ada.see("text=your link lacks the key to it")
    assert await ada.axe() == []
    await ada.fill("input[name=key]", "swordfish")
    await ada.press("input[name=key]", "Enter")
    await ada.see("text=There is no key in this.")
    assert await ada.axe() == []
    await ada.click("text=Begin with a new key")
    await ada.see("form.card .notice:has-text('It cannot be recorded.')")
    await join(ada, "Ada")
    await inside(ada)
    link = str(await ada.eval("location.href"))
    assert len(link.partition("#key=")[2]) == 43

    bea = await party.open(room, width=800, height=600)
    await bea.see("text=your link lacks the key to it")
    assert await bea.count("text=Begin with a new key") == 0
    await bea.fill("input[name=key]", f"Come here: {link}")
    await bea.press("input[name=key]", "Enter")
    await join(bea, "Bea")
    await inside(bea)
    await tile(bea, "Ada")
    await sees(bea)
    await sees(ada)


@pytest_twisted.ensureDeferred
async def test_refused_in_words(party: Party) -> None:
    """A browser that cannot encrypt, and a server that says that a meeting with a key is not encrypted."""
    page = await party.open(party.meeting("Board", e2ee="true"), fragment=f"#key={KEY}", noEncryption=True)
    await page.see("text=which this browser cannot do")
    plain = await party.open(party.meeting("Open"), fragment=f"#key={KEY}")
    await plain.see("text=the server says that this meeting is not encrypted")


@pytest_twisted.ensureDeferred
async def test_recording_is_refused(party: Party, media_daemon: MediaDaemon) -> None:
    """By the server, which records a meeting that is not encrypted; the page says beforehand that it cannot be."""
    room, plain = party.meeting("Board", e2ee="true"), party.meeting("Open")
    ada = await guest(party, room, "Ada")
    with visitors.page(media_daemon, party.owner, room, "Alice") as alice:
        assert alice.command(room, "record on='true'/>") == "not-allowed"
        assert alice.learn(room, "meeting").get("can-record") == "false"
        assert alice.enter(plain, "Alice") == ""
        assert alice.learn(plain, "meeting").get("can-record") == "true"
    await ada.see(".encrypted")
    assert await ada.count(".recording") == 0


@pytest_twisted.ensureDeferred
async def test_other_clients(party: Party, media_daemon: MediaDaemon) -> None:
    """LiveKit's Python SDK with the key sees and is seen; who does not encrypt is not shown, and the tile says why."""
    room = party.meeting("Board", e2ee="true")
    ada = await guest(party, room, "Ada")

    def come(nick: str, key: str) -> tuple[visitors.Visitor, Sdk]:
        visitor = visitors.Visitor(media_daemon).come()
        assert visitor.enter(room, nick) == ""
        media = visitor.learn(room, "media")
        sdk = Sdk(media_daemon, media.attrib["identity"], room, token=media.text or "", key=key)
        sdk.publish("camera", width=640, height=360, fps=10)
        return visitor, sdk

    with_key = await deferToThread(come, "Kit", KEY)
    try:
        await tile(ada, "Kit")
        await sees(ada)
        seen = await deferToThread(lambda: with_key[1].state()["others"])
        (identity,) = seen
        await deferToThread(with_key[1].until_seen, f"{identity}/camera", 10)
        without = await deferToThread(come, "Pat", "")
        try:
            await ada.see(".tile[data-nick=Pat] .tile__secret:has-text('Not encrypted, so not shown')", 30)
            assert await ada.count(".tile[data-nick=Pat] video") == 0
        finally:
            await deferToThread(without[1].leave)
            without[0].close()
    finally:
        await deferToThread(with_key[1].leave)
        with_key[0].close()
