"""The lobby of a meeting on both sides of the door, in Chromium: knocking, a sound, letting in, refusing."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.party import Party, inside, join, tile
from tests.integration.visitors import ticket

pytestmark = pytest.mark.long  # real media in several browsers

LISTEN = """(() => {
    const start = OscillatorNode.prototype.start;
    globalThis.__tones = 0;
    OscillatorNode.prototype.start = function (...all) {
        globalThis.__tones += 1;
        return start.apply(this, all);
    };
})()"""
"""Counts the tones that the page plays."""


async def knock(party: Party, room: str, name: str, password: str = "") -> Page:
    """Somebody comes to the door of a meeting with a lobby, and waits."""
    page = await party.open(room, media="none")
    await page.see("text=Somebody in the meeting has to let you in.")
    await join(page, name, password)
    await page.see("text=Waiting to be let in")
    return page


@pytest_twisted.ensureDeferred
async def test_let_in_and_refused(party: Party) -> None:
    room = party.meeting(lobby="true")
    ada = await knock(party, room, "Ada")
    await ada.see("text=No moderator is here yet.")
    assert await ada.axe() == []
    alice = await party.alice(room, width=390, height=844)
    await alice.eval(LISTEN)
    await alice.see(".toast--knock:has-text('Ada wants to come in.')")
    await ada.see("text=The people in the meeting know that you are here.")
    bea = await knock(party, room, "Bea")
    await alice.see(".toast--knock:has-text('Waiting to be let in: 2')")
    await alice.until("__tones >= 2")
    await alice.see("button[aria-label='Participants: Waiting to be let in: 2']")
    assert await alice.axe() == []
    await alice.click(".toast--knock >> text=Show")
    await alice.see(".waiting li:has-text('Bea') >> text=Guest")
    assert await alice.axe() == []
    await alice.call("focus", selector="button[aria-label='Admit: Ada'] >> nth=-1")
    await alice.key("Enter")
    await inside(ada)
    await tile(ada, "Alice")
    await ada.click("button[aria-label^=Participants]")
    assert await ada.count(".waiting") == 0, "who is no moderator does not see who waits"
    await alice.click(".waiting button[aria-label='Refuse: Bea']")
    await bea.see("h1:has-text('You were not let in.')")
    await bea.see("button:disabled:has-text('Ask again in')")
    assert await bea.axe() == []
    await bea.click("text=Change name or devices")
    await bea.see("form.card")
    await ada.click("button[aria-label=Leave]")
    await ada.click("text=Rejoin")
    await join(ada, "Ada")
    await inside(ada)  # who was let in need not knock again

    carla = await knock(party, room, "Carla")
    await alice.see(".waiting li:has-text('Carla')")
    await carla.click("text=Stop waiting")
    await carla.see("form.card")
    await alice.gone(".waiting")


@pytest_twisted.ensureDeferred
async def test_all_at_once(party: Party) -> None:
    """Admit all, refuse all with a question, what the end of the lobby and of the meeting mean for those who wait."""
    room = party.meeting(lobby="true")
    alice = await party.alice(room)
    await alice.click("button[aria-label^=Participants]")
    first = [await knock(party, room, name) for name in ("Ada", "Bea")]
    await alice.see(".waiting li:has-text('Bea')")
    await alice.click(".waiting >> text=Refuse all")
    await alice.see(".asking:has-text('Refuse all 2 who wait?')")
    await alice.click(".asking >> text=Cancel")
    await alice.click(".waiting >> text=Admit all")
    for page in first:
        await inside(page)
    second = [await knock(party, room, name) for name in ("Carla", "Dora")]
    await alice.see(".waiting li:has-text('Dora')")
    await alice.click(".waiting >> text=Refuse all")
    await alice.click(".asking .danger")
    for page in second:
        await page.see("h1:has-text('You were not let in.')")
    third = await knock(party, room, "Emma")
    await alice.click("button[aria-label=Security]")
    await alice.click(".toggle:has-text('Lobby') input")
    await inside(third)  # no lobby, no waiting
    await alice.see("text=The lobby is off")
    await alice.click(".toggle:has-text('Lobby') input")
    await alice.see("text=The lobby is on")
    await alice.key("Escape")
    fourth = await knock(party, room, "Fritz")
    await alice.see(".waiting li:has-text('Fritz')")
    await alice.click(".side__foot >> text=End for all")
    await alice.click(".asking button.danger")
    await fourth.see("text=The meeting was ended.")
    assert await fourth.axe() == []


@pytest_twisted.ensureDeferred
async def test_password_behind_the_lobby(party: Party) -> None:
    """Where both hold, being let in is not enough."""
    room = party.meeting(inner="<password>swordfish</password>", lobby="true")
    alice = await party.open(room, fragment=f"#ticket={ticket(party.owner)}&name=Alice")
    # Of somebody with an account the page does not know before whether it is a moderator.
    await alice.see("text=if you are not one of its moderators, somebody has to let you in.")
    assert await alice.text("form.card button.primary") == "Join"
    await join(alice, "Alice", "swordfish")
    await inside(alice)
    ada = await knock(party, room, "Ada", "tunafish")
    await alice.click(".toast--knock >> text=Admit")
    await ada.see("text=That password is not right")
    await join(ada, "Ada", "swordfish")
    await inside(ada)
    await tile(ada, "Alice")
