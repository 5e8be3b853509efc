"""The panel in Webmails whose pages are loaded anew at every turn, or opened by plain http: there a meeting is offered
in a tab of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Browser, Page
from tests.browser.people import Friend
from tests.browser.webmail_page import LittleWebmail
from tests.daemon import DOMAIN
from tests.media_daemon import MediaDaemon, running_media

AGAIN_S = """(performance.getEntriesByName('chatd connected')[0].startTime
    - performance.getEntriesByType('navigation')[0].loadEventEnd) / 1000"""
CONNECTED_S = 10.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, webmail: LittleWebmail) -> Iterator[MediaDaemon]:
    with running_media(tmp_path_factory.mktemp("chatd"), f"bob@{DOMAIN}", extra=webmail.settings()) as made:
        webmail.daemon = made
        yield made


@pytest_twisted.async_yield_fixture
async def tabs(browser: Browser, daemon: MediaDaemon) -> AsyncIterator[Any]:
    """Opens Webmail, as somebody who has logged in; closes it."""
    opened: list[Page] = []

    async def tab(origin: str, who: str) -> Page:
        opened.append(await browser.page(f"{origin}/log-in?{who}", https=True, media="granted", width=1280, height=800))
        await connected(opened[0])
        return opened[0]

    yield tab
    for page in opened:
        assert (await page.log())["violations"] == []
        await page.close()


async def connected(page: Page) -> None:
    await page.until("window.chatd?.state === 'connected'", 60)


async def start_meeting(page: Page, name: str) -> Page:
    """Start one from the contacts, up to the question where it is to be; the panel."""
    panel = page.inside("iframe")
    await page.eval("chatd.open()")
    await panel.click(".chatd-meetings converse-dropdown button")
    await panel.click(".chatd-meetings .start-meeting")
    await panel.fill("#chatd-meeting-name", name)
    await panel.press("#chatd-meeting-name", "Enter")
    await panel.see("dialog.question h2:has-text('in a tab')", 30)
    return panel


async def in_a_tab(page: Page, name: str) -> Page:
    """Start a meeting and choose the tab: the page in it, joined."""
    panel = await start_meeting(page, name)
    assert await panel.axe("dialog.question") == []
    await panel.click("dialog.question .question__yes")
    meeting = await page.popup()
    await meeting.until("location.protocol === 'https:' && location.pathname.startsWith('/meet/')", 30)
    await meeting.click("form.card button.primary")
    await meeting.see(".tile", 60)
    await meeting.until("[...document.querySelectorAll('video')].some((one) => one.currentTime > 0.5)", 60)
    assert await panel.count(".meetingwindow") == 0
    assert not await page.eval("chatd.inMeeting")
    return meeting


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_webmail_by_plain_http(tabs: Any, webmail: LittleWebmail, daemon: MediaDaemon,
                                     record_property: Any) -> None:
    """The chat is there, and again after each load of a page; a meeting in a tab has a camera and outlives the page."""
    webmail.more = ""
    anna = await tabs(webmail.plain, "anna-http")
    panel = anna.inside("iframe")
    assert [await one.eval("[isSecureContext, Boolean(navigator.mediaDevices)]") for one in (anna, panel)] \
        == [[False, False]] * 2
    bob = Friend("bob", daemon)
    try:
        await bob.connect()
        await bob.send("anna", "Hello")
        await panel.see('.chat-msg__text:has-text("Hello")', 30)
        await panel.fill("textarea.chat-textarea", "Hello Bob")
        await panel.press("textarea.chat-textarea", "Enter")
        await bob.receive("Hello Bob")
    finally:
        bob.process.stop()
    times = []
    for _ in range(3):
        await anna.reload()
        await connected(anna)
        times.append(float(await anna.eval(AGAIN_S)))
    print("seconds from the load of a page to the chat's connection:", [round(one, 2) for one in times])
    record_property("again_s", times)
    assert max(times) < CONNECTED_S
    meeting = await in_a_tab(anna, "Offer")
    assert await meeting.eval("isSecureContext")
    await anna.reload()
    await connected(anna)
    assert await meeting.count(".tile") == 1
    await meeting.close()
    # Whoever wants it here nevertheless is told before what that means.
    panel = await start_meeting(anna, "Lunch")
    await panel.see("dialog.question p:has-text('without camera and microphone')")
    assert await panel.focused() == "BUTTON" and await panel.eval(
        "document.activeElement.classList.contains('question__yes')")
    await panel.click("dialog.question button:has-text('Stay here without them')")
    await panel.see('.meetingwindow[data-size="normal"]', 30)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_page_that_offers_a_tab(tabs: Any, webmail: LittleWebmail) -> None:
    """data-meetings="tab"; and whoever wants the meeting in the page nevertheless has it there."""
    webmail.more = 'data-meetings="tab"'
    anna = await tabs(webmail.origin, "anna-tab")
    assert await anna.eval("isSecureContext")
    meeting = await in_a_tab(anna, "Offer")
    await meeting.close()
    panel = await start_meeting(anna, "Lunch")
    await panel.click("dialog.question .quiet")
    await panel.see('.meetingwindow[data-size="normal"]', 30)
    await panel.see(".meetingwindow iframe >> internal:control=enter-frame >> form.card button.primary", 30)
