"""A meeting in the panel in a page of Webmail: two frames deep, with camera, over the page."""

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
def webmail() -> Iterator[LittleWebmail]:
    made = LittleWebmail()
    yield made
    made.stop()


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
    """Joined through the door two frames deep, with camera; beside the window is the page."""
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
    assert (await page.log())["violations"] == []
