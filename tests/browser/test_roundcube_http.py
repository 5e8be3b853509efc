"""Roundcube opened by plain http: no page around it, the chat in each page, and meetings in a tab of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.browser.mail import SHELL, Readers
from tests.browser.people import Friend
from tests.daemon import DOMAIN, PASSWORD
from tests.media_daemon import MediaDaemon, running_media
from tests.roundcube import Webmail
from tests.roundcube import webmail as running_webmail

CONNECTED = "window.chatd?.state === 'connected'"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Webmail, MediaDaemon]]:
    """Webmail with a chatd of its own, which has meetings."""
    with running_webmail({f"alice@{DOMAIN}": PASSWORD}) as server, \
            running_media(tmp_path_factory.mktemp("chatd"), f"bob@{DOMAIN}", extra=server.table(DOMAIN)) as daemon:
        server.know(daemon)
        yield server, daemon


@pytest.fixture(scope="module")
def webmail(place: tuple[Webmail, MediaDaemon]) -> Webmail:
    return place[0]


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_chat_and_a_meeting(readers: Readers, place: tuple[Webmail, MediaDaemon]) -> None:
    """The chat is on each page; a meeting is offered in a tab, where it has a camera and outlives Webmail's pages."""
    webmail, daemon = place
    alice = await readers.at_webmail("alice", origin=webmail.http, media="granted", width=1280, height=800)
    alice.mail = alice.tab
    await alice.log_in()
    assert not await alice.tab.eval("isSecureContext")
    assert await alice.tab.count(SHELL) == 0
    await alice.tab.until(CONNECTED, 60)
    panel = alice.chat.page
    bob = Friend("bob", daemon)
    try:
        await bob.connect()
        await bob.send("alice", "Hello")
        await alice.chat.reads("Hello")
        await panel.fill("textarea.chat-textarea", "Hello Bob")
        await panel.press("textarea.chat-textarea", "Enter")
        await bob.receive("Hello Bob")
    finally:
        bob.process.stop()
    await alice.go("contacts")
    await alice.tab.until(CONNECTED, 60)
    await alice.tab.eval("chatd.open()")
    await alice.chat.meet("Offer")
    await panel.see("dialog.question p:has-text('without camera and microphone')", 30)
    assert await panel.axe("dialog.question") == []
    await panel.click("dialog.question .question__yes")
    meeting = await alice.tab.popup()
    await meeting.until("location.pathname.startsWith('/meet/') && isSecureContext", 30)
    await meeting.click("form.card button.primary")
    await meeting.until("[...document.querySelectorAll('.tile video')].some((one) => one.currentTime > 0.5)", 60)
    await alice.go("settings")
    await alice.tab.until(CONNECTED, 60)
    assert await meeting.count(".tile") == 1
    await meeting.close()
