"""The meeting page's people: who is there, what moderators do with them, and the chat; in Chromium, three and more.

What a moderator forbids, a modified client cannot do either: there the media token and the bridge say no.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.meetings import Party, inside, join, sees, tile
from tests.browser.test_meeting_page import party
from tests.daemon import DOMAIN
from tests.media_daemon import MediaDaemon, running_media

__all__ = ["party"]

pytestmark = pytest.mark.long  # real media in several browsers

HEARD = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'audio')
    .reduce((sum, one) => sum + (one.packetsReceived ?? 0), 0)))
    .then((all) => all.reduce((sum, one) => sum + one, 0))"""
FORGED = """(() => {
    const Real = globalThis.WebSocket;
    globalThis.WebSocket = class extends Real {
        set onmessage(take) {
            super.onmessage = (event) => take(typeof event.data !== 'string' ? event : new MessageEvent('message', {
                data: event.data.replace(/role=(.)participant./g, 'role="moderator"'),
            }));
        }
    };
})()"""
"""A modified client: it reads that everybody is a moderator, so it thinks that it may do everything."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of this file."""
    with running_media(tmp_path_factory.mktemp("chatd"), f"alice@{DOMAIN}", f"bob@{DOMAIN}") as made:
        yield made


async def people(page: Page, *names: str) -> None:
    """Open the participants; these are there."""
    await page.click("button[aria-label^=Participants]")
    for name in names:
        await page.see(f".people li[data-nick='{name}']")


async def act(page: Page, name: str, what: str) -> None:
    """One of the actions for somebody."""
    button = f"button[aria-label='Actions for {name}']"
    if await page.call("getAttribute", "aria-expanded", selector=button) != "true":
        await page.click(button)
    await page.click(f".actions button:text-is('{what}')")


async def quiet(page: Page) -> None:
    """Wait until nothing is heard any more: two counts half a second apart are the same."""
    later = "new Promise((go) => setTimeout(go, 500))"
    await page.until(f"({HEARD}).then((a) => {later}.then(() => ({HEARD}).then((b) => a === b)))")


@pytest_twisted.ensureDeferred
async def test_muting(party: Party) -> None:
    """One and all; the muted one is told, may come back, unless it is forbidden; then not even a modified client."""
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    for name in ("Ada", "Bea"):
        await tile(alice, name)
    await people(alice, "Ada", "Bea")
    assert "Guest" in await alice.text(".people li[data-nick=Ada]") and "Guests: 2" in await alice.text(".counts")
    assert "Moderator" in await alice.text(".people li[data-nick=Alice]")
    await act(alice, "Ada", "Mute")
    await ada.see("text=A moderator has muted you.")
    await ada.click("button[aria-label='Turn microphone on']")
    await ada.see("button[aria-label='Turn microphone off']")
    await act(alice, "Ada", "Stop video")
    await ada.see("text=A moderator has stopped your video.")
    await alice.gone(".tile[data-nick=Ada] video")
    await alice.click(".actions >> text=Microphone")
    await alice.see("text=Forbidden for Ada.")
    await ada.see("text=A moderator has forbidden you the microphone.")
    await ada.see("button[aria-label='Turn microphone on. A moderator has forbidden this.']:disabled")
    await alice.click(".toast >> text=Undo")
    await ada.see("text=You may use your microphone.")
    await ada.click("button[aria-label='Turn microphone on']")
    await ada.see("button[aria-label='Turn microphone off']")
    assert await alice.axe() == []

    await alice.click(".side__foot >> text=Mute all")
    await alice.click(".asking__more input")
    await alice.click(".asking .primary")
    for page in (ada, bea):
        await page.see("button[aria-label='Turn microphone on. A moderator has forbidden this.']:disabled")
        assert await page.axe() == []
    await quiet(alice)

    await alice.click(".side__foot >> text=Stop all video")
    await alice.click(".asking .primary")
    await alice.gone(".tile[data-nick=Bea] video")
    await bea.see("text=A moderator has stopped your video.")
    await bea.click("button[aria-label='Turn camera on']")
    await tile(alice, "Bea")
    await sees(alice)


@pytest_twisted.ensureDeferred
async def test_a_modified_client(party: Party) -> None:
    """A page that takes itself for a moderator gets nothing: no microphone, no screen, no command, no text."""
    party.people.expect("NotAllowed|permission|insufficient|publish|403")
    room = party.meeting()
    alice = await party.alice(room)
    ada = await party.guest(room, "Ada")
    await people(alice, "Ada")
    await alice.click("button[aria-label=Security]")
    for word in ("turn on their microphone", "share their screen", "write in the chat"):
        await alice.click(f".toggle:has-text('{word}') input")
    await alice.key("Escape")
    eve = await party.open(room)
    await eve.see("form.card")
    await eve.eval(FORGED)
    await join(eve, "Eve")
    await inside(eve)
    await ada.see("button[aria-label='Turn microphone on. A moderator has forbidden this.']:disabled")
    await ada.see("button[aria-label='Share screen. A moderator has forbidden this.']:disabled")
    await ada.click("button[aria-label=Chat]")
    await ada.see(".side__foot:has-text('A moderator has switched off the chat.')")
    assert await ada.axe() == []
    await eve.click("button[aria-label^=Participants]")
    assert "Moderator" in await eve.text(".people li[data-nick=Eve]"), "it believes what it made up"
    await act(eve, "Ada", "Stop video")
    await eve.see("text=Only moderators may do that.")
    await eve.click("button[aria-label=Chat]")
    await eve.fill(".writing textarea", "A message that is not allowed")
    await eve.press(".writing textarea", "Enter")
    await eve.see(".message__status:has-text('Not sent')")
    for button in ("Turn microphone on", "Share screen"):
        await eve.click(f"button[aria-label='{button}']")
    await alice.see(".people li[data-nick=Eve] >> text=Microphone off")
    await tile(alice, "Eve")  # her camera is allowed
    await quiet(alice)
    assert await alice.count(".tile--screen") == 0 and await ada.count(".message:has-text('not allowed')") == 0
    await tile(ada, "Alice")


@pytest_twisted.ensureDeferred
async def test_standing(party: Party) -> None:
    """Moderators by grant, and no more; hands; removal for good; the lock; the end for all."""
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea, eve = [await party.guest(room, name) for name in ("Ada", "Bea", "Eve")]
    for page in (ada, bea, eve):
        await inside(page)
    await people(alice, "Ada", "Bea", "Eve")
    assert "Participants (4)" in await alice.text(".side h2")
    await act(alice, "Ada", "Make moderator")
    await ada.see("text=You are now a moderator.")
    await people(ada, "Alice")
    await act(ada, "Bea", "Mute")
    await bea.see("text=A moderator has muted you.")
    await ada.click("button[aria-label='Actions for Alice']")
    assert await ada.count(".actions >> text=Remove") == 0, "nobody removes the owner"
    await act(alice, "Ada", "No longer moderator")
    await ada.see("text=You are no longer a moderator.")
    await ada.gone("button[aria-label='Actions for Bea']")
    await alice.click(".toast >> text=Undo")
    await ada.see("text=You are now a moderator.")
    await act(alice, "Ada", "No longer moderator")

    for page in (bea, eve):
        await page.click("button[aria-label='Raise hand']")
        await alice.see(f".people li[data-nick={'Bea' if page is bea else 'Eve'}] .people__hand")
    order = await alice.eval("[...document.querySelectorAll('.people li')].map((one) => one.dataset.nick)")
    assert order == ["Alice", "Bea", "Eve", "Ada"], "hands in the order in which they were raised"
    await act(alice, "Bea", "Lower hand")
    await bea.see("button[aria-label='Raise hand']")
    await alice.click(".side__foot >> text=Lower all hands")
    await eve.see("button[aria-label='Raise hand']")

    await alice.click("button[aria-label='Start recording']")
    await alice.see("dialog:has-text('Meetings are not recorded at this site.')")
    assert await alice.axe() == []
    await alice.key("Escape")
    await alice.click("button[aria-label=Security]")
    await alice.click(".toggle:has-text('Lock the meeting')")
    await ada.see("text=The meeting is locked: nobody new comes in.")
    assert await alice.axe() == []
    await alice.key("Escape")
    await ada.click("button[aria-label=Security]")
    await ada.see(".facts__list >> text=The meeting is locked")
    assert await ada.axe() == []
    await ada.key("Escape")
    late = await party.open(room)
    await late.see("text=The meeting is locked: only people who have been in can come in.")
    await join(late, "Late")
    await late.see("text=The meeting is locked. Try again later.")
    await bea.click("button[aria-label=Leave]")
    await bea.click("text=Rejoin")
    await join(bea, "Bea")
    await inside(bea)  # who was in comes back

    await act(alice, "Eve", "Remove")
    await alice.see(".asking:has-text('Remove Eve? They cannot come back.')")
    await alice.click(".asking button.danger")
    await eve.see("text=You were removed from this meeting.")
    assert await eve.count("text=Rejoin") == 0 and await eve.axe() == []
    await alice.gone(".tile[data-nick=Eve]")
    await eve.reload()
    await join(eve, "Somebody else")
    await eve.see("text=You were removed from this meeting.")
    await alice.click(".side__foot >> text=End for all")
    await alice.click(".asking button.danger")
    for page in (alice, ada, bea):
        await page.see("text=The meeting was ended for all.")
