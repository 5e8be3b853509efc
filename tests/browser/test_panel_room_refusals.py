"""Why one does not get into a groupchat: said in plain words, with what one can do, clean for axe, wide and narrow."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.people import SERVICE, People

WIDTHS = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark-phone"])


@WIDTHS
@pytest_twisted.ensureDeferred
async def test_a_password(people: People, dark: bool) -> None:
    """Asked for, refused when wrong, accepted when right."""
    carol = await people.elsewhere("carol")
    room = await carol.make_room(f"Secret {dark}", passwordprotectedroom="1", roomsecret="sesame")
    bob = await people.at_panel("bob", dark=dark, **({"width": 390, "height": 844} if dark else {}))
    await bob.log_in()
    await bob.find_room(room)
    await bob.page.see('.chatd-outside__title:text("This groupchat takes a password")')
    await bob.page.until("document.activeElement.id === 'chatd-room-password'")
    assert await bob.page.count(".chatd-form__problem") == 0
    await bob.page.fill("#chatd-room-password", "open")
    await bob.page.press("#chatd-room-password", "Enter")
    await bob.page.see('.chatd-form__problem:text("This is not the password.")')
    assert await bob.page.axe() == []
    await bob.page.fill("#chatd-room-password", "sesame")
    await bob.page.press("#chatd-room-password", "Enter")
    await bob.page.see("converse-muc textarea.chat-textarea")
    await bob.page.reload()
    await bob.page.see("converse-muc textarea.chat-textarea")


@WIDTHS
@pytest_twisted.ensureDeferred
async def test_the_others(people: People, dark: bool) -> None:
    """Members only, banned, full, still being set up; and a nickname that is taken gets another one."""
    carol = await people.elsewhere("carol")
    closed = await carol.make_room(f"Closed {dark}", membersonly="1")
    quiet = await carol.make_room(f"Quiet {dark}")
    await carol.change(quiet, "<item affiliation='outcast' jid='dora@chat.example'><reason>Noise</reason></item>")
    small = await carol.make_room(f"Small {dark}", maxusers="1")
    taken = await carol.make_room(f"Taken {dark}", nick="dora")
    dora = await people.at_panel("dora", dark=dark, **({"width": 390, "height": 844} if dark else {}))
    await dora.log_in()
    for room, title in (
        (closed, "Only members may enter this groupchat"),
        (quiet, "You are banned from this groupchat"),
        (small, "This groupchat is full"),
    ):
        await dora.find_room(room)
        await dora.page.see(f'.chatd-outside__title:text("{title}")')
        assert await dora.page.axe() == []
        assert await dora.page.eval("document.documentElement.scrollWidth <= innerWidth")
        if room == small:
            await carol.configure(room, maxusers="10")
            await dora.page.click('.chatd-outside button:has-text("Try again")')
            await dora.page.see("converse-muc textarea.chat-textarea")
        await dora.page.click(f'converse-muc[jid="{room}"] .close-chatbox-button')
        await dora.dialog_shown()
        await dora.page.click("#converse-modals .modal.show button[type=submit]")
        await dora.page.gone("converse-muc")
    await dora.find_room(taken)
    await dora.say("I have another name")
    assert await dora.page.text("converse-muc .chat-msg__author") == "dora-2"


@pytest_twisted.ensureDeferred
async def test_making_one_where_that_is_not_allowed(people: People) -> None:
    """The server's limit of rooms for one owner, in its own words."""
    emil = await people.elsewhere("emil")
    for number in range(50):
        await emil.make_room(f"Of many {number}")
    panel = await people.at_panel("emil")
    await panel.log_in()
    await panel.open_room_dialog("show-add-muc-modal")
    await panel.page.fill("#chatd-room-name", "One more")
    await panel.page.press("#chatd-room-name", "Enter")
    await panel.page.see('.chatd-outside__title:text("This is not possible just now")')
    await panel.page.see('.chatd-outside :text("You own 50 rooms")')
    assert await panel.page.count(f'.chatd-rooms__open[data-room-jid="one-more@{SERVICE}"]') == 0
