"""Two people talk: presence, typing, emoji, receipts, corrections, reactions, history, read marks, noise."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import pytest_twisted

from tests.browser.people import SERVICE, Friend, People, Person
from tests.daemon import DOMAIN

SHOWN = "#converse-modals .modal.show"


async def raw(friend: Friend, to: str, inner: str, id: str = "", kind: str = "message type='chat'") -> None:
    """Send a stanza as it is."""
    name = kind.split()[0]
    xml = f"<{kind} to='{to}@{DOMAIN}' id='{id or 'r1'}'>{inner}</{name}>" if to else f"<{name}>{inner}</{name}>"
    await friend.process.ask("raw", xml=xml)


async def xml_with(friend: Friend, *parts: str) -> str:
    """Wait for a message that has these parts."""
    event: dict[str, Any] = await friend.process.wait_for(
        lambda one: one.get("event") == "xml" and all(part in one["xml"] for part in parts))
    return str(event["xml"])


async def reads_and_tells(person: Person, text: str) -> None:
    """Open the chat with Bob, read this, and wait until the server was told of it (XEP-0490)."""
    page = person.page
    await page.eval("""(() => {
        globalThis.__sent = [];
        const { send } = WebSocket.prototype;
        WebSocket.prototype.send = function (data) { __sent.push(data); return send.call(this, data); };
    })()""")
    await person.open_chat("bob")
    await person.reads(text)
    await page.until(f"""(() => {{
        const {{ messages }} = document.querySelector('converse-chat').model;
        const id = messages.find((one) => one.get('body') === '{text}').get('stanza_id {person.name}@{DOMAIN}');
        return __sent.some((one) => one.includes('<publish') && one.includes(`id="${{id}}"`));
    }})()""")


async def action(person: Person, text: str, entry: str) -> None:
    """Choose an entry of a message's menu."""
    message = f'.chat-msg:has(.chat-msg__text:has-text("{text}"))'
    await person.page.call("hover", selector=f"{message} >> nth=0")
    await person.page.click(f"{message} .chat-msg__actions .dropdown-toggle")
    await person.page.click(f"{message} .chat-msg__action-{entry}")


@pytest_twisted.ensureDeferred
async def test_a_conversation(people: People) -> None:
    bob = await people.elsewhere("bob")
    alice = await people.at_panel("alice")
    page = alice.page
    await alice.log_in()
    await alice.add_contact("bob", "Bob")
    await page.see('.current-xmpp-contact[data-status="online"]')

    # Presence and what one says with it, both ways.
    await raw(bob, "", "<show>dnd</show><status>Writing the report</status>", kind="presence")
    await page.see('.current-xmpp-contact[data-status="dnd"]')
    await page.click("#controlbox .change-status")
    await alice.dialog_shown()
    await page.click(f"{SHOWN} #radio-away")
    await page.fill(f"{SHOWN} input[name=status_message]", "Back at three")
    assert await page.axe() == []
    await page.click(f"{SHOWN} .set-xmpp-status button[type=submit]")
    seen = await bob.process.wait_for(
        lambda event: event.get("event") == "presence" and event["status"] == "Back at three")
    assert seen["type"] == "away"
    if await page.count(SHOWN):
        await page.click(f"{SHOWN} .modal-header button")
    await page.gone(SHOWN)
    await page.see('#controlbox .xmpp-status:has-text("Back at three")')

    # Typing, both ways.
    await raw(bob, "alice", "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    await page.see('.chat-content__notifications:has-text("Bob is typing")')
    await page.call("type", "Hi", selector="textarea.chat-textarea")
    await xml_with(bob, "<composing")

    # Emoji, and a receipt.
    await page.fill("textarea.chat-textarea", "Lunch at nonn ")
    await page.click("converse-chat .toggle-emojis")
    await page.click("converse-chat .emoji-lists__container--browse .insert-emoji:not(.hidden) >> nth=0")
    await page.until("document.querySelector('textarea.chat-textarea').value.length > 'Lunch at nonn '.length")
    await page.press("textarea.chat-textarea", "Enter")
    heard = await xml_with(bob, "Lunch at nonn")
    assert re.search("Lunch at nonn [\U0001f300-\U0001faff]", heard), heard
    sent_id = re.findall(r"\bid=\"([^\"]+)\"", heard)[0]
    await page.see(".chat-msg__content--me .chat-msg__receipt")

    # Corrected.
    await page.press("textarea.chat-textarea", "ArrowUp")
    await page.until("document.querySelector('textarea.chat-textarea').value.startsWith('Lunch at nonn')")
    await page.fill("textarea.chat-textarea", "Lunch at noon")
    await page.press("textarea.chat-textarea", "Enter")
    assert "urn:xmpp:message-correct:0" in await xml_with(bob, "Lunch at noon", "<replace", sent_id)
    await alice.reads("Lunch at noon")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_said_better_answered_by_a_picture_and_taken_back(people: People) -> None:
    """Corrections that come in; reactions and retractions both ways."""
    bob = await people.elsewhere("bob")
    dora = await people.at_panel("dora")
    page = dora.page
    await dora.log_in()
    await dora.add_contact("bob", "Bob")
    await page.see(".current-xmpp-contact")
    await raw(bob, "dora", "<body>At one, plaese</body>", "b1")
    await dora.reads("At one, plaese")
    await raw(bob, "dora", "<body>At one, please</body><replace id='b1' xmlns='urn:xmpp:message-correct:0'/>", "b2")
    await dora.reads("At one, please")
    assert await page.count('.chat-msg__text:has-text("plaese")') == 0
    assert await page.count(".chat-msg__text") == 1

    await dora.say("See you there")
    [sent_id] = re.findall(r"<message[^>]*? id=\"([^\"]+)\"", await xml_with(bob, "See you there"))
    await raw(bob, "dora", f"<reactions id='{sent_id}' xmlns='urn:xmpp:reactions:0'><reaction>👍</reaction></reactions>"
                           "<store xmlns='urn:xmpp:hints'/>", "b3")
    await page.see('.chat-msg:has-text("See you there") .chat-msg__reaction:has-text("👍")')
    await action(dora, "At one, please", "reaction")
    await page.click(".reaction-picker .reaction-item >> nth=0")
    assert "<reaction>" in await xml_with(bob, "urn:xmpp:reactions:0", "b1")
    await page.see('.chat-msg:has-text("At one, please") .chat-msg__reaction')

    await raw(bob, "dora", "<body>Wrong window</body>", "b4")
    await dora.reads("Wrong window")
    await raw(bob, "dora", "<retract id='b4' xmlns='urn:xmpp:message-retract:1'/>", "b5")
    await page.gone('.chat-msg__text:has-text("Wrong window")')
    await page.see(".chat-msg--retracted")
    await dora.say("This as well")
    await action(dora, "This as well", "retract")
    await dora.dialog_shown()
    await page.click(f"{SHOWN} button[type=submit]")
    await xml_with(bob, "urn:xmpp:message-retract:1")
    await page.gone('.chat-msg__text:has-text("This as well")')
    await page.gone(SHOWN)
    assert await page.axe("converse-chat") == []


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_older_messages_come_when_one_scrolls_up(people: People) -> None:
    """Three pages of the archive: each message once, in order, to the very first, and down again."""
    bob, hanna = await people.elsewhere("bob"), await people.elsewhere("hanna")
    for number in range(130):
        await bob.send("hanna", f"Message {number}")
        await hanna.receive(f"Message {number}")  # so that no two are of the same millisecond
    reader = await people.at_panel("hanna")
    page = reader.page
    await reader.log_in()
    await reader.add_contact("bob", "Bob")
    await reader.reads("Message 129")
    assert await page.count('.chat-msg__text:text-is("Message 60")') == 0
    texts = "[...document.querySelectorAll('converse-chat .chat-msg__text')].map((one) => one.textContent.trim())"
    for top, seen in ((True, 60), (True, 0), (False, 129)):
        await page.until(f"""(() => {{
            const shown = document.querySelector('converse-chat .chat-content__messages');
            shown.scrollTop = {"-shown.scrollHeight" if top else "0"};
            return {texts}.includes('Message {seen}');
        }})()""", 30)
    held = await page.eval("document.querySelector('converse-chat').model.messages.map((one) => one.get('body') ?? '')")
    assert held == [f"Message {number}" for number in range(130)]


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_read_here_is_read_there(people: People) -> None:
    """XEP-0490: the count goes in the other browser, too, and stays for what came later."""
    bob = await people.elsewhere("bob")
    here = await people.at_panel("carol")
    await here.log_in()
    await here.add_contact("bob", "Bob")
    await here.page.see(".current-xmpp-contact")
    there = await people.at_panel("carol")
    await there.log_in()
    await there.page.see(".current-xmpp-contact")
    await there.open_chat("bob")
    for person in (here, there):
        await person.page.click("converse-chat .toggle-chatbox-button")
        await person.page.gone("textarea.chat-textarea")
    for text in ("One", "Two"):
        await bob.send("carol", text)
    for person in (here, there):
        await person.page.see('.roster-group .msgs-indicator:text("2")')
        await person.page.until("document.title === '(2) Chat'")
    await here.open_chat("bob")
    await here.reads("Two")
    await there.page.until("document.title === 'Chat'", 30)
    await there.page.gone(".roster-group .msgs-indicator")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_what_came_in_between_is_unread_at_log_in(people: People) -> None:
    """Another client has received it, but nobody has read it; a reload changes nothing; read elsewhere, it is read."""
    bob = await people.elsewhere("bob")
    first = await people.at_panel("gerda")
    await first.log_in()
    await first.add_contact("bob", "Bob")
    await first.page.see(".current-xmpp-contact")
    other = await people.elsewhere("gerda")
    await first.page.click("converse-chat .toggle-chatbox-button")
    await bob.send("gerda", "Read at once")
    await first.page.see('.roster-group .msgs-indicator:text("1")')
    await reads_and_tells(first, "Read at once")
    await first.page.click("#log-out")
    await first.page.see("#login-form")
    for text in ("One", "Two"):
        await bob.send("gerda", text)
        await other.receive(text)
    for person in (first, await people.at_panel("gerda")):
        page = person.page
        await person.log_in()
        await page.see('.roster-group .msgs-indicator:text("2")')
        await page.until("document.title === '(2) Chat'")
        assert await page.count("textarea.chat-textarea:visible") == 0
    await page.reload()
    await page.see('.roster-group .msgs-indicator:text("2")')
    await page.until("document.title === '(2) Chat'")
    # One more is one more, wherever the others came from.
    await bob.send("gerda", "Three")
    await page.see('.roster-group .msgs-indicator:text("3")')
    # While one panel is closed it is read in the other.
    here = await page.eval("location.href")
    await page.goto("about:blank")
    await reads_and_tells(first, "Three")
    for text in ("One", "Two"):
        await first.reads(text)
    await page.goto(here)
    await page.see(".roster-group .current-xmpp-contact")
    await page.until("document.title === 'Chat'")
    await page.gone(".roster-group .msgs-indicator")


async def mark_read(friend: Friend, jid: str, by: str, id: str) -> None:
    """Another client tells how far a person has read in a chat (XEP-0490)."""
    mark = "urn:xmpp:mds:displayed:0"
    await friend.process.ask("ask", to="", type="set", xml=(
        f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{mark}'><item id='{jid}'>"
        f"<displayed xmlns='{mark}'><stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='{id}'/></displayed>"
        "</item></publish></pubsub>"))


@pytest_twisted.ensureDeferred
async def test_a_groupchat_read_elsewhere_has_fewer_unread(people: People) -> None:
    """Both of its counts, of all messages and of those that mention the person, go down as another client reads."""
    dora = await people.at_panel("dora")
    page = dora.page
    await dora.log_in()
    await dora.join_room("Reading")
    room = f"reading@{SERVICE}"
    bob, other = await people.elsewhere("bob"), await people.elsewhere("dora")
    await bob.process.ask("enter", room=room, nick="bob")
    await dora.say("Hello all")
    await page.click("converse-muc .toggle-chatbox-button")
    await page.gone("textarea.chat-textarea")
    for text in ("One", "Two for dora", "Three"):
        await bob.process.ask("raw", xml=f"<message to='{room}' type='groupchat'><body>{text}</body></message>")
    model = "document.querySelector('.available-chatroom converse-avatar').model"
    counts = f"['num_unread_general', 'num_unread'].map((one) => {model}.get(one)).join()"
    await page.until(f"{counts} === '3,1'")
    ids = await page.eval(f"{model}.messages.models.slice(-3).map((one) => one.get('stanza_id {room}'))")
    for id_, left in zip(ids, ("2,1", "1,0", "0,0"), strict=True):
        await mark_read(other, room, room, id_)
        await page.until(f"{counts} === '{left}'")
    await page.gone(".available-chatroom.unread-msgs")
    # A nickname that looks like a regular expression is none.
    said = "{ get: (name) => name === 'body' ? 'Hi *anna, and (b, and beat' : [] }"
    is_mentioned = f"(nick) => {model}.isUserMentioned.call({{ get: () => nick }}, {said})"
    for nick, expected in (("*anna", True), ("(b", True), ("*ann", False), ("bea", False)):
        assert await page.eval(f"({is_mentioned})({json.dumps(nick)})") is expected, nick


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_unread_beyond_the_recent_messages_is_counted_at_log_in(people: People) -> None:
    """A few messages before many of somebody else, and the many, which are 99+."""
    senders = {name: await people.elsewhere(name) for name in ("bob", "carol")}
    other = await people.elsewhere("emil")
    for name, friend in senders.items():
        contact = f"<item jid='{name}@{DOMAIN}' name='{name.title()}'/>"
        await other.ask("", f"<query xmlns='jabber:iq:roster'>{contact}</query>")
        await friend.send("emil", f"Read of {name}")
        xml = await xml_with(other, f"Read of {name}", "stanza-id")
        [id_] = re.findall(r"<stanza-id[^>]* id=\"(\d+)\"", xml)
        await mark_read(other, f"{name}@{DOMAIN}", f"emil@{DOMAIN}", id_)
    for number in range(3):
        await senders["carol"].send("emil", f"Few {number}")
    await other.receive("Few 2")
    for number in range(205):
        await senders["bob"].send("emil", f"Many {number}")
    await other.receive("Many 204")
    emil = await people.at_panel("emil")
    await emil.log_in()
    for name, count in (("Carol", "3"), ("Bob", "99+")):
        await emil.page.see(f'converse-roster-contact:has-text("{name}") .msgs-indicator:text-is("{count}")')
    await emil.page.until("document.title === '(99+) Chat'")
    # The next time only what is new is looked at, and what was known stays.
    await emil.page.until("sessionStorage.getItem('chatd-caught-up')")
    here = await emil.page.eval("location.href")
    await emil.page.goto("about:blank")
    await senders["carol"].send("emil", "Few 3")
    await other.receive("Few 3")
    await emil.page.goto(here)
    for name, count in (("Carol", "4"), ("Bob", "99+")):
        await emil.page.see(f'converse-roster-contact:has-text("{name}") .msgs-indicator:text-is("{count}")')
    await emil.open_chat("carol")
    await emil.reads("Few 2")
    await emil.open_chat("bob")
    await emil.reads("Many 204")
    await emil.page.until("document.title === 'Chat'")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_noise_only_where_it_was_wished_for(people: People) -> None:
    """Neither a sound nor a notification before; both after the bell, for a chat that is not looked at."""
    people.expect("The play")
    bob = await people.elsewhere("bob")
    fritz = await people.at_panel("fritz")
    page = fritz.page
    await page.eval("""(() => {
        globalThis.__noise = [];
        globalThis.Notification = class {
            static permission = 'granted';
            static requestPermission = async () => 'granted';
            constructor(title, { body }) { __noise.push(`shown ${title}: ${body}`); }
            close() {}
        };
        globalThis.Audio = class {
            constructor(source) { this.source = source; }
            canPlayType() { return 'probably'; }
            play() { __noise.push(`played ${this.source.split('/').at(-1)}`); return Promise.resolve(); }
        };
    })()""")
    await fritz.log_in()
    await fritz.add_contact("bob", "Bob")
    await page.see(".current-xmpp-contact")
    await page.click("converse-chat .toggle-chatbox-button")
    await bob.send("fritz", "In silence")
    await page.see('.roster-group .msgs-indicator:text("1")')
    assert await page.eval("__noise") == []
    await page.click("#notices")
    await bob.send("fritz", "With noise")
    await page.see('.roster-group .msgs-indicator:text("2")')
    await page.until("__noise.length >= 2")
    noise = await page.eval("__noise")
    assert any("With noise" in one for one in noise) and any("msg_received" in one for one in noise), noise
