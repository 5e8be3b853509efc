"""What can be done with a contact: renamed, regrouped, removed, blocked, reported, and unblocked again."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.people import People, Person
from tests.daemon import DOMAIN

SHOWN = "#converse-modals .modal.show"


async def menu(person: Person, entry: str) -> None:
    """Choose an entry of the menu beside the only contact."""
    await person.page.click("converse-roster-contact converse-dropdown button >> nth=0")
    await person.page.click(f"converse-roster-contact .{entry} >> nth=0")


async def submit(person: Person) -> None:
    await person.page.click(f"{SHOWN} button[type=submit]")
    await person.page.gone(SHOWN)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_renamed_regrouped_and_removed(people: People) -> None:
    bob = await people.elsewhere("bob")
    emil = await people.at_panel("emil")
    page = emil.page
    await emil.log_in()
    await emil.add_contact("bob", "Bob", "Work")
    await bob.process.wait_for(lambda event: event.get("event") == "subscribed")
    await page.see(".current-xmpp-contact")
    await menu(emil, "chatd-edit")
    await emil.dialog_shown()
    await page.until("document.activeElement.id === 'chatd-edit-name'")
    assert await page.eval("['name', 'groups'].map((one) => document.getElementById(`chatd-edit-${one}`).value)") == [
        "Bob", "Work"]
    await page.see('.chatd-chip[data-group="Work"][aria-pressed=true]')
    assert await emil.faults() == []
    await page.fill("#chatd-edit-name", "Robert Smith")
    await page.fill("#chatd-edit-groups", "Friends, Tennis ,")
    await page.see('.chatd-chip[data-group="Work"][aria-pressed=false]')
    await submit(emil)
    for group in ("Friends", "Tennis"):
        await page.see(f'.roster-group[data-group="{group}"] .contact-name:text("Robert Smith")')
    assert await page.count('.roster-group[data-group="Work"]') == 0
    # Another browser has it from the server.
    elsewhere = await people.at_panel("emil")
    await elsewhere.log_in()
    await elsewhere.page.see('.roster-group[data-group="Tennis"] .contact-name:text("Robert Smith")')
    await menu(emil, "remove-xmpp-contact")
    await emil.dialog_shown()
    assert await page.text(f"{SHOWN} .modal-title") == "Remove Robert Smith?"
    assert await emil.faults() == []
    await page.click(f"{SHOWN} .btn-secondary")
    await page.gone(SHOWN)
    await page.see(".current-xmpp-contact")
    await menu(emil, "remove-xmpp-contact")
    await emil.dialog_shown()
    await submit(emil)
    await page.see(".chatd-empty")
    await elsewhere.page.see(".chatd-empty")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_removed_without_ever_having_been_asked(people: People) -> None:
    """Somebody another client put into the list goes from the server's list, too, not only from the panel's."""
    hanna = await people.at_panel("hanna")
    other = await people.elsewhere("hanna")
    await hanna.log_in()
    await other.process.ask("ask", to="", type="set", xml=(
        f"<query xmlns='jabber:iq:roster'><item jid='bob@{DOMAIN}' name='Bob'/></query>"))
    await hanna.page.see("converse-roster-contact")
    await menu(hanna, "remove-xmpp-contact")
    await hanna.dialog_shown()
    await submit(hanna)
    await hanna.page.see(".chatd-empty")
    again = await people.at_panel("hanna")
    await again.log_in()
    await again.page.see(".chatd-empty")


@pytest_twisted.ensureDeferred
async def test_blocked_with_a_report_and_unblocked(people: People) -> None:
    """At 390 px; the messages go along; what a blocked person writes does not come; the list ends it."""
    bob = await people.elsewhere("bob")
    dora = await people.at_panel("dora", width=390, height=844)
    page = dora.page
    await dora.log_in()
    await dora.add_contact("bob", "Bob")
    await bob.send("dora", "Buy my watches")
    await dora.reads("Buy my watches")
    await page.click("converse-chat-heading converse-dropdown button")
    await page.click("converse-chat-heading .chatd-block")
    await dora.dialog_shown()
    assert await page.text(f"{SHOWN} .modal-title") == "Block Bob?"
    assert not await page.eval("document.querySelector('.chatd-report').checkVisibility()")
    assert await page.text(f"{SHOWN} button[type=submit]") == "Block"
    await page.click("#chatd-block-report")
    await page.see(f'{SHOWN} button[type=submit]:text("Block and report")')
    assert await dora.faults() == []
    await page.fill("#chatd-report-says", "Every day the same")
    await submit(dora)
    await page.see(".chatd-blocked-chat")
    assert "You have blocked Bob." in await page.text(".chatd-blocked-chat")
    assert not await page.eval("document.querySelector('textarea.chat-textarea').checkVisibility()")
    assert await page.axe("converse-chat") == []
    [report] = (await deferToThread(people.daemon.ctl, "report", "list"))["result"]
    assert (report["reported"], report["reason"], report["says"]) == (f"bob@{DOMAIN}", "spam", "Every day the same")
    number = str(report["number"])
    shown = (await deferToThread(people.daemon.ctl, "report", "show", number))["result"]
    assert len(shown["messages"]) == 1 and "Buy my watches" in shown["messages"][0]
    await bob.send("dora", "Are you there?")
    # The list of those blocked, in the menu of the contacts.
    await page.click("converse-controlbox-navback")
    await page.click(".dropdown--contacts button")
    await page.click('.dropdown--contacts .dropdown-item:has-text("block list")')
    await dora.dialog_shown()
    await page.see(f'{SHOWN} .chatd-blocked:has-text("bob@{DOMAIN}")')
    assert await dora.faults() == []
    await page.click('.chatd-blocked button[aria-label="Unblock Bob"]')
    await page.see(f"{SHOWN} .chatd-form:has-text('You have blocked nobody.')")
    await page.click(f"{SHOWN} .modal-header button")
    await page.gone(SHOWN)
    await dora.open_chat("bob")
    await page.gone(".chatd-blocked-chat")
    await bob.send("dora", "Sorry for that")
    await dora.reads("Sorry for that")
    assert await page.count('.chat-msg__text:has-text("Are you there?")') == 0
    await dora.say("Alright")
    await bob.receive("Alright")
