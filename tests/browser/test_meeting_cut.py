"""A meeting that is disturbed: the line is cut, the daemon dies, the bridge dies; everybody is back without a reload.

How long it took is in the report (`record_property`).
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.browser.harness import Page
from tests.browser.party import DECODED, Party, inside, join, tile
from tests.browser.people import Person

pytestmark = pytest.mark.long  # real media in several browsers

CUT_S = 10.0
BODIES = "[...document.querySelectorAll('.message__body')].map((one) => one.innerText)"


async def moves(*pages: Page) -> None:
    """Wait until pictures come again, on all at the same time; a connection that was made anew counts from nothing."""
    later = "new Promise((go) => setTimeout(go, 300))"
    moving = f"({DECODED}).then((a) => {later}.then(() => ({DECODED}).then((b) => b > a + 1)))"
    await gatherResults([Deferred.fromCoroutine(page.until(moving, 30)) for page in pages], consumeErrors=True)


async def write(page: Page, text: str) -> None:
    await page.fill(".writing textarea", text)
    await page.press(".writing textarea", "Enter")


async def chats(*pages: Page) -> None:
    for page in pages:
        await page.click("button[aria-label^=Chat]")
        await page.see(".writing textarea")


@pytest_twisted.ensureDeferred
async def test_a_line_that_is_cut(party: Party, record_property: Any) -> None:
    """Ten seconds without a line to the server: a notice, and then all goes on; what was written meanwhile is there."""
    party.people.expect(".")
    room = party.meeting()
    line = party.people.link()
    ada = await party.people.browser.page(
        f"https://localhost:{line.port}/meet/{room.partition('@')[0]}", media="granted", https=True)
    party.people.persons.append(Person(ada, ""))
    await join(ada, "Ada")
    await inside(ada)
    alice = await party.alice(room)
    bea = await party.guest(room, "Bea")
    for page in (ada, alice):
        await tile(page, "Bea")
    await chats(ada, alice, bea)
    await write(ada, "before")
    await bea.see(".message:has-text('before')")
    await line.cut()
    await ada.see("text=The connection is cut.")
    await write(ada, "written behind the cut")
    await ada.see(".message__status:has-text('Sending')")
    for number in range(5):
        await write(bea, f"meanwhile {number}")
    await alice.see(".message:has-text('meanwhile 4')")
    await task.deferLater(reactor, CUT_S, lambda: None)  # type: ignore[arg-type]
    line.mend()
    mended = time.monotonic()
    await ada.see("text=You are connected again.", 30)
    await ada.see(".message:has-text('meanwhile 4')")
    record_property("seconds from the mended line to the notice", round(time.monotonic() - mended, 2))
    for page in (alice, bea):
        await page.see(".message:has-text('written behind the cut')")
    for page in (ada, alice, bea):
        said = await page.eval(BODIES)
        assert sorted(said) == sorted(["before", "written behind the cut", *(f"meanwhile {n}" for n in range(5))])
    await ada.gone(".toast--bad", 30)
    for page, name in ((ada, "Alice"), (bea, "Alice"), (alice, "Ada")):
        await tile(page, name)
    await moves(ada, bea, alice)
    record_property("seconds to sound and picture", round(time.monotonic() - mended, 2))


@pytest_twisted.ensureDeferred
async def test_the_daemon_dies(party: Party, record_property: Any) -> None:
    """kill -9 and a new start: everybody is in again, the same people, with cameras as they were; nothing is lost."""
    party.people.expect(".")
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    for name in ("Ada", "Bea"):
        await tile(alice, name)
    await bea.click("button[aria-label='Turn camera off']")
    await alice.gone(".tile[data-nick=Bea] video")
    await chats(alice, ada)
    await write(ada, "before")
    await alice.see(".message:has-text('before')")
    party.daemon.kill()
    await ada.see("text=The connection is cut.")
    await write(ada, "without a server")
    await deferToThread(party.daemon.start)
    started = time.monotonic()
    await ada.see("text=You are connected again.", 30)
    await alice.see(".message:has-text('without a server')", 30)
    record_property("seconds from the start to the chat", round(time.monotonic() - started, 2))
    await alice.see(".tile[data-nick=Ada] video", 60)
    await moves(alice)
    record_property("seconds from the start to the picture", round(time.monotonic() - started, 2))
    for page in (alice, ada):
        assert await page.eval(BODIES) == ["before", "without a server"]
    await bea.see("button[aria-label='Turn camera on']")
    assert await alice.count(".tile[data-nick=Bea] video") == 0
    await alice.click("button[aria-label^=Participants]")
    assert "Participants (3)" in await alice.text(".side h2")
    await alice.click("button[aria-label='Actions for Ada']")  # still a moderator


@pytest_twisted.ensureDeferred
async def test_the_bridge_dies(party: Party, record_property: Any) -> None:
    """Another one takes its place; sound and picture come back by themselves."""
    party.people.expect(".")
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    for page, name in ((alice, "Ada"), (ada, "Bea"), (bea, "Alice")):
        await tile(page, name)
    [bridge] = await deferToThread(party.daemon.bridges)
    # The notice may stand for less than a second.
    await alice.eval("""globalThis.__told = false; new MutationObserver(() => {
        __told ||= Boolean(document.querySelector('.toast--bad'));
    }).observe(document.body, { childList: true, subtree: true })""")
    os.kill(bridge["pid"], signal.SIGKILL)
    killed = time.monotonic()
    await alice.until("__told", 60)
    await alice.gone(".toast--bad", 60)
    for page, name in ((alice, "Ada"), (ada, "Bea"), (bea, "Alice")):
        await tile(page, name)
    await moves(alice, ada, bea)
    record_property("seconds from the kill to the picture", round(time.monotonic() - killed, 2))
