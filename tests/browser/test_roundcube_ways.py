"""Roundcube as some sites have it: frames forbidden; and a log-in while a meeting goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.browser.mail import SHELL, Reader, Readers
from tests.daemon import DOMAIN, PASSWORD
from tests.media_daemon import running_media
from tests.roundcube import Webmail
from tests.roundcube import webmail as running_webmail

USERS = {f"{name}@{DOMAIN}": PASSWORD for name in ("alice", "bob")}
DENY = "$config['x_frame_options'] = 'deny';"


@pytest.fixture(scope="module")
def webmail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webmail]:
    """Webmail with a chatd of its own, which has meetings."""
    with running_webmail(USERS, config=DENY) as server, \
            running_media(tmp_path_factory.mktemp("chatd"), extra=server.table(DOMAIN)) as daemon:
        server.know(daemon)
        yield server


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_frames_are_forbidden_but_to_the_shell(readers: Readers) -> None:
    alice = await readers.logged_in("alice")
    await alice.go("contacts")
    await alice.chat.page.see("#launcher")
    asked = "fetch(location.href).then((answer) => answer.headers.get('x-frame-options'))"
    assert await alice.mail.eval(asked) == "deny"


async def log_in_again(reader: Reader, name: str) -> None:
    """Fill in the form in the frame."""
    await reader.mail.fill("#rcmloginuser", f"{name}@{DOMAIN}")
    await reader.mail.fill("#rcmloginpwd", PASSWORD)
    await reader.mail.click("#rcmloginsubmit")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_log_in_during_a_meeting(readers: Readers) -> None:
    """Webmail's session is over, the meeting is not; somebody else's log-in ends it."""
    alice = await readers.logged_in("alice", media="granted", width=1440, height=900)
    chat = alice.chat
    await chat.page.click("#launcher")
    await chat.meet("Offer")
    await chat.join()
    meeting = chat.page.inside(".meetingwindow iframe")
    await meeting.eval("window.kept = 'the same meeting'")
    await chat.page.click(chat.button("small"))
    await chat.size("small")
    goes_on = ("window.kept === 'the same meeting' && __peers.some((one) => one.connectionState === 'connected')")
    readers.webmail.forget_sessions()
    await alice.ready()
    await alice.mail.click("#taskmenu a.contacts")
    await alice.mail.see("#login-form")
    await meeting.until(goes_on)
    await log_in_again(alice, "alice")
    await alice.mail.see("#directorylist")
    await alice.tab.until(f"location.href === document.querySelector('{SHELL}').contentWindow.location.href")
    await alice.go("settings")
    await meeting.until(goes_on)
    assert await alice.tab.eval("chatd.inMeeting")
    # The chat, too: its next connection has a token of the new session.
    readers.webmail.forget_sessions()
    await alice.mail.click("#taskmenu a.mail")
    await alice.mail.see("#login-form")
    await meeting.until(goes_on)
    await log_in_again(alice, "bob")
    await alice.mail.see("#mailboxlist", 60)
    await chat.page.see("#launcher", 60)
    assert await chat.page.count(".meetingwindow") == 0
    assert not await alice.tab.eval("chatd.inMeeting")
