"""The page of an invitation: somebody opens the link, makes an account, and is in the panel; a link that is no good
says so kindly; axe and pictures of it wide and narrow, light and dark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.people import People, Person
from tests.browser.test_panel_access import SCREENS
from tests.daemon import DOMAIN, Daemon, running

PICTURES = os.environ.get("CHATD_PICTURES", "")     # a folder, for whoever wants to look at it
SETTINGS = '[registration]\ninvitations = "admins"\n'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that people are invited to."""
    with running(tmp_path_factory.mktemp("invitations"), f"alice@{DOMAIN}", f"nora@{DOMAIN}", extra=SETTINGS) as chatd:
        yield chatd


async def opened(people: People, path: str, **options: Any) -> Person:
    """Somebody who has opened a link."""
    page = await people.browser.page(f"https://localhost:{people.daemon.ports['https']}{path}", https=True, **options)
    person = Person(page, "")
    people.persons.append(person)
    return person


def invited(daemon: Daemon, *more: str) -> str:
    """The path of a new invitation's page."""
    page: str = daemon.ctl("invite", DOMAIN, *more)["result"]["page"]
    return page[page.index("/invite/"):]


async def filled(page: Page, name: str, password: str, again: str) -> None:
    """The form is filled in and sent."""
    if name:
        await page.fill("#name", name)
    await page.fill("#password", password)
    await page.fill("#again", again)
    await page.click("button")


@pytest_twisted.ensureDeferred
async def test_from_the_link_to_the_panel(people: People) -> None:
    """Mistakes are told beside what was typed; then the account is there, and the same link is spent."""
    people.expect("400|404|409")            # what the browser says of a form that came back
    path = invited(people.daemon)
    guest = await opened(people, path, width=1440, height=900)
    page = guest.page
    assert DOMAIN in await page.text("main") and await page.count(".scan svg[role=img]") == 1
    await filled(page, "New Person", "correct horse", "correct hoarse")
    await page.see("[role=alert]")
    assert await page.text("[role=alert]") == "The two passwords differ."
    await filled(page, "nora", "correct horse", "correct horse")
    await page.until("document.querySelector('[role=alert]')?.textContent.includes('taken')")
    assert await page.eval("document.querySelector('#name').value") == "nora"
    await filled(page, "newcomer", "correct horse", "correct horse")
    await page.until("document.querySelector('h1').textContent === 'Welcome'")
    assert f"newcomer@{DOMAIN}" in await page.text("main")
    await page.click("a.key")
    await page.see("#address")
    guest.name = "newcomer"
    await guest.log_in("correct horse")
    assert await page.text("#who") == f"newcomer@{DOMAIN}"
    again = await opened(people, path)
    assert await again.page.text("h1") == "This invitation is not valid"
    assert "Ask for a new one" in await again.page.text("main") and await again.page.count("form") == 0


@pytest_twisted.ensureDeferred
async def test_a_name_that_was_kept_and_links_that_are_none(people: People) -> None:
    """The name of the invitation cannot be changed; a link nobody made says what one that is spent says."""
    people.expect("404")
    guest = await opened(people, invited(people.daemon, "--name", "kept"))
    assert await guest.page.eval("document.querySelector('#name').readOnly && document.querySelector('#name').value"
                                 ) == "kept"
    await filled(guest.page, "", "correct horse", "correct horse")
    await guest.page.until("document.querySelector('h1').textContent === 'Welcome'")
    wrong = await opened(people, "/invite/" + "x" * 32)
    assert await wrong.page.text("h1") == "This invitation is not valid"
    assert await wrong.page.axe() == []


@pytest.mark.parametrize("screen", ["wide-light", "phone-dark", *(
    pytest.param(name, marks=pytest.mark.long) for name in ("wide-dark", "phone-light"))])
@pytest_twisted.ensureDeferred
async def test_everybody_can_read_it(people: People, screen: str) -> None:
    """WCAG A and AA by axe: the form, a mistake, the end; nothing is wider than the screen."""
    people.expect("400")
    guest = await opened(people, invited(people.daemon), **SCREENS[screen])
    page = guest.page
    faults = {"form": await page.axe()}
    if PICTURES:
        await page.screenshot(Path(PICTURES) / f"invitation-{screen}.png")
    is_wide = "wide" in screen
    shown = await page.eval("getComputedStyle(document.querySelector('.scan')).display")
    assert shown == ("flex" if is_wide else "none")
    await filled(page, screen, "one", "two")
    await page.see("[role=alert]")
    faults["mistake"] = await page.axe()
    assert await page.eval("document.documentElement.scrollWidth <= innerWidth")
    await filled(page, screen, "correct horse", "correct horse")
    await page.until("document.querySelector('h1').textContent === 'Welcome'")
    faults["welcome"] = await page.axe()
    assert {name: found for name, found in faults.items() if found} == {}
