"""Add a contact with a directory behind it: people are suggested as somebody types, and some cannot be added."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.harness import Browser
from tests.browser.people import People
from tests.daemon import DOMAIN, Daemon, running

NASTY = "Mallory <img src=x onerror=alert(1)>"
LIST = f"""name,address,title,department
Alice Adams,alice@{DOMAIN},,
Bob Björnsson,bob@{DOMAIN},Head of Sales,Sales
Bobby Never,never@{DOMAIN},,Sales
{NASTY},mallory@{DOMAIN},,
"""
NEVER = "Has never logged in and cannot be added yet."


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = Path(tmp_path_factory.mktemp("directory"))
    (folder / "people.csv").write_text(LIST)
    domain = '[[domain.directory]]\nkind = "file"\npath = "people.csv"\n'
    with running(folder, f"alice@{DOMAIN}", f"bob@{DOMAIN}", domain_extra=domain) as daemon:
        yield daemon


@pytest_twisted.async_yield_fixture
async def people(browser: Browser, daemon: Daemon) -> AsyncIterator[People]:
    everybody = People(browser, daemon)
    yield everybody
    await everybody.leave()


@pytest_twisted.ensureDeferred
async def test_people_are_suggested_and_picked_by_keyboard(people: People) -> None:
    bob = await people.elsewhere("bob")
    alice = await people.at_panel("alice")
    page = alice.page
    await alice.log_in()
    await alice.open_add_contact()
    await page.see('label[for=chatd-add-jid]:text("Search name or email address")')
    await page.fill("#chatd-add-jid", "bjorn sal")
    await page.see('.chatd-people__note:text("Nobody in the directory has this.")')
    await page.fill("#chatd-add-jid", "bjorn bob")
    await page.see('.chatd-people__note:text("One person found.")')
    assert await page.count(".chatd-people__row") == 1
    await page.fill("#chatd-add-jid", "bob")
    await page.see('.chatd-people__note:text("2 people found.")')
    await page.see(f'.chatd-people__row[data-jid="bob@{DOMAIN}"]:has-text("Head of Sales, Sales")')
    assert await page.count(".chatd-people__row") == 2
    assert await page.axe() == []
    await page.press("#chatd-add-jid", "ArrowDown")
    await page.see('#chatd-add-jid[aria-activedescendant="chatd-add-jid-people-0"][aria-expanded=true]')
    await page.press("#chatd-add-jid", "ArrowUp")
    await page.see('#chatd-add-jid[aria-activedescendant="chatd-add-jid-people-1"]')
    await page.press("#chatd-add-jid", "ArrowDown")
    await page.press("#chatd-add-jid", "Enter")
    assert await page.eval("document.querySelector('#chatd-add-jid').value") == f"Bob Björnsson <bob@{DOMAIN}>"
    assert await page.eval("document.querySelector('#chatd-add-name').value") == "Bob Björnsson"
    assert await page.focused() == "chatd-add-name"
    await page.press("#chatd-add-name", "Enter")
    await page.see('.contact-name:text("Bob Björnsson")')
    await bob.process.wait_for(lambda event: event.get("event") == "subscribe" or "subscri" in str(event))


@pytest_twisted.ensureDeferred
async def test_who_never_logged_in_is_red_and_refused(people: People) -> None:
    """In the list, by the server for who types the whole address, and no more once there is an account."""
    people.expect("item-not-found")
    alice = await people.at_panel("alice", width=390, height=844)
    page = alice.page
    await alice.log_in()
    await alice.open_add_contact()
    await page.fill("#chatd-add-jid", "never")
    row = f'.chatd-people__row[data-jid="never@{DOMAIN}"]'
    await page.see(f'{row}[aria-disabled=true] .chatd-people__why:text("{NEVER}")')
    colours = await page.eval(
        "['.chatd-people__name', '.chatd-people__why'].map(s => getComputedStyle(document.querySelector(s)).color)"
    )
    assert colours[0] == colours[1]
    assert await page.eval("document.documentElement.scrollWidth <= innerWidth")
    await page.call("setViewportSize", {"width": 390, "height": 560})
    outside = await page.eval("""(() => {
        const dialog = document.querySelector('converse-add-contact-modal .modal-content').getBoundingClientRect();
        return [...document.querySelectorAll('converse-add-contact-modal :is(button, input, li)')].filter((one) => {
            const box = one.getBoundingClientRect();
            return box.bottom > dialog.bottom || box.left < dialog.left || box.right > dialog.right;
        }).map((one) => one.outerHTML);
    })()""")
    assert outside == [], "all of it is inside the dialog, also where that is higher than the screen"
    await page.call("scrollIntoViewIfNeeded", selector="converse-add-contact-modal button[type=submit]")
    assert await page.eval("document.querySelector('converse-add-contact-modal button[type=submit]')"
                           ".getBoundingClientRect().bottom < innerHeight")
    # Playwright itself clicks nothing that is aria-disabled.
    await page.eval(f"document.querySelector('{row}').click()")
    await page.see('.chatd-people__note:text("Bobby Never has never logged in to the chat and cannot be added yet.")')
    assert await page.eval("document.querySelector('#chatd-add-jid').value") == "never"
    await page.fill("#chatd-add-jid", f"never@{DOMAIN}")
    await page.press("#chatd-add-jid", "Enter")
    await page.see('converse-add-contact-modal [role=alert]:has-text("has never logged in to the chat")')
    await deferToThread(people.daemon.add, f"never@{DOMAIN}")
    await page.press("#chatd-add-jid", "Enter")
    await page.gone("converse-add-contact-modal")
    await page.see("textarea.chat-textarea")


@pytest_twisted.ensureDeferred
async def test_names_are_text_and_escape_closes_the_list_only(people: People) -> None:
    alice = await people.at_panel("alice")
    page = alice.page
    await alice.log_in()
    await alice.open_add_contact()
    await page.fill("#chatd-add-jid", "mallory")
    await page.see(".chatd-people__row")
    assert await page.text(".chatd-people__name") == NASTY
    assert await page.count(".chatd-people img") == 0
    await page.press("#chatd-add-jid", "Escape")
    await page.gone(".chatd-people:not([hidden])")
    await page.see("#chatd-add-jid")
    await page.fill("#chatd-add-jid", "x")
    await page.gone(".chatd-people:not([hidden])")


@pytest_twisted.ensureDeferred
async def test_enter_takes_the_first_who_can_be_added(people: People) -> None:
    alice = await people.at_panel("alice")
    page = alice.page
    await alice.log_in()
    await alice.open_add_contact()
    await page.fill("#chatd-add-jid", "adams")
    await page.see(".chatd-people__row")
    await page.press("#chatd-add-jid", "Enter")
    await page.see('converse-add-contact-modal [role=alert]:text("This is your own address.")')
