"""A contact's life in the panel: asked, waiting, accepted or declined, and groups that are chosen with a click."""

from __future__ import annotations

import pytest_twisted

from tests.browser.people import People, Person
from tests.daemon import DOMAIN

WAITING = "Chat is possible once {} has accepted your request."


async def ask(person: Person, name: str, local: str, groups: str = "") -> None:
    """Add somebody by name and address, as it is typed for people of other domains."""
    await person.open_add_contact()
    await person.page.fill("#chatd-add-jid", f"{name} <{local}@{DOMAIN}>")
    await person.page.fill("#chatd-add-groups", groups)
    await person.page.press("#chatd-add-groups", "Enter")
    await person.page.gone("converse-add-contact-modal")


async def answer(person: Person, entry: str) -> None:
    """Choose an entry of the menu that a request has."""
    await person.page.click(".requesting-xmpp-contact converse-dropdown button")
    await person.page.click(f".requesting-xmpp-contact .{entry}")


@pytest_twisted.ensureDeferred
async def test_chat_is_possible_once_accepted(people: People) -> None:
    """Shown as pending at once; until the other accepts, the chat says from when on it is possible."""
    alice, carol = await people.at_panel("alice"), await people.at_panel("carol")
    await alice.log_in()
    await carol.log_in()
    await ask(alice, "Carol Jones", "carol", "Work, Friends,")
    page = alice.page
    await page.see(f'.chatd-waiting:text-is("{WAITING.format("Carol Jones")}")')
    await page.see('.roster-group[data-group="Work"] .pending-xmpp-contact .contact-name:text("Carol Jones")')
    await page.see('.roster-group[data-group="Friends"] .pending-xmpp-contact')
    assert await page.axe() == []
    await answer(carol, "accept-xmpp-request")
    await carol.page.fill("converse-accept-contact-request-modal input[name=name]", "Alice")
    await carol.page.click("converse-accept-contact-request-modal button[type=submit]")
    await page.gone(".chatd-waiting")
    await page.see(".current-xmpp-contact")
    await alice.say("Now it is.")
    await carol.open_chat("alice")
    await carol.reads("Now it is.")
    await carol.say("And back.")
    await alice.reads("And back.")

    await alice.open_add_contact()
    await page.click('.chatd-chip[data-group="Work"]')
    await page.see('.chatd-chip[data-group="Work"][aria-pressed=true]')
    await page.fill("#chatd-add-groups", "Work, New")
    await page.click('.chatd-chip[data-group="Friends"]')
    assert await page.eval("document.querySelector('#chatd-add-groups').value") == "Work, New, Friends"
    await page.click('.chatd-chip[data-group="Work"]')
    assert await page.eval("document.querySelector('#chatd-add-groups').value") == "New, Friends"
    await page.see('.chatd-chip[data-group="Work"][aria-pressed=false]')
    assert await page.axe() == []


@pytest_twisted.ensureDeferred
async def test_who_declines_is_pending_no_more(people: People) -> None:
    emil, dora = await people.at_panel("emil"), await people.at_panel("dora")
    await emil.log_in()
    await dora.log_in()
    await ask(emil, "Dora", "dora")
    await emil.page.see(".chatd-waiting")
    await answer(dora, "decline-xmpp-request")
    await dora.page.click("#converse-modals .modal.show button[type=submit]")
    await dora.page.gone(".requesting-xmpp-contact")
    await emil.page.gone(".chatd-waiting")
    await emil.page.gone(".pending-xmpp-contact")


@pytest_twisted.ensureDeferred
async def test_unread_messages_stand_in_the_title_and_noise_is_off_until_wished_for(people: People) -> None:
    bob = await people.elsewhere("bob")
    fritz = await people.at_panel("fritz")
    page = fritz.page
    await page.eval("Notification.requestPermission = async () => { globalThis.asked = true; return 'denied'; }")
    await fritz.log_in()
    await fritz.add_contact("bob")
    await page.see(".current-xmpp-contact")
    await page.click("converse-chat .toggle-chatbox-button")
    await page.gone("textarea.chat-textarea")
    await bob.send("fritz", "One")
    await page.see('.roster-group .msgs-indicator:text("1")')
    assert await page.eval("document.title") == "(1) Chat"
    await bob.send("fritz", "Two")
    await page.see('.roster-group .msgs-indicator:text("2")')
    await page.until("document.title === '(2) Chat'")
    await page.see("#notices[aria-pressed=false]")
    assert await page.eval("globalThis.asked === undefined")
    await page.click("#notices")
    await page.see("#notices[aria-pressed=true]")
    await fritz.open_chat("bob")
    await page.until("document.title === 'Chat'")
    await page.click("#notices")
    await page.see("#notices[aria-pressed=false]")
