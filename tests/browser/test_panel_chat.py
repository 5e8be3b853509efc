"""Contacts and chats in the panel, with an ordinary XMPP client at the other end."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.people import People
from tests.daemon import DOMAIN

UNACKNOWLEDGED = """Object.values(sessionStorage)
    .map((one) => { try { return JSON.parse(one); } catch { return null; } })
    .find((one) => one?.unacked_stanzas)?.unacked_stanzas.length"""
"""Of how many stanzas the server has not said that it has them."""
LOST = "Connection lost. Trying to connect again…"

INVALID = "Invalid value for the name and XMPP address. Please use the format 'Name <username@example.org>'"


@pytest_twisted.ensureDeferred
async def test_empty_list_says_what_to_do(people: People) -> None:
    emil = await people.at_panel("emil")
    await emil.log_in()
    await emil.page.see(".chatd-empty")
    assert "No contacts yet" in await emil.page.text(".chatd-empty")
    await emil.page.click(".chatd-empty button")
    await emil.page.see("#chatd-add-jid")


@pytest_twisted.ensureDeferred
async def test_add_a_contact_and_chat_both_ways_with_history(people: People) -> None:
    bob = await people.elsewhere("bob")
    alice = await people.at_panel("alice")
    await alice.log_in()
    await alice.add_contact("bob", "Bob Smith", "Work, Friends")
    await alice.page.see('.roster-group[data-group="Work"] .contact-name:text("Bob Smith")')
    await alice.page.see('.roster-group[data-group="Friends"] .contact-name:text("Bob Smith")')
    await alice.page.gone(".chatd-empty")
    await alice.page.see('.current-xmpp-contact[data-status="online"]')

    await alice.say("Hello Bob, shall we meet at noon?")
    heard = await bob.receive("Hello Bob, shall we meet at noon?")
    assert heard["sender"] == f"alice@{DOMAIN}"
    await bob.send("alice", "Noon is fine.")
    await alice.reads("Noon is fine.")

    await alice.page.reload()
    await alice.reads("Hello Bob, shall we meet at noon?")
    await alice.reads("Noon is fine.")

    # Another browser knows nothing yet: there the history is the server's.
    elsewhere = await people.at_panel("alice")
    await elsewhere.log_in()
    await elsewhere.open_chat("bob")
    await elsewhere.reads("Hello Bob, shall we meet at noon?")
    await elsewhere.reads("Noon is fine.")
    # And what is said there is seen here (carbons).
    await elsewhere.say("From my other screen")
    await alice.reads("From my other screen")
    # The system goes dark meanwhile: icons that were drawn already do so too.
    fill = "getComputedStyle(document.querySelector('converse-chat converse-icon svg')).fill"
    light = await alice.page.eval(fill)
    await alice.page.call("emulateMedia", {"colorScheme": "dark"})
    await alice.page.until(f"{fill} !== '{light}'")


@pytest_twisted.ensureDeferred
async def test_somebody_asks_and_is_accepted(people: People) -> None:
    emil = await people.at_panel("emil")
    await emil.log_in()
    dora = await people.elsewhere("dora")
    await dora.subscribe("emil")
    await emil.page.click(".requesting-xmpp-contact converse-dropdown button")
    await emil.page.click(".accept-xmpp-request")
    await emil.page.see("converse-accept-contact-request-modal input[name=name]")
    assert await emil.page.axe() == []
    await emil.page.fill("converse-accept-contact-request-modal input[name=name]", "Dora")
    await emil.page.click("converse-accept-contact-request-modal button[type=submit]")
    await dora.process.wait_for(lambda e: e.get("event") == "subscribed")
    await emil.page.see('.current-xmpp-contact[data-status="online"] .contact-name:text("Dora")')


@pytest_twisted.ensureDeferred
async def test_add_contact_explains_what_is_wrong(people: People) -> None:
    alice = await people.at_panel("alice")
    await alice.log_in()
    await alice.open_add_contact()
    for typed, told in (
        ("", INVALID),
        ("no body@x@y", INVALID),
        ("someone@elsewhere.example", INVALID),
        ("Bob <bob>", INVALID),
        ("Bob <bob@elsewhere.example> and more", INVALID),
        (f"alice@{DOMAIN}", "This is your own address."),
    ):
        await alice.page.fill("#chatd-add-jid", typed)
        await alice.page.press("#chatd-add-jid", "Enter")
        await alice.page.see(f'converse-add-contact-modal [role=alert]:text-is("{told}")')
        assert await alice.page.focused() == "chatd-add-jid"
    await alice.page.key("Escape")
    await alice.page.gone("converse-add-contact-modal")
    await alice.page.until("!!document.activeElement.closest('.dropdown--contacts, .chatd-empty')")


@pytest_twisted.ensureDeferred
async def test_markup_in_a_message_stays_text(people: People) -> None:
    bob = await people.elsewhere("bob")
    carol = await people.at_panel("carol")
    await carol.log_in()
    await carol.add_contact("bob")
    nasty = "<img src=x onerror=alert(1)><script>alert(2)</script> https://elsewhere.example/cat.png"
    await bob.send("carol", nasty)
    await carol.page.until(
        "[...document.querySelectorAll('.chat-msg__text')].some(e => e.innerText.includes('<img src=x onerror'))"
    )
    assert await carol.page.count(".chat-msg__text img, .chat-msg__text script") == 0
    assert await carol.page.call("getAttribute", "rel", selector=".chat-msg__text a") == "noopener"


@pytest_twisted.ensureDeferred
async def test_goes_on_after_a_restart_of_the_daemon(people: People) -> None:
    people.expect("WebSocket|Websocket|ERR_|Bad Gateway|request|status")
    bob = await people.elsewhere("bob")
    dora = await people.at_panel("dora")
    await dora.log_in()
    await dora.add_contact("bob", "Bob")
    await dora.say("before")
    await bob.receive("before")
    people.daemon.stop()
    await dora.page.see('#state[data-kind="lost"]')
    assert await dora.page.text("#state") == LOST
    assert await dora.page.count("#login:visible, #controlbox form") == 0
    people.daemon.start()
    await dora.page.until("document.getElementById('state').dataset.kind !== 'lost'", 40)
    back = await people.elsewhere("bob")
    await dora.page.see('.current-xmpp-contact[data-status="online"]')
    await dora.reads("before")
    await dora.say("after")
    await back.receive("after")
    await back.send("dora", "welcome back")
    await dora.reads("welcome back")
    assert await dora.page.count('.chat-msg__text:has-text("before")') == 1


@pytest_twisted.ensureDeferred
async def test_a_cut_line_loses_and_doubles_nothing(people: People) -> None:
    people.expect("WebSocket|Websocket|ERR_")
    bob = await people.elsewhere("bob")
    link = people.link()
    fritz = await people.at_panel("fritz", link)
    await fritz.log_in()
    await fritz.add_contact("bob", "Bob")
    await fritz.say("before the cut")
    await bob.receive("before the cut")
    for round_ in range(2):
        await link.cut()
        await fritz.page.see('#state[data-kind="lost"]')
        for number in range(3):
            await bob.send("fritz", f"meanwhile {round_}.{number}")
        link.mend()
        await fritz.page.until("document.getElementById('state').dataset.kind !== 'lost'", 30)
        await fritz.reads(f"meanwhile {round_}.2")
        await fritz.say(f"after cut {round_}")
        await bob.receive(f"after cut {round_}")
    shown = await fritz.page.eval("[...document.querySelectorAll('.chat-msg__text')].map(e => e.textContent.trim())")
    assert shown == [
        "before the cut",
        *("meanwhile 0.0", "meanwhile 0.1", "meanwhile 0.2", "after cut 0"),
        *("meanwhile 1.0", "meanwhile 1.1", "meanwhile 1.2", "after cut 1"),
    ]
    heard = [event["body"] for event in bob.process.events if event.get("event") == "message"]
    assert heard == ["before the cut", "after cut 0", "after cut 1"]
    await fritz.page.see('.current-xmpp-contact[data-status="online"]')


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_what_was_on_the_way_when_a_session_ended_arrives(people: People) -> None:
    """The line swallows two messages, and the daemon restarts, which knows nothing of the session: both come, once."""
    people.expect("WebSocket|Websocket|ERR_|Bad Gateway|request|status")
    bob = await people.elsewhere("bob")
    room = await bob.make_room("Platform", persistentroom="1")
    link = people.link()
    emil = await people.at_panel("emil", link)
    page = emil.page
    await emil.log_in()
    await emil.add_contact("bob", "Bob")
    await emil.find_room(room)
    await emil.say("all here")
    await emil.open_chat("bob")
    await emil.say("before")
    await bob.receive("before")
    await page.until(f"{UNACKNOWLEDGED} === 0")
    for end in link.ends:
        end.dataReceived = lambda data: None  # type: ignore[method-assign]
    await emil.say("to Bob")
    await page.click(".available-chatroom a.open-room")
    await emil.say("to all")
    await page.until(f"{UNACKNOWLEDGED} >= 2")
    await link.cut()
    people.daemon.stop()
    people.daemon.start()
    back = await people.elsewhere("bob")
    await back.process.ask("enter", room=room, nick="bob")
    link.mend()
    await back.receive("to Bob")
    await back.process.wait_for(lambda event: event.get("event") == "told" and event["body"] == "to all")
    await page.until(f"{UNACKNOWLEDGED} === 0")
    heard = [event["body"] for event in back.process.events if event.get("event") in ("message", "told")]
    assert [heard.count(text) for text in ("before", "to Bob", "to all")] == [0, 1, 1]
    for text in ("all here", "to all"):
        assert await page.count(f".chat-msg__text:has-text('{text}')") == 1


@pytest_twisted.ensureDeferred
async def test_all_by_keyboard(people: People) -> None:
    await people.elsewhere("bob")
    gerda = await people.at_panel("gerda")
    await gerda.page.see("#login-form")
    await gerda.page.call("type", f"gerda@{DOMAIN}", selector=":focus")
    await gerda.page.key("Tab")
    await gerda.page.call("type", "Correct-Horse 7", selector=":focus")
    await gerda.page.key("Enter")
    await gerda.page.see(".chatd-empty button")
    seen = []
    for _ in range(20):
        await gerda.page.key("Tab") if seen else await gerda.page.press("body", "Tab")
        seen.append(await gerda.page.eval("document.activeElement.className"))
        if "btn-primary" in seen[-1]:
            break
    for wanted in ("show-client-info", "show-profile", "change-status", "close", "open-contacts-toggle"):
        assert any(wanted in where.split() for where in seen), (wanted, seen)
    await gerda.page.key("Enter")
    await gerda.page.until("document.activeElement.id === 'chatd-add-jid'")
    await gerda.page.call("type", "bob", selector=":focus")
    await gerda.page.key("Enter")
    await gerda.page.until("document.activeElement.matches('textarea.chat-textarea')")
    await gerda.page.call("type", "typed without a mouse", selector=":focus")
    await gerda.page.key("Enter")
    await gerda.reads("typed without a mouse")


@pytest_twisted.ensureDeferred
async def test_log_out_on_a_phone(people: People) -> None:
    alice = await people.at_panel("alice", width=390, height=844)
    await alice.log_in()
    await alice.page.click(".show-profile")
    await alice.page.click("converse-profile-modal .modal-footer .btn-danger")
    await alice.page.click("#converse-modals .modal.show button[type=submit]")
    await alice.page.see("#notice")
    assert await alice.page.text("#notice") == "You are logged out."


@pytest_twisted.ensureDeferred
async def test_without_a_media_server_nothing_of_meetings_is_offered(people: People) -> None:
    """[media] engine = "off", as here: no camera button, no menu; a link to a meeting is a link as any other."""
    hanna = await people.at_panel("hanna")
    await hanna.log_in()
    await hanna.add_contact("gerda")
    link = f"https://localhost:{people.daemon.ports['https']}/meet/weekly-{'a' * 20}"
    await hanna.say(f"There: {link}")  # the answer about meetings has come before this one
    assert await hanna.page.count(".chatd-camera, .chatd-meetings, .chatd-card") == 0
    await hanna.page.click(".chat-msg__text a")
    tab = await hanna.page.popup()
    await tab.see("text=There is no such meeting")
    assert await hanna.page.count(".meetingwindow") == 0
