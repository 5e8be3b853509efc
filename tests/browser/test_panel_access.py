"""WCAG 2.1 A and AA by axe-core: every view, wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from tests.browser.people import People

SCREENS: dict[str, dict[str, Any]] = {
    "wide-light": {"width": 1440, "height": 900},
    "wide-dark": {"width": 1440, "height": 900, "dark": True},
    "phone-light": {"width": 390, "height": 844},
    "phone-dark": {"width": 390, "height": 844, "dark": True},
}


@pytest.mark.parametrize("screen", list(SCREENS))
@pytest_twisted.ensureDeferred
async def test_every_view(people: People, screen: str) -> None:
    name = {"wide-light": "alice", "wide-dark": "carol", "phone-light": "dora", "phone-dark": "emil"}[screen]
    bob = await people.elsewhere("bob")
    person = await people.at_panel(name, **SCREENS[screen])
    page = person.page
    faults = {}
    await person.try_log_in("wrong")
    await page.see("#problem")
    faults["log-in"] = await page.axe()
    await person.log_in()
    await page.see(".chatd-empty")
    faults["empty panel"] = await page.axe()
    await person.open_add_contact()
    await page.press("#chatd-add-jid", "Enter")
    await page.see("converse-add-contact-modal [role=alert]")
    await page.until("getComputedStyle(document.querySelector('converse-add-contact-modal')).opacity === '1'")
    faults["add contact"] = await page.axe()
    await page.key("Escape")
    await page.gone("converse-add-contact-modal")
    await person.add_contact("bob", "Bob Smith", "Work")
    faults["contact added"] = await page.axe()
    await person.say("Hello, look at https://chat.example/menu please")
    await bob.send(name, "*Thank you*, I will. 🙂")
    await person.reads("I will")
    faults["chat"] = await page.axe()
    await page.click(".toggle-emojis")
    await page.see("converse-emoji-picker input")
    faults["emoji"] = await page.axe()
    await page.key("Escape")
    if "phone" in screen:
        await page.click("converse-controlbox-navback")
        await page.see("converse-roster-contact")
    faults["contacts"] = await page.axe()
    await page.click(".dropdown--contacts button")
    await page.see(".add-contact")
    faults["menu"] = await page.axe()
    await page.click(".dropdown--contacts button")
    await page.click(".show-profile")
    await page.see("converse-profile-modal .modal-footer .btn-danger")
    await page.until("getComputedStyle(document.querySelector('converse-profile-modal')).opacity === '1'")
    faults["profile"] = await page.axe()
    assert {view: found for view, found in faults.items() if found} == {}
    assert not await page.eval("document.documentElement.scrollWidth > innerWidth")
