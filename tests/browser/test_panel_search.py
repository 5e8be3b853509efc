"""Search in the history of a chat: what the archive has is found, and shown among the other messages."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.people import People, Person
from tests.daemon import DOMAIN

FIELD = ".chatd-search input"
NOTE = ".chatd-search__note"
ONE = ".chatd-search__one"
BREAD = "Frische BRÖTCHEN & <Brot> zum Frühstück, Nummer"


async def talk(people: People, count: int) -> None:
    """Bob has written a good deal to Gerda, who has read it elsewhere; message 20 is about the Brötchen."""
    bob, gerda = await people.elsewhere("bob"), await people.elsewhere("gerda")
    for number in range(count):
        await bob.send("gerda", f"{BREAD} {number}" if number == 20 else f"Message {number}")
    await gerda.receive(f"Message {count - 1}")
    gerda.process.stop()
    people.friends.remove(gerda)


async def search(person: Person, text: str, note: str) -> None:
    await person.page.fill(FIELD, text)
    await person.page.see(f'{NOTE}:has-text("{note}")')


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_an_old_message_is_found_and_shown_among_its_neighbours(people: People) -> None:
    await talk(people, 180)
    gerda = await people.at_panel("gerda")
    page = gerda.page
    await gerda.log_in()
    await gerda.add_contact("bob", "Bob Smith")
    await gerda.reads("Message 179")
    assert await page.count('.chat-msg__text:has-text("Nummer 20")') == 0
    await page.click("converse-chat .chatd-search-button")
    await page.until("document.activeElement.matches('.chatd-search input')")
    assert await gerda.faults("converse-chat") == []
    await search(gerda, "nowhere said", "No message has these words.")
    await search(gerda, "brot FRUHSTUCK", "One message found.")
    assert await page.text(f"{ONE} strong") == "Bob Smith"
    marked = await page.eval(f"[...document.querySelectorAll('{ONE} mark')].map((one) => one.textContent)")
    assert marked == ["BRÖT", "Brot", "Frühstück"]
    assert "BRÖTCHEN & <Brot> zum" in await page.text(f"{ONE} .chatd-search__text")
    assert await gerda.faults("converse-chat") == []
    await page.press(FIELD, "ArrowDown")
    await page.until(f"document.activeElement.matches('{ONE}')")
    await page.key("Enter")
    await page.gone(".chatd-search")
    await page.see('.chatd-found .chat-msg__text:has-text("Nummer 20")')
    await page.until("""(() => {
        const box = document.querySelector('.chatd-found').getBoundingClientRect();
        const chat = document.querySelector('converse-chat-content').getBoundingClientRect();
        return document.activeElement.matches('.chatd-found') && box.top > chat.top && box.bottom < chat.bottom;
    })()""")
    for near in ("Message 19", "Message 21", "Message 5", "Message 40"):
        await page.see(f'.chat-msg__text:text-is("{near}")')
    # What lies between is fetched when somebody scrolls there, and nothing stands twice.
    gap = "document.querySelector('converse-chat').model.messages.models.some((one) => one.get('before'))"
    assert await page.eval(gap)
    # To the gap itself: who scrolls past it before it is filled has to come back for what it did not hold.
    await page.until(f"""(() => {{
        const gap = document.querySelector('converse-chat converse-mam-placeholder');
        if (gap) gap.scrollIntoView({{ block: 'center' }});
        else document.querySelector('.chat-content__messages').scrollTop -= 200;
        return !{gap};
    }})()""", 60)
    await page.until("document.querySelector('converse-chat').model.messages.length === 180")
    shown = await page.eval("document.querySelector('converse-chat').model.messages.models"
                            ".map((one) => Number(/\\d+$/.exec(one.get('body') ?? '')?.[0] ?? -1))")
    assert sorted(shown) == list(range(180)), shown


@pytest_twisted.ensureDeferred
async def test_further_back_page_by_page_and_the_way_out(people: People) -> None:
    """On a phone; Escape closes the search and not the chat; the button has the focus again."""
    fritz = await people.at_panel("fritz", width=390, height=844)
    page = fritz.page
    bob = await people.elsewhere("bob")
    await fritz.log_in()
    await fritz.add_contact("bob", "Bob")
    for number in range(35):
        await bob.send("fritz", f"Plan {number}")
    await fritz.reads("Plan 34")
    await page.click("converse-chat .chatd-search-button")
    await search(fritz, "plan", "30 messages found so far.")
    assert await page.count(ONE) == 30
    assert await page.text(f"{ONE} >> nth=0") != "" and "Plan 34" in await page.text(f"{ONE} >> nth=0")
    await page.click(".chatd-search__further")
    await page.see(f'{NOTE}:text-is("35 messages found.")')
    assert "Plan 0" in await page.text(f"{ONE} >> nth=34")
    assert await fritz.faults() == []
    assert not await page.eval("document.documentElement.scrollWidth > innerWidth")
    await page.click(f"{ONE} >> nth=0")
    await page.see('.chatd-found:has-text("Plan 34")')
    await page.click("converse-chat .chatd-search-button")
    await page.until("document.activeElement.matches('.chatd-search input')")
    assert await page.eval("document.querySelector('textarea.chat-textarea').closest('[inert]') !== null")
    await page.key("Escape")
    await page.gone(".chatd-search")
    await page.until("document.activeElement.matches('.chatd-search-button')")
    assert await page.count("[inert] textarea") == 0
    # A correction is found by its last wording, what was taken back not at all.
    await fritz.say("The lunch is at nonn")
    await page.fill("textarea.chat-textarea", "")
    await page.press("textarea.chat-textarea", "ArrowUp")
    await page.until("document.querySelector('textarea.chat-textarea').value.includes('nonn')")
    await page.fill("textarea.chat-textarea", "The lunch is at noon")
    await page.press("textarea.chat-textarea", "Enter")
    await fritz.reads("The lunch is at noon")
    await page.click("converse-chat .chatd-search-button")
    await search(fritz, "nonn", "No message has these words.")
    await search(fritz, "lunch", "One message found.")
    assert "You" in await page.text(f"{ONE} strong")
    # What was asked for first is answered late: not for a moment does that stand there.
    await page.eval("""(() => {
        const { send } = WebSocket.prototype;
        WebSocket.prototype.send = function (data) {
            if (String(data).includes('<value>plan</value>')) globalThis.__release = () => send.call(this, data);
            else send.call(this, data);
        };
        globalThis.__seen = '';
        new MutationObserver(() => { __seen += document.querySelector('.chatd-search__list').textContent; })
            .observe(document.querySelector('.chatd-search__list'), { childList: true });
    })()""")
    await page.fill(FIELD, "plan")
    await page.until("!!globalThis.__release")
    await page.fill(FIELD, "noon")
    await page.press(FIELD, "Enter")
    await page.eval("__release()")
    await page.see(f'{ONE} mark:text-is("noon")')
    assert await page.count(ONE) == 1
    assert "Plan" not in await page.eval("__seen")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_in_a_groupchat(people: People) -> None:
    hanna = await people.at_panel("hanna")
    page = hanna.page
    await hanna.log_in()
    await hanna.join_room("Bakery")
    for text in ("Rolls at eight", "Bread at nine"):
        await hanna.say(text)
    await page.click("converse-muc .chatd-search-button")
    await search(hanna, "bread", "One message found.")
    assert await page.text(f"{ONE} strong") == "hanna"
    await page.click(ONE)
    await page.see('.chatd-found:has-text("Bread at nine")')
    assert f"@{DOMAIN}" not in await page.text("converse-muc .chat-content")
