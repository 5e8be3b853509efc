"""A moderator who has left the meeting learns in the panel what has become of a recording, and plays it there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from tests.browser.harness import Browser, Page
from tests.browser.party import comes
from tests.browser.people import Friend, People
from tests.browser.test_panel_meetings import Hall, daemon
from tests.daemon import DOMAIN
from tests.media_daemon import MediaDaemon

__all__ = ["daemon"]

pytestmark = pytest.mark.long  # real media, and a file that is made of them

SENDER = f"meetings@meet.{DOMAIN}"
CARD = "chatd-recorded"


@pytest_twisted.async_yield_fixture
async def hall(browser: Browser, daemon: MediaDaemon) -> AsyncIterator[Hall]:
    made = Hall(People(browser, daemon), daemon)
    yield made
    made.stack.close()
    await made.people.leave()


async def recorded(hall: Hall, phone: Friend, room: str, is_spoilt: bool = False) -> None:
    """Somebody is recorded for some seconds; then whoever started it leaves, and so does the guest."""
    await phone.process.ask("enter", room=room, nick="phone")
    guest = await hall.guest(room.partition("@")[0], "Gina")
    await guest.see(".tile video", 30)
    await phone.ask(room, "<record xmlns='urn:chatd:meet:0' on='true'/>")
    await guest.see(".recording--on", 40)
    await guest.until("new Promise((done) => setTimeout(() => done(true), 3000))")  # some seconds to look at
    if is_spoilt:
        folder = hall.daemon.folder / "state" / "recordings"
        for written in [one for made in folder.rglob("EG_*") for one in made.iterdir()]:
            written.unlink(missing_ok=True)
    await phone.process.ask("raw", xml=f"<presence type='unavailable' to='{room}/phone'/>")
    await guest.click("button[aria-label=Leave]")


@pytest_twisted.ensureDeferred
async def test_told_in_the_panel(hall: Hall) -> None:
    """One message, in the reader's language, in a chat of its own that takes no answer."""
    hall.people.expect("WebSocket|Websocket|ERR_")
    link = hall.people.link()
    bob = await hall.at_panel("bob", link=link, locale="de")
    page = bob.page
    room = f"{hall.meeting('On the record', 'bob')}@meet.{DOMAIN}"
    phone = await hall.people.elsewhere("bob")
    await recorded(hall, phone, room)
    await comes(page, CARD)
    assert await page.count(CARD) == 1
    said = await page.text(f"{CARD} .chatd-card__words")
    assert "On the record" in said and "Aufzeichnung vom" in said and "bleibt bis" in said
    chat = f'converse-chat[jid="{SENDER}"]'
    assert "Besprechungen" in await page.text(f"{chat} .chat-head")
    await page.see(f"{chat} >> text=Was hier geschrieben wird, liest niemand.")
    assert await page.count(f"{chat} textarea") == 0
    assert await page.count(f"{chat} converse-contact-approval-alert button") == 0, "nobody to add to the contacts"
    assert await page.axe() == []
    await nobody_to_add(page, chat)
    # A failure that passes takes nothing away.
    await link.cut()
    await page.see('#state[data-kind="lost"]')
    await page.click(f"{CARD} button:has-text('Abspielen')")
    await page.see(f"{CARD} [role=alert]:has-text('nicht erreichbar')")
    assert "bleibt bis" in await page.text(CARD) and await page.count(f"{CARD} button") == 2
    assert (await page.eval("document.activeElement.innerText")).strip() == "Abspielen"
    link.mend()
    await page.until("document.getElementById('state').dataset.kind !== 'lost'", 30)
    await page.click(f"{CARD} button:has-text('Abspielen')")
    await page.gone(f"{CARD} [role=alert]")
    await page.until(f"document.querySelector('{CARD} video')?.currentTime > 0.2", 40)
    assert await page.axe() == []
    # Deleted meanwhile by another of the moderators: the card says so.
    await bob.menu("list-meetings")
    await page.click('.chatd-list__one summary:has-text("Aufzeichnung")')
    await page.click(".chatd-recording [data-do=forget]")
    await page.click(".chatd-list__question .chatd-danger")
    await page.gone(".chatd-recording")
    await page.key("Escape")
    await page.gone(".modal.show")
    await page.click(f"{CARD} button:has-text('Abspielen')")
    await page.see(f"{CARD} [role=alert]:has-text('gelöscht')")
    assert await page.count(f"{CARD} :is(button, video)") == 0
    assert await page.eval("document.activeElement.localName") == CARD
    assert await page.axe() == []


async def nobody_to_add(page: Page, chat: str) -> None:
    """Neither the list, nor the details, nor a message offers what the sender never answers."""
    row = f'converse-roster-contact:has([data-jid="{SENDER}"])'
    await page.click(f"{row} converse-dropdown button >> nth=0")
    await page.see(f"{row} .dropdown-menu.show .remove-xmpp-contact")
    assert await page.count(f"{row} .dropdown-item") == 1
    await page.key("Escape")
    await page.call("hover", selector=f"{chat} .chat-msg")
    await page.click(f"{chat} .chat-msg__actions .dropdown-toggle")
    await page.see(f"{chat} .chat-msg__action-copy")
    assert await page.count(f"{chat} .chat-msg__actions .dropdown-item") == 1
    await page.key("Escape")
    await page.click(f"{chat} converse-chat-heading converse-dropdown button")
    await page.click(f"{chat} converse-chat-heading .show-user-details-modal")
    await page.see(".modal.show .chatd-form:has-text('liest niemand')")
    assert await page.count(".modal.show .add-contact") == 0
    await page.key("Escape")
    await page.gone(".modal.show")


@pytest_twisted.ensureDeferred
async def test_told_why_there_is_none(hall: Hall) -> None:
    carol = await hall.at_panel("carol", width=390, height=844, dark=True, locale="de")
    room = f"{hall.meeting('Lost', 'carol')}@meet.{DOMAIN}"
    await recorded(hall, await hall.people.elsewhere("carol"), room, is_spoilt=True)
    await comes(carol.page, CARD)
    said = await carol.page.text(CARD)
    why = "Diese Aufzeichnung ist fehlgeschlagen. Was aufgezeichnet wurde, ist nicht mehr da."
    assert "Lost" in said and why in said, said
    assert await carol.page.count(f"{CARD} button") == 0
    assert await carol.page.axe() == []
