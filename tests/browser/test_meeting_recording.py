"""Recording a meeting, in Chromium: everybody sees and hears it, the file plays, and only for those whom it is for."""

from __future__ import annotations

import io
import re
import shutil
import urllib.parse
from collections.abc import Iterator

import av
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.party import Party, comes, join, tile
from tests.browser.test_meeting_lobby import LISTEN
from tests.daemon import DOMAIN
from tests.integration.visitors import fetch
from tests.media_daemon import MediaDaemon, running_media

LOST = "What had been recorded is not there any more."

pytestmark = pytest.mark.long  # real media in several browsers


@pytest.fixture(scope="module")
def media_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One that records."""
    folder = tmp_path_factory.mktemp("chatd")
    with running_media(folder, f"alice@{DOMAIN}", extra="[modules.meet]\nrecording = true") as made:
        yield made


@pytest_twisted.ensureDeferred
async def test_record_link_play(party: Party) -> None:
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    for name in ("Ada", "Bea"):
        await tile(alice, name)
    assert await ada.count("button[aria-label='Start recording']") == 0
    early = await party.open(room, media="none")
    await early.see("form.card")
    assert await early.count("text=This meeting is being recorded.") == 0
    for page in (alice, ada, bea):
        await page.eval(LISTEN)
    await alice.click("button[aria-label='Start recording']")
    await alice.see("dialog:has-text('Everybody in the meeting sees and hears')")
    assert await alice.axe() == []
    await alice.click("dialog >> text=Cancel")
    assert await alice.count(".recording") == 0
    await alice.click("button[aria-label='Start recording']")
    await alice.key("Enter")
    for page in (alice, ada, bea):
        await page.see("[aria-live=assertive]:has-text('This meeting is now being recorded.')")
        await page.until("__tones >= 3")
    for page in (alice, ada, bea):
        await page.see(".recording--on")
    assert await bea.axe() == []
    # Who was at the door already is told before joining, like who comes now; and once more inside.
    await early.see("text=This meeting is being recorded.")
    await early.eval(LISTEN)
    await join(early, "Early")
    await early.see("[aria-live=assertive]:has-text('This meeting is being recorded.')")
    await early.until("__tones >= 3")
    await alice.click("button[aria-label='Stop recording']")
    await alice.key("Enter")
    for page in (alice, ada, bea):
        await page.gone(".recording--on")
    for page in (alice, ada):
        await page.click("button[aria-label^=Chat]")
        await comes(page, ".recorded")
    assert await ada.count(".recorded >> text=Watch") == 0
    await ada.see(".recorded >> text=Only the owner and moderators")
    assert await ada.axe() == []
    said = await alice.text(".recorded p")
    assert re.search(r"Recording of \d{1,2} \w+ 20\d\d, \d\d:\d\d\s+0:\d\d · [\d.]+ MB", said), said
    await alice.click(".recorded >> text=Watch")
    await alice.until("document.querySelector('.player video')?.currentTime > 0.5", 30)
    assert await alice.eval("document.querySelector('.player video').videoWidth") > 0
    assert await alice.axe() == []
    address = await alice.eval("document.querySelector('.player a').href")
    parts = urllib.parse.urlsplit(address)
    status, headers, data = await deferToThread(fetch, party.daemon, f"{parts.path}?{parts.query}")
    assert status == 200 and "attachment" in headers["content-disposition"]
    with av.open(io.BytesIO(data)) as file:
        assert {stream.type for stream in file.streams} == {"video", "audio"}
        assert len(list(file.decode(video=0))) > 10
    assert (await deferToThread(fetch, party.daemon, parts.path))[0] == 404, "the link alone opens nothing"
    await alice.click("dialog >> text=Delete recording")
    await alice.click("dialog .asking .danger")
    await alice.gone("dialog")
    assert (await deferToThread(fetch, party.daemon, f"{parts.path}?{parts.query}"))[0] == 404
    await alice.click(".recorded >> text=Watch")
    await alice.see("dialog >> text=This recording has been deleted.")


@pytest_twisted.ensureDeferred
async def test_where_it_cannot_be(party: Party) -> None:
    """An encrypted meeting: the control says why."""
    room = party.meeting(e2ee="true")
    page = await party.alice(room, fragment=f"#key={'A' * 43}")
    await page.click("button[aria-label='Start recording']")
    await page.see("dialog:has-text('encrypted from end to end')")
    assert await page.count("dialog .primary") == 0 and await page.axe() == []


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_begin(party: Party) -> None:
    """A recording that cannot begin: told in words where one asked for it, and the next one works."""
    party.people.expect("503|service-unavailable")
    folder = party.daemon.folder / "state" / "recordings"
    room = party.meeting()
    alice, ada = await party.alice(room), await party.guest(room, "Ada")
    bea = await party.guest(room, "Bea", width=390, height=844)
    await tile(alice, "Ada")
    await tile(alice, "Bea")

    async def press(label: str) -> None:
        await alice.click(f"button[aria-label='{label} recording']")
        await alice.key("Enter")

    shutil.rmtree(folder)
    folder.write_text("not a folder")
    await press("Start")
    await alice.see("dialog [role=alert]:has-text('The recording could not be started.')")
    assert await alice.axe() == []
    await alice.key("Escape")
    await alice.gone("dialog")
    await bea.gone(".recording")
    folder.unlink()
    folder.mkdir()

    await press("Start")
    for page in (alice, ada, bea):
        await page.see(".recording--on")


@pytest_twisted.ensureDeferred
async def test_one_of_which_no_file_can_be_made(party: Party) -> None:
    """Those who can record are told at once, the chat says it for good, and why, to whom the file would belong."""
    folder = party.daemon.folder / "state" / "recordings"
    room = party.meeting()
    alice = await party.alice(room)
    ada = await party.guest(room, "Ada", width=390, height=844)
    bea = await party.guest(room, "Bea", locale="de")
    await tile(alice, "Ada")
    await alice.click("button[aria-label='Start recording']")
    await alice.key("Enter")
    for page in (alice, ada, bea):
        await page.see(".recording--on")
    # What was written is gone before the file is made of it.
    for written in [path for made in folder.rglob("EG_*") for path in made.iterdir()]:
        written.unlink(missing_ok=True)
    await alice.click("button[aria-label='Stop recording']")
    await alice.key("Enter")
    await alice.see("[aria-live=assertive]:has-text('The recording could not be made.')", 100)
    for page in (alice, ada, bea):
        await page.click("button[aria-label^=Chat]")
        await comes(page, ".recorded--failed")
    await alice.see(".recorded--failed >> text=This recording could not be made; there is no file.")
    await bea.see(".recorded--failed >> text=Diese Aufzeichnung ist fehlgeschlagen; es gibt keine Datei.")
    assert await ada.count(".recorded--failed small") == 1, "a guest is not told why"
    await alice.see(f".recorded--failed small:text-is('{LOST}')")
    for page in (alice, ada):
        assert await page.axe() == [] and await page.count(".recorded >> text=Watch") == 0
    assert not await ada.count("text=The recording could not be made. The chat")
    # The next one says what happened to the last.
    await alice.click("button[aria-label='Start recording']")
    await alice.see(f"dialog:has-text('The last recording failed.'):has-text('{LOST}')")
