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
Carol Jones,carol@{DOMAIN},,
Dora Brandt,dora@{DOMAIN},,
"""
GROUPS = '[[domain.group]]\nname = "Support"\nmembers = ["carol", "dora"]\n'
SHOWN = "#converse-modals .modal.show"
NEVER = "Has never logged in and cannot be added yet."


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = Path(tmp_path_factory.mktemp("directory"))
    (folder / "people.csv").write_text(LIST)
    domain = '[[domain.directory]]\nkind = "file"\npath = "people.csv"\n' + GROUPS
    accounts = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol", "dora"))
    with running(folder, *accounts, domain_extra=domain) as daemon:
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
    # The dialog was drawn anew: people are suggested as before.
    await page.fill("#chatd-add-jid", "bjornsson")
    await page.see(f'.chatd-people__row[data-jid="bob@{DOMAIN}"]')
    await page.fill("#chatd-add-jid", f"never@{DOMAIN}")
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
    # The answer to what was typed before comes late, even where it cannot be stopped, and changes nothing.
    await page.eval("""(() => {
        const real = globalThis.fetch;
        globalThis.fetch = async (url, options) => {
            const answer = await real(url, { ...options, signal: undefined });
            const isFirst = new URL(url).searchParams.get('q') === 'bob';
            if (isFirst) await new Promise((done) => { globalThis.__release = done; });
            return answer;
        };
    })()""")
    await page.fill("#chatd-add-jid", "bob")
    await page.until("!!globalThis.__release")
    await page.fill("#chatd-add-jid", "adams")
    await page.see(f'.chatd-people__row[data-jid="alice@{DOMAIN}"]')
    await page.eval("(async () => { __release(); await new Promise((done) => setTimeout(done, 200)); })()")
    assert await page.eval("[...document.querySelectorAll('.chatd-people__row')].map((one) => one.dataset.jid)") == [
        f"alice@{DOMAIN}"]
    await page.press("#chatd-add-jid", "Enter")
    await page.see('converse-add-contact-modal [role=alert]:text("This is your own address.")')


@pytest_twisted.ensureDeferred
async def test_whom_the_organisation_keeps_cannot_be_removed(people: People) -> None:
    """It is not offered, and the dialog says why; where it is offered all the same, the refusal is said."""
    carol = await people.at_panel("carol", width=390, height=844)
    page = carol.page
    await carol.log_in()
    row = '.roster-group[data-group="Support"] converse-roster-contact'
    await page.see(f'{row} .contact-name:text("Dora Brandt")')
    await page.click(f"{row} converse-dropdown button >> nth=0")
    await page.see(f"{row} .chatd-block")
    assert await page.count(f"{row} .remove-xmpp-contact") == 0
    await page.click(f"{row} .dropdown-item:has-text('Details')")
    await carol.dialog_shown()
    await page.see(f"{SHOWN} .chatd-kept")
    await page.click(f"{SHOWN} #edit-tab")
    await page.see(f"{SHOWN} #edit-tabpanel form")
    assert await page.count(f"{SHOWN} .remove-contact") == 1
    assert await page.count(f"{SHOWN} .remove-contact:visible") == 0
    await page.key("Escape")
    await page.gone(SHOWN)
    await page.click(f"{row} converse-dropdown button >> nth=0")
    await page.click(f"{row} .chatd-edit")
    await carol.dialog_shown()
    assert "keeps Dora Brandt in your contacts (Support)" in await page.text(f"{SHOWN} .chatd-kept")
    assert await page.eval("document.getElementById('chatd-edit-groups').value") == ""
    assert await carol.faults() == []
    await page.fill("#chatd-edit-groups", "Lunch")
    await page.press("#chatd-edit-groups", "Enter")
    await page.gone(SHOWN)
    for group in ("Lunch", "Support"):
        await page.see(f'.roster-group[data-group="{group}"] .contact-name:text("Dora Brandt")')
    await page.click(f"{row} converse-dropdown button >> nth=0")
    await page.click(f"{row} .chatd-block")
    await carol.dialog_shown()
    assert await page.count("#chatd-block-remove") == 0
    await page.click(f"{SHOWN} .btn-secondary")
    await page.gone(SHOWN)
    await page.eval(f"document.querySelector('{row}').model.save({{ organisation: [] }})")
    await page.click(f"{row} converse-dropdown button >> nth=0")
    await page.click(f"{row} .remove-xmpp-contact")
    await carol.dialog_shown()
    await page.click(f"{SHOWN} button[type=submit]")
    await page.see(f'{SHOWN} [role=alert]:text("Your organisation keeps this person in your contacts.")')
    assert await page.count(row) == 1
    await page.click(f"{SHOWN} .btn-secondary")
