"""What owners and moderators do with a groupchat in the panel: its settings, its people, requests, its end."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.people import SERVICE, People


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest_twisted.ensureDeferred
async def test_the_settings(people: People, dark: bool) -> None:
    """Changed, refused with the server's own words, shown among the details; on a phone as well."""
    name = "Night office" if dark else "Office"
    alice = await people.at_panel("alice", dark=dark, **({"width": 390, "height": 844} if dark else {}))
    page = alice.page
    await alice.log_in()
    await alice.join_room(name)
    await alice.room_menu("Configure")
    await page.see(".chatd-settings")
    assert await page.axe() == []
    assert await page.eval("document.documentElement.scrollWidth <= innerWidth")
    assert await page.count('[data-setting="roomsecret"]:visible') == 0
    await page.click('[data-setting="passwordprotectedroom"] input')
    await page.click(".chatd-settings button[type=submit]")
    await page.see('.chatd-settings [role=alert]:text("password")')
    await page.fill('[data-setting="roomsecret"] input', "sesame")
    await page.fill('[data-setting="roomdesc"] input', "Everything about the office.")
    await page.click('[data-setting="moderatedroom"] input')
    await page.click(".chatd-settings summary")
    await page.click('[data-setting="getmemberlist"] input[value="visitor"]')
    assert await page.axe() == []
    await page.click(".chatd-settings button[type=submit]")
    await page.gone("converse-muc-config-modal")
    await page.see('converse-muc .chat-info:has-text("The settings of this groupchat have changed.")')

    await alice.room_menu("Configure")
    await page.see(".chatd-settings")
    for setting, value in (("roomsecret", "sesame"), ("roomdesc", "Everything about the office."), ("roomname", name)):
        assert await page.eval(f"document.querySelector('[data-setting=\"{setting}\"] input').value") == value
    ticked = "[...document.querySelectorAll('[data-setting=\"{}\"] input')].map((e) => e.checked)"
    assert await page.eval(ticked.format("moderatedroom")) == [True]
    assert await page.eval(ticked.format("getmemberlist")) == [True, True, False]
    assert await page.eval(ticked.format("presencebroadcast")) == [True, True, True]
    await page.click('.chatd-settings button:has-text("Cancel")')
    await page.gone("converse-muc-config-modal")

    await alice.room_menu("Details")
    await page.see('.chatd-details :text("Everything about the office.")')
    shown = await page.eval("[...document.querySelectorAll('.chatd-details li')].map((e) => e.dataset.feature).sort()")
    assert shown == ["mam_enabled", "moderated", "open", "passwordprotected", "persistent", "public", "semianonymous"]
    assert await page.axe() == []


@pytest_twisted.ensureDeferred
async def test_the_people(people: People) -> None:
    """An owner makes an admin, adds and bans, puts somebody out; each sees what that means."""
    bob = await people.at_panel("bob", width=390, height=844)
    carol = await people.at_panel("carol")
    for person in (bob, carol):
        await person.log_in()
    await carol.join_room("Team")
    await bob.find_room(f"team@{SERVICE}")
    await carol.page.see('.occupant-nick:text-is("bob")')
    await carol.room_menu("Moderate")
    page = carol.page
    await page.see('.chatd-members__person[data-name="bob"]')
    assert await page.axe() == []
    assert await page.text('.chatd-members__person[data-name="carol"]') == (
        "carol (you)\ncarol@chat.example\nOwner\nModerates")
    await page.call("selectOption", "admin", selector='.chatd-members__person[data-name="bob"] select >> nth=0')
    await bob.page.see("converse-muc-heading .chatbox-title__text")
    await page.see('.chatd-members__person[data-name="bob"] .badge:text("Moderates")')
    await page.call("selectOption", "none", selector='.chatd-members__person[data-name="bob"] select >> nth=0')
    await page.see('.chatd-members__person[data-name="bob"] button:has-text("Put out")')
    await page.fill("#chatd-people-jid", "not an address")
    await page.press("#chatd-people-jid", "Enter")
    await page.see("converse-modtools-modal [role=alert]")
    await page.fill("#chatd-people-jid", "emil")
    await page.call("selectOption", "outcast", selector='.chatd-members__add select')
    await page.press("#chatd-people-jid", "Enter")
    await page.see('.chatd-members__person[data-name="emil@chat.example"] :text("not here now")')
    assert await page.eval("document.querySelector('[data-name=\"emil@chat.example\"] select').value") == "outcast"
    await page.fill("#chatd-people-reason", "Please calm down")
    await page.click('.chatd-members__person[data-name="bob"] button:has-text("Put out")')
    await bob.page.see('.chatd-outside__title:text("You were put out of this groupchat by carol")')
    await bob.page.see('.chatd-outside :text("Please calm down")')
    assert await bob.page.axe() == []
    await page.gone('.chatd-members__person[data-name="bob"]')
    await page.click("converse-modtools-modal .modal-header button")
    await bob.page.click('.chatd-outside button:has-text("Try again")')
    await bob.page.see("converse-muc textarea.chat-textarea")
    emil = await people.at_panel("emil")
    await emil.log_in()
    await emil.find_room(f"team@{SERVICE}")
    await emil.page.see('.chatd-outside__title:text("You are banned from this groupchat")')


@pytest_twisted.ensureDeferred
async def test_requests_to_write_and_to_become_a_member(people: People) -> None:
    """Who may only read asks, a moderator allows; who is no member asks, the owner allows, an invitation comes."""
    dora = await people.at_panel("dora")
    fritz = await people.at_panel("fritz", width=390, height=844)
    for person in (dora, fritz):
        await person.log_in()
    await dora.join_room("Lecture")
    await dora.room_menu("Configure")
    await dora.page.click('[data-setting="moderatedroom"] input')
    await dora.page.click(".chatd-settings button[type=submit]")
    await dora.page.gone("converse-muc-config-modal")
    await fritz.find_room(f"lecture@{SERVICE}")
    await fritz.page.see('.chatd-ask :text("You can read here.")')
    assert await fritz.page.axe() == []
    await fritz.page.click('.chatd-ask button:has-text("Ask to write")')
    await fritz.page.see('.chatd-ask :text("You have asked.")')
    await dora.page.see('.chatd-ask :text("fritz asks to write in this groupchat.")')
    assert await dora.page.axe() == []
    await dora.page.click('.chatd-ask button:has-text("Allow")')
    await dora.page.gone(".chatd-ask")
    await fritz.page.see("converse-muc textarea.chat-textarea")
    await fritz.say("Thank you")
    await dora.reads("Thank you")

    gerda = await people.at_panel("gerda")
    await gerda.log_in()
    await dora.room_menu("Configure")
    await dora.page.click('[data-setting="membersonly"] input')
    await dora.page.click(".chatd-settings button[type=submit]")
    await dora.page.gone("converse-muc-config-modal")
    await fritz.page.see('.chatd-outside__title:text("Only members may be in this groupchat now")')
    await gerda.find_room(f"lecture@{SERVICE}")
    await gerda.page.see('.chatd-outside__title:text("Only members may enter this groupchat")')
    await gerda.page.click('.chatd-outside button:has-text("Ask to become a member")')
    await gerda.page.see('.chatd-outside :text("You have asked.")')
    await dora.page.see('.chatd-ask :text("gerda asks to become a member of this groupchat.")')
    await dora.page.click('.chatd-ask button:has-text("Allow")')
    await dora.page.gone(".chatd-ask")
    await gerda.page.see("converse-muc textarea.chat-textarea")
    await gerda.say("I am in")
    await dora.reads("I am in")


@pytest_twisted.ensureDeferred
async def test_the_topic(people: People) -> None:
    """Set from the menu by who may, shown to all; the others have no such entry."""
    emil = await people.at_panel("emil")
    fritz = await people.at_panel("fritz", width=390, height=844)
    for person in (emil, fritz):
        await person.log_in()
    await emil.page.see('.chatd-none:text("You are in none yet.")')
    await emil.join_room("Kitchen")
    await emil.page.gone(".chatd-none")
    await emil.page.see('.occupant-badges .badge[title="Owner"]')
    await fritz.find_room(f"kitchen@{SERVICE}")
    await fritz.page.see("converse-muc textarea.chat-textarea")
    await emil.room_menu("Topic")
    await emil.page.until("document.activeElement.id === 'chatd-topic'")
    assert await emil.page.axe() == []
    await emil.page.fill("#chatd-topic", "Who washes up?")
    await emil.page.click("chatd-room-topic button[type=submit]")
    for person in (emil, fritz):
        await person.page.see('.chat-head__desc:has-text("Who washes up?")')
        assert await person.page.axe() == []
    assert await fritz.page.count(".chatd-topic-button") == 0


@pytest_twisted.ensureDeferred
async def test_the_end_of_a_room(people: People) -> None:
    """Asked once, with a reason and another place; who was inside goes there by a click."""
    alice = await people.at_panel("alice")
    hanna = await people.at_panel("hanna", width=390, height=844)
    for person in (alice, hanna):
        await person.log_in()
    await alice.join_room("New place")
    await alice.join_room("Old place")
    await hanna.find_room(f"old-place@{SERVICE}")
    menu = 'converse-muc[jid^="old-place"] converse-muc-heading'
    await alice.page.see('converse-muc[jid^="old-place"] .occupant-nick:text-is("hanna")')
    await alice.page.click(f"{menu} converse-dropdown button")
    await alice.page.click(f'{menu} .dropdown-item:has-text("Destroy")')
    await alice.page.see("#chatd-destroy-reason")
    assert await alice.page.axe() == []
    await alice.page.fill("#chatd-destroy-other", "&&&")
    await alice.page.press("#chatd-destroy-other", "Enter")
    await alice.page.see("chatd-destroy-room [role=alert]")
    await alice.page.fill("#chatd-destroy-reason", "We have moved next door.")
    await alice.page.fill("#chatd-destroy-other", "New place")
    await alice.page.press("#chatd-destroy-other", "Enter")
    await alice.page.gone("chatd-destroy-room")
    await alice.page.gone('converse-muc[jid^="old-place"]')
    await hanna.page.see('.chatd-outside__title:text("This groupchat is no more")')
    await hanna.page.see('.chatd-outside :text("We have moved next door.")')
    assert await hanna.page.axe() == []
    await hanna.page.click(".chatd-outside__other")
    await hanna.page.see('converse-muc-heading .chatbox-title__text:has-text("New place")')
    await hanna.say("Here I am")
    assert await hanna.page.count("converse-muc") == 1
