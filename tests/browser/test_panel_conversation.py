"""Two people talk: presence, typing, emoji, receipts, corrections, read marks, noise."""

from __future__ import annotations

import re
from typing import Any

import pytest
import pytest_twisted

from tests.browser.people import Friend, People
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
