"""A meeting in the panel in a page of Webmail: two frames deep, with camera, over the page, and gone with the panel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Browser
from tests.browser.webmail_page import LittleWebmail
from tests.media_daemon import MediaDaemon, running_media

PANEL = "iframe >> internal:control=enter-frame >> "
WINDOW = f"{PANEL}.meetingwindow"
INSIDE = f"{WINDOW} iframe >> internal:control=enter-frame >> "
IS_PANEL = "document.elementFromPoint({}, {}).tagName === 'IFRAME'"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, webmail: LittleWebmail) -> Iterator[MediaDaemon]:
    with running_media(tmp_path_factory.mktemp("chatd"), extra=webmail.settings()) as made:
        webmail.daemon = made
        yield made


@pytest_twisted.async_yield_fixture
async def page(browser: Browser, webmail: LittleWebmail, daemon: MediaDaemon) -> AsyncIterator[Any]:
    made = await browser.page(f"{webmail.origin}/log-in?anna-meets", https=True, media="granted", width=1280,
                              height=800)
    yield made
    await made.close()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_meeting_over_webmail(page: Any) -> None:
    """Join, make it small, read mail beside it, maximise, move; the page's clicks stay its own all the time."""
    await page.until("window.chatd?.state === 'connected'", 60)
    await page.eval("chatd.open()")
    await page.click(f"{PANEL}.chatd-meetings converse-dropdown button")
    await page.click(f"{PANEL}.chatd-meetings .start-meeting")
    await page.see(f"{PANEL}#chatd-meeting-name", 30)
    await page.press(f"{PANEL}#chatd-meeting-name", "Enter")
    await page.click(f"{INSIDE}form.card button.primary")
    await page.see(f"{INSIDE}.tile", 60)
    await page.until("chatd.inMeeting", 30)
    # normal: the window lies over the page, and beside it the page is there
    await page.until(IS_PANEL.format(400, 300), 30)
    await page.until(f"!({IS_PANEL.format(640, 20)})", 30)
    # small: the page below can be clicked
    await page.click(f'{WINDOW} [data-do="small"]')
    await page.see(f'{PANEL}.meetingwindow[data-size="small"]', 30)
    await page.until(f"!({IS_PANEL.format(60, 140)})", 30)
    await page.click("#mail")
    assert await page.text("#said") == "read"
    # full: all of it
    await page.click(f'{WINDOW} [data-do="enlarge"]')
    await page.click(f'{WINDOW} [data-do="full"]')
    await page.until(IS_PANEL.format(640, 20), 30)
    await page.click(f'{WINDOW} [data-do="full"]')
    await page.until(f"!({IS_PANEL.format(640, 20)})", 30)
    # its picture goes on: frames are decoded or, alone in it, played from the camera
    playing = "[...document.querySelectorAll('video')].some((one) => one.currentTime > {})"
    for least in (0.5, 3):
        for _ in range(300):
            if await page.call("evaluate", playing.format(least), selector=f"{INSIDE}body"):
                break
        else:
            raise AssertionError("no picture moves")
    # signing out of Webmail ends the meeting with the panel
    await page.eval("chatd.signOut()")
    await page.until("!chatd.inMeeting && !document.querySelector('iframe')", 30)
    assert (await page.log())["violations"] == []
