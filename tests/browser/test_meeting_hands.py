"""A meeting by keyboard alone, and on phones and tablets by fingers alone, from the door to leaving."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.party import Party, inside, tile
from tests.integration.visitors import ticket

pytestmark = pytest.mark.long  # real media in several browsers

NAME = """(e => (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || "").trim()
    )(document.activeElement)"""
SEEN = """(() => {
    const e = document.activeElement;
    const { outlineStyle, boxShadow } = getComputedStyle(e);
    const { left, top, right, bottom } = e.getBoundingClientRect();
    return e.matches(':focus-visible') && (outlineStyle !== 'none' || boxShadow !== 'none')
        && right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
})()"""
LEAST_PX = 24  # WCAG 2.2, 2.5.8


async def go(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until the control of this name has the focus, which can be seen."""
    passed = []
    for _ in range(40):
        await page.keyboard("press", key)
        passed.append(str(await page.eval(NAME)))
        if passed[-1].startswith(name):
            assert await page.eval(SEEN), f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"no way to {name}: {passed}")


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard("press", key)


@pytest_twisted.ensureDeferred
async def test_by_keyboard_alone(party: Party) -> None:
    """Join, mute, hand, chat, what moderators do with people, the security dialog, leave and rejoin."""
    room = party.meeting()
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    for page in (ada, bea):
        await inside(page)
    alice = await party.open(room, fragment=f"#ticket={ticket(party.owner)}&name=Alice")
    await alice.see(".mirror video")
    assert await alice.eval(NAME) == "Join"  # the name is known: one key is enough
    await press(alice, "Enter")
    await inside(alice)
    await tile(alice, "Bea")

    await go(alice, "Turn microphone off")
    await press(alice, "Space")
    await ada.see(".tile[data-nick=Alice] .mark:has-text('Microphone off')")
    await go(alice, "Raise hand")
    await press(alice, "Enter")
    await ada.see(".tile[data-nick=Alice] .tile__hand")
    await go(alice, "Chat")
    await press(alice, "Enter")
    await alice.until("document.activeElement.matches('.writing textarea')")
    for letter in "Good morning":
        await press(alice, "Space" if letter == " " else letter)
    await press(alice, "Enter")
    await ada.see(".badge:has-text('1')")
    await press(alice, "Escape")
    await alice.gone(".side")
    assert str(await alice.eval(NAME)).startswith("Chat")

    await go(alice, "Participants")
    await press(alice, "Enter")
    await alice.see(".people li[data-nick=Ada]")
    await go(alice, "Actions for Ada", "Shift+Tab")
    await press(alice, "Enter")
    await go(alice, "Mute")
    await press(alice, "Enter")
    await ada.see("text=A moderator has muted you.")
    await go(alice, "Actions for Bea", "Shift+Tab" if await above(alice, "Bea", "Ada") else "Tab")
    await press(alice, "Enter")
    await go(alice, "Remove")
    await press(alice, "Enter")
    await alice.see(".asking")
    await press(alice, "Escape")
    await alice.gone(".asking")
    assert await alice.eval(NAME) == "Remove"
    await press(alice, "Enter", "Enter")
    await bea.see("text=You were removed from this meeting.")
    await alice.until("document.activeElement.matches('.side__all')")  # not lost with what was pressed
    await press(alice, "Escape")
    await alice.gone(".side")
    assert str(await alice.eval(NAME)).startswith("Participants")

    await go(alice, "Security", "Shift+Tab")
    await press(alice, "Enter")
    await alice.see("dialog.security")
    await go(alice, "Lobby")
    await press(alice, "Space")
    await alice.until("document.activeElement.checked")
    await go(alice, "Set a password")
    await press(alice, "Enter")
    await alice.until("document.activeElement.matches('dialog input[autocomplete=off]')")
    await press(alice, *"swordfish", "Enter")
    await alice.see("dialog >> text=••••••")
    await go(alice, "share their screen")
    await press(alice, "Space")
    await ada.see("button[aria-label='Share screen. A moderator has forbidden this.']:disabled")
    await press(alice, "Escape")
    await alice.gone("dialog.security")
    assert await alice.eval(NAME) == "Security"

    await go(alice, "Leave")
    await press(alice, "Enter")
    await alice.see("text=You have left")
    assert await alice.eval(NAME) == "Rejoin"
    await press(alice, "Enter")
    await alice.see("form.card")
    await ada.gone(".tile[data-nick=Alice]")


async def above(page: Page, one: str, other: str) -> bool:
    """Whether somebody stands above another in the list."""
    names = await page.eval("[...document.querySelectorAll('.people li')].map((one) => one.dataset.nick)")
    return bool(names.index(one) < names.index(other))


async def large_enough(page: Page) -> None:
    """Every control in sight can be hit with a finger."""
    small = await page.eval(f"""[...document.querySelectorAll('button, select, input, a[href]')]
        .filter((one) => one.checkVisibility() && !one.closest('.hidden, [inert]'))
        .map((one) => [one, (one.closest('label') ?? one).getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.width < {LEAST_PX} || box.height < {LEAST_PX}))
        .map(([one, box]) => `${{one.outerHTML.slice(0, 99)}} ${{box.width}}x${{box.height}}`)""")
    assert small == []


@pytest_twisted.ensureDeferred
async def test_a_phone(party: Party) -> None:
    """Nothing needs a mouse that hovers: tiles, menus, chat, people, leaving."""
    room = party.meeting()
    alice, bea = await party.alice(room), await party.guest(room, "Bea")
    await inside(bea)
    options: dict[str, Any] = {"touch": True, "width": 390, "height": 844}
    ada = await party.open(room, **options)
    await ada.see(".mirror video")
    await large_enough(ada)
    await ada.tap("input[name=name]")
    await ada.fill("input[name=name]", "Ada")
    await ada.tap("form.card button.primary")
    await inside(ada)
    await tile(ada, "Bea")
    await large_enough(ada)
    pin = "[aria-label='Show Bea large']"
    assert await ada.eval(f'getComputedStyle(document.querySelector("{pin}").closest(".tile__actions")).opacity') == "1"
    await ada.tap(pin)
    await ada.see(".tile--large[data-nick=Bea] video")
    await ada.tap(".tile--large [aria-pressed=true]")
    await ada.gone(".tile--large")
    await ada.tap("button[aria-label=More]")
    await large_enough(ada)
    await ada.tap(".menu >> text=Raise hand")
    await alice.see(".tile[data-nick=Ada] .tile__hand")
    await ada.tap("button[aria-label=More]")
    await ada.tap(".menu button[aria-label=Heart]")
    await alice.see(".floating__one:has-text('Ada')")
    await ada.tap(".top h1")  # beside the menu: it closes
    await ada.gone(".menu")
    await ada.tap("button[aria-label='Turn microphone off']")
    await alice.see(".tile[data-nick=Ada] .mark:has-text('Microphone off')")
    await ada.tap("button[aria-label^=Chat]")
    await ada.tap(".writing textarea")
    await ada.fill(".writing textarea", "By thumb")
    await ada.tap(".writing button[aria-label=Send]")
    await alice.see(".badge:has-text('1')")
    await large_enough(ada)
    await ada.tap(".side button[aria-label=Close]")
    await ada.gone(".side")
    await alice.click("button[aria-label^=Participants]")
    await alice.click("button[aria-label='Actions for Ada']")
    await alice.click(".actions >> text=Make moderator")
    await ada.see("text=You are now a moderator.")
    await ada.tap("button[aria-label^=Participants]")
    await ada.tap("button[aria-label='Actions for Bea']")
    await large_enough(ada)
    await ada.tap(".actions >> text=Mute")
    await bea.see("text=A moderator has muted you.")
    await ada.tap(".side button[aria-label=Close]")
    await ada.tap("button[aria-label=Leave]")
    await ada.see("text=You have left")
    await alice.gone(".tile[data-nick=Ada]")
