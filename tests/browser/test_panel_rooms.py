"""Group chats in the panel: two people, each in a browser of their own, in one room."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.people import People
from tests.daemon import DOMAIN


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest_twisted.ensureDeferred
async def test_two_make_join_and_chat(people: People, dark: bool) -> None:
    name = "Night shift" if dark else "Day shift"
    alice = await people.at_panel("alice", dark=dark, width=1440, height=900)
    await alice.log_in()
    await alice.open_room_dialog("show-add-muc-modal")
    assert await alice.page.axe() == []
    await alice.page.key("Escape")
    await alice.page.gone("converse-add-muc-modal")
    await alice.join_room(name)
    await alice.page.see(f'converse-muc-heading .chatbox-title__text:has-text("{name}")')

    # Bob sits at a phone and finds it in the list.
    bob = await people.at_panel("bob", dark=dark, width=390, height=844)
    await bob.log_in()
    await bob.open_room_dialog("show-list-muc-modal")
    await bob.page.see(f'.chatd-rooms__open:text("{name}")')
    assert await bob.page.axe() == []
    await bob.page.click(f'.chatd-rooms__open[data-room-jid="{name.lower().replace(" ", "-")}@conference.{DOMAIN}"]')
    await bob.page.see("converse-muc textarea.chat-textarea")
    await alice.page.see('.occupant-nick:text-is("bob")')

    await alice.say("Hello everybody")
    await bob.reads("Hello everybody")
    await bob.say("Hello Alice")
    await alice.reads("Hello Alice")
    for person in (alice, bob):
        assert await person.page.axe() == []
        assert await person.page.eval("document.documentElement.scrollWidth <= innerWidth")

    await bob.page.click("converse-muc-heading converse-dropdown button")
    await bob.page.click('converse-muc-heading .dropdown-item:has-text("Show participants")')
    await bob.page.see(".occupant-list .occupant-nick")
    assert await bob.page.axe() == []

    # After a reload the room is there again, with nothing lost or doubled.
    await bob.page.click("converse-muc-heading converse-dropdown button")
    await bob.page.click('converse-muc-heading .dropdown-item:has-text("Hide participants")')
    await bob.page.reload()
    await bob.reads("Hello Alice")
    await alice.say("Still here?")
    await bob.reads("Still here?")
    assert await bob.page.count('.chat-msg__text:has-text("Still here?")') == 1


@pytest_twisted.ensureDeferred
async def test_an_invitation_is_accepted(people: People) -> None:
    carol = await people.at_panel("carol")
    await carol.log_in()
    dora = await people.at_panel("dora")
    await dora.log_in()
    await carol.join_room("Lunch")
    await carol.page.click("converse-muc-occupants .occupants-header converse-dropdown button")
    await carol.page.click(".open-invite-modal")
    await carol.dialog_shown()
    assert await carol.page.axe() == []
    await carol.page.fill("#chatd-invite-jid", "dora")
    await carol.page.fill("#chatd-invite-reason", "Who comes along?")
    await carol.page.press("#chatd-invite-reason", "Enter")
    await carol.page.gone("converse-muc-invite-modal")
    await dora.page.see('.modal.show :text("Who comes along?")')
    await dora.dialog_shown()
    assert await dora.page.axe() == []
    await dora.page.click(".modal.show form.converse-form button[type=submit]")
    await dora.page.see("converse-muc textarea.chat-textarea")
    await dora.say("I do")
    await carol.reads("I do")


@pytest_twisted.ensureDeferred
async def test_the_dialog_says_what_is_wrong(people: People) -> None:
    emil = await people.at_panel("emil")
    await emil.log_in()
    await emil.open_room_dialog("show-add-muc-modal")
    for name, nick, told, field in (
        ("", "emil", "Enter a name for the group chat.", "chatd-room-name"),
        ("&&&", "emil", "This name cannot be used. Take letters, digits and spaces.", "chatd-room-name"),
        ("Fine", "", "Enter the name that the others see.", "chatd-room-nick"),
    ):
        await emil.page.fill("#chatd-room-name", name)
        await emil.page.fill("#chatd-room-nick", nick)
        await emil.page.press("#chatd-room-nick", "Enter")
        await emil.page.see(f'converse-add-muc-modal [role=alert]:text("{told}")')
        assert await emil.page.focused() == field
    assert await emil.page.count("converse-muc") == 0
