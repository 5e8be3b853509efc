"""Group chats in the panel: two people, each in a browser of their own, in one room."""

from __future__ import annotations

import re

import pytest
import pytest_twisted

from tests.browser.people import SERVICE, People


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
    entry = await bob.look_for_room(f"{name.lower().replace(' ', '-')}@{SERVICE}")
    assert await bob.page.text(entry) == name
    assert await bob.page.axe() == []
    await bob.page.click(entry)
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
    await dora.page.click("#converse-modals .modal.show button[type=submit]")
    await dora.page.see("converse-muc textarea.chat-textarea")
    await dora.say("I do")
    await carol.reads("I do")


@pytest_twisted.ensureDeferred
async def test_the_dialog_says_what_is_wrong(people: People) -> None:
    emil = await people.at_panel("emil")
    await emil.log_in()
    await emil.open_room_dialog("show-add-muc-modal")
    for name, nick, told, field in (
        ("", "emil", "Enter a name for the groupchat.", "chatd-room-name"),
        ("&&&", "emil", "This name cannot be used. Take letters, digits and spaces.", "chatd-room-name"),
        ("Fine", "", "Enter the name that the others see.", "chatd-room-nick"),
    ):
        await emil.page.fill("#chatd-room-name", name)
        await emil.page.fill("#chatd-room-nick", nick)
        await emil.page.press("#chatd-room-nick", "Enter")
        await emil.page.see(f'converse-add-muc-modal [role=alert]:text("{told}")')
        assert await emil.page.focused() == field
    assert await emil.page.count("converse-muc") == 0


@pytest_twisted.ensureDeferred
async def test_a_room_goes_on_after_a_restart_of_the_daemon(people: People) -> None:
    """Two panels, one with a password to remember: both are back in the room, and nothing is lost or doubled."""
    people.expect("WebSocket|Websocket|ERR_|Bad Gateway|request|status")
    fritz = await people.at_panel("fritz")
    gerda = await people.at_panel("gerda")
    for person in (fritz, gerda):
        await person.log_in()
    await fritz.join_room("Attic")
    await fritz.room_menu("Configure")
    await fritz.page.click('[data-setting="passwordprotectedroom"] input')
    await fritz.page.fill('[data-setting="roomsecret"] input', "sesame")
    await fritz.page.click(".chatd-settings button[type=submit]")
    await fritz.page.gone("converse-muc-config-modal")
    await gerda.find_room(f"attic@{SERVICE}")
    await gerda.page.fill("#chatd-room-password", "sesame")
    await gerda.page.press("#chatd-room-password", "Enter")
    await gerda.page.see("converse-muc textarea.chat-textarea")
    await fritz.page.see('.occupant-nick:text-is("gerda")')
    said = []
    for round_ in range(2):
        for person in (fritz, gerda):
            said.append(f"{person.name} {round_}")
            await person.say(said[-1])
            for other in (fritz, gerda):
                await other.reads(said[-1])
        if round_:
            break
        people.daemon.stop()
        for person in (fritz, gerda):
            await person.page.see('#state[data-kind="lost"]')
        people.daemon.start()
        for person in (fritz, gerda):
            await person.page.until("document.getElementById('state').dataset.kind !== 'lost'", 40)
            await person.page.see("converse-muc textarea.chat-textarea", 30)
        await fritz.page.see('.occupant-nick:text-is("gerda")')
        await gerda.page.see('.occupant-nick:text-is("fritz")')
    for person in (fritz, gerda):
        shown = "[...document.querySelectorAll('.chat-msg__text')].map((e) => e.innerText.trim())"
        assert await person.page.eval(shown) == said
        assert await person.page.count("converse-muc") == 1


@pytest_twisted.ensureDeferred
async def test_a_room_goes_on_when_web_sockets_are_blocked_meanwhile(people: People) -> None:
    """The panel changes to BOSH, is in the room again and stays there."""
    people.expect("WebSocket|Websocket|ERR_|request|status")
    carol = await people.elsewhere("carol")
    room = await carol.make_room("Train")
    link = people.link()
    emil = await people.at_panel("emil", link)
    await emil.log_in()
    await emil.find_room(room)
    await emil.say("in the station")
    await emil.page.eval("""void (globalThis.WebSocket = class extends WebSocket {
        constructor(url, protocols) { super(`${new URL(url).origin}/nowhere`, protocols); }
    })""")
    await link.cut()
    await emil.page.see('#state[data-kind="lost"]')
    link.mend()
    await emil.page.until("document.getElementById('state').dataset.kind !== 'lost'", 60)
    await emil.page.see("converse-muc textarea.chat-textarea", 30)
    await emil.page.log()
    for number in range(8):
        await emil.say(f"in the tunnel {number}")
    assert await emil.page.eval("document.getElementById('state').dataset.kind") != "lost"
    assert not (await emil.page.log())["sockets"]
    assert await emil.page.count('.chat-msg__text:has-text("in the station")') == 1


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_room_goes_on_after_a_long_outage(people: People) -> None:
    """So long that web sockets and then every try of a request by BOSH have failed."""
    people.expect("WebSocket|Websocket|ERR_|request|status")
    hanna = await people.at_panel("hanna")
    await hanna.log_in()
    await hanna.join_room("Cellar")
    await hanna.say("before")
    people.daemon.stop()
    complaints = ""
    for _ in range(300):
        if re.search(r"request id \d+\.3 error", complaints):
            break
        await hanna.page.until("new Promise((done) => setTimeout(() => done(true), 500))")
        complaints += "\n".join((await hanna.page.log())["complaints"])
    else:
        raise AssertionError(f"it never gave up: {complaints}")
    people.daemon.start()
    await hanna.page.until("document.getElementById('state').dataset.kind !== 'lost'", 60)
    await hanna.page.see("converse-muc textarea.chat-textarea", 30)
    await hanna.say("after")
    assert await hanna.page.count('.chat-msg__text:has-text("before")') == 1


@pytest_twisted.ensureDeferred
async def test_finding_among_many_and_among_none(people: People) -> None:
    carol = await people.elsewhere("carol")
    hanna = await people.at_panel("hanna")
    await hanna.log_in()
    for number in range(10):
        await carol.make_room(f"Zebra {number}")
    await hanna.open_room_dialog("show-list-muc-modal")
    await hanna.page.see('.chatd-rooms__open:text("Zebra 0")')
    names = await hanna.page.eval("[...document.querySelectorAll('.chatd-rooms__open')].map((e) => e.innerText)")
    assert names == sorted(names, key=str.lower)
    assert await hanna.page.axe() == []
    await hanna.page.fill("converse-muc-list-modal input[type=search]", "zebra 7")
    await hanna.page.until("document.querySelectorAll('.chatd-rooms__open').length === 1")
    await hanna.page.fill("converse-muc-list-modal input[type=search]", "zebra 77")
    await hanna.page.see('converse-muc-list-modal :text("None of them has this in its name.")')
    assert await hanna.page.count('converse-muc-list-modal button:text-is("Close")') == 0
