"""Meetings from the panel: the camera button, the window and what it is put through, cards, one's own meetings."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.browser.flow import SELF, comes, flow, longest_gap_s, watch
from tests.browser.harness import Browser, Page, node_commands
from tests.browser.party import expect_livekit
from tests.browser.people import NAMES, Friend, People, Person
from tests.daemon import DOMAIN
from tests.integration.visitors import host, make
from tests.media_daemon import MediaDaemon, running_media

LANGUAGES = Path(__file__).parents[2] / "chatd" / "web" / "ui" / "src" / "lang"
WINDOW = ".meetingwindow"
FRAME = f"{WINDOW} iframe >> internal:control=enter-frame >> "
LINK = re.compile(r"https://\S+/meet/([a-z0-9-]+)")
PLACE = "(r => [r.left, r.top, r.width, r.height])(document.querySelector('.meetingwindow').getBoundingClientRect())"
GAP_S = 1.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of this file."""
    extra = "[modules.meet]\nrecording = true\nmeetings = 12\n"
    with running_media(tmp_path_factory.mktemp("chatd"), *(f"{name}@{DOMAIN}" for name in NAMES), extra=extra) as made:
        yield made


class Caller(Person):
    """Somebody at the panel who is in meetings."""

    def button(self, name: str) -> str:
        """A button of the window."""
        return f'{WINDOW} [data-do="{name}"]'

    async def start_dialog(self) -> None:
        """The camera button of the chat that is open."""
        await self.page.click(".chatd-camera")
        await self.dialog_shown()
        await self.page.until("document.activeElement.id === 'chatd-meeting-name'")

    async def menu(self, entry: str) -> None:
        """An entry of the menu of the meetings: start-meeting or list-meetings."""
        await self.page.click(".chatd-meetings converse-dropdown button")
        await self.page.click(f".chatd-meetings .{entry}")
        await self.dialog_shown()

    async def join(self) -> None:
        """Through the door in the window."""
        await self.page.click(f"{FRAME}form.card button.primary")
        await self.inside()

    async def inside(self) -> None:
        """Wait until sound and picture are connected."""
        await self.page.see(f"{FRAME}.tile", 30)
        await self.page.gone(f"{FRAME}.toast:has-text('Connecting')", 30)

    async def log_in_and_see(self) -> None:
        """Log in and wait for what the server says of meetings."""
        await self.log_in()
        await self.page.see(".chatd-meetings")

    async def size(self, size: str) -> None:
        """Wait until the window is normal, small or full."""
        await self.page.see(f'{WINDOW}[data-size="{size}"]')


class Hall:
    """The people of one test."""

    def __init__(self, people: People, daemon: MediaDaemon) -> None:
        self.people = people
        expect_livekit(people)
        self.daemon = daemon
        self.stack = ExitStack()

    async def at_panel(self, name: str, **options: Any) -> Caller:
        """Somebody who has logged in at the panel, with camera and microphone."""
        options = {"media": "granted", "width": 1440, "height": 900} | options
        person = await self.people.at_panel(name, **options)
        caller = Caller(person.page, name)
        await caller.log_in_and_see()
        return caller

    async def guest(self, id: str, name: str, **options: Any) -> Page:
        """A guest, with nothing but the link."""
        url = f"https://localhost:{self.daemon.ports['https']}/meet/{id}"
        page = await self.people.browser.page(url, **({"https": True, "media": "granted"} | options))
        self.people.persons.append(Person(page, name))
        await page.fill("input[name=name]", name)
        await page.click("form.card button.primary")
        await page.see(".tile", 30)
        return page

    def meeting(self, name: str = "Weekly review", of: str = "alice", inner: str = "", **attributes: str) -> str:
        """A meeting made by another client: its id."""
        return make(self.stack.enter_context(host(self.daemon, of)), name, inner, **attributes).partition("@")[0]


@pytest_twisted.async_yield_fixture
async def hall(browser: Browser, daemon: MediaDaemon) -> AsyncIterator[Hall]:
    people = People(browser, daemon)
    made = Hall(people, daemon)
    yield made
    made.stack.close()
    await people.leave()


async def told(friend: Friend, pattern: str) -> str:
    """Wait until a client has read a message like this in a room: its text."""
    event = await friend.process.wait_for(lambda e: e.get("event") == "told" and re.search(pattern, e["body"]))
    return str(event["body"])


def test_every_language_has_every_sentence() -> None:
    """The same keys everywhere, and functions that take the same things."""
    code = """const walk = (value, path) => typeof value === 'object' ? Object.keys(value).sort().flatMap((key) =>
        walk(value[key], `${path}.${key}`)) : [`${path} ${typeof value} ${value.length ? '' : 'empty'}
        ${typeof value === 'function' ? value.length : ''}`];
    for (const language of ['en', 'de', 'es', 'fr']) {
        const { default: words } = await import(`./meetings.${language}.js`);
        console.log(JSON.stringify(walk(words, '')));
    }"""
    node, _, environment = node_commands()
    done = subprocess.run([*node, "--input-type=module", "-e", code], cwd=LANGUAGES, env=environment, check=True,
                          capture_output=True, text=True)
    english, *others = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(english) > 90 and len(others) == 3
    assert not any("empty" in one.split() for one in english)
    for other in others:
        assert other == english


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_from_a_groupchat_to_three_in_a_meeting(hall: Hall, record_property: Any) -> None:
    """The link reaches a panel and a plain client; three see each other; the window is put through everything."""
    carol = await hall.people.elsewhere("carol")
    room = await carol.make_room("Team")
    alice, bob = await hall.at_panel("alice"), await hall.at_panel("bob")
    page = alice.page
    for person in (alice, bob):
        await person.find_room(room)
        await person.page.see("converse-muc textarea.chat-textarea")
    await alice.start_dialog()
    assert await page.axe() == []
    await page.fill("#chatd-meeting-name", "Weekly <review> & more")
    await page.press("#chatd-meeting-name", "Enter")
    body = await told(carol, LINK.pattern)
    assert body.startswith("Join the meeting “Weekly <review> & more”: https://xmpp.example:")
    link = LINK.search(body)
    assert link is not None
    id = link[1]

    await page.see(f"{FRAME}form.card")
    assert await page.call("inputValue", selector=f"{FRAME}input[name=name]") == "alice"
    assert "ticket" not in await page.eval("document.querySelector('.meetingwindow').outerHTML")
    assert await page.axe() == []
    await alice.join()
    # Who is in it oneself sees at once how many there are.
    await page.see(".chatd-card__facts:has-text('One person is in it.')", 5)
    await bob.page.see(".chatd-card__name:text-is('Weekly <review> & more')")
    await bob.page.see(".chatd-card__facts:has-text('One person is in it.')", 30)
    assert await bob.page.axe() == []
    await bob.page.click(".chatd-card__join")
    await bob.join()
    ada = await hall.guest(id, "Ada")
    for person in (alice, bob):
        await watch(person.page)
        await comes(person.page, 2)
    await watch(ada, SELF)
    await comes(ada, 2)

    gaps, looked = {}, {}

    async def begin() -> None:
        """What a check has just cost the page, which counts the pictures itself, is left out."""
        await comes(page, 2, 5)
        await longest_gap_s(page)

    async def without_gap(what: str) -> None:
        await comes(page, 2)
        gaps[what] = await longest_gap_s(page)
        looked[what] = (await flow(page))["videos"]

    await begin()
    await without_gap("nothing")
    await page.click(alice.button("small"))
    await alice.size("small")
    await page.see(f"{FRAME}.small video")
    assert await page.eval("document.activeElement.dataset.do") == "enlarge"
    await without_gap("minimised")
    assert await page.axe() == []
    # The page behind stays usable, and the microphone is at hand.
    await page.click("converse-muc textarea.chat-textarea")
    await alice.say("Still here")
    await bob.reads("Still here")
    await page.click(alice.button("microphone"))
    await bob.page.see(f"{FRAME}.tile[data-nick=alice] >> text=Microphone off")
    await page.click(f'{alice.button("microphone")}[aria-label="Turn microphone on"]')
    await bob.page.gone(f"{FRAME}.tile[data-nick=alice] >> text=Microphone off")
    await begin()
    await page.click(alice.button("enlarge"))
    await alice.size("normal")
    await page.gone(f"{FRAME}.small")
    await without_gap("restored")
    await page.click(alice.button("full"))
    await alice.size("full")
    await without_gap("maximised")
    assert await page.axe() == []
    await begin()
    await page.press(alice.button("full"), "Escape")
    await alice.size("normal")
    await without_gap("not maximised any more")

    # On in a tab: in there before the window is gone.
    await page.click(alice.button("tab"))
    tab = await page.popup()
    hall.people.persons.insert(0, Person(tab, "alice"))
    await watch(tab, SELF)
    await page.gone(WINDOW, 30)
    await page.see(".toast:has-text('goes on in its own tab')")
    await comes(tab, 2)
    await ada.until("document.querySelectorAll('.tile').length === 3")
    gaps["in a tab"] = max(0, (await flow(tab))["first"] - (await flow(page))["last"]) / 1000
    assert "ticket" not in await tab.eval("location.href")
    assert await tab.eval("document.title") == "Weekly <review> & more"
    await tab.see(".tile[data-nick=alice] >> nth=0")
    record_property("gaps_s", gaps)
    print(gaps)
    quiet = gaps.pop("nothing")
    assert max(gaps.values()) < GAP_S + quiet, (gaps, quiet, looked)

    await bob.page.click(bob.button("close"))
    await bob.page.see("dialog.question")
    assert await bob.page.axe() == []
    await bob.page.key("Escape")
    await bob.page.gone("dialog.question")
    await comes(bob.page, 2)
    await bob.page.click(bob.button("close"))
    await bob.page.click(".question__yes")
    await bob.page.gone(WINDOW)
    await ada.gone(".tile[data-nick=bob]")


@pytest_twisted.ensureDeferred
async def test_start_from_a_chat_with_options(hall: Hall) -> None:
    """Password, lobby and encryption; the message with the key in the link; leaving by the page's button."""
    dora = await hall.at_panel("dora", width=390, height=844)
    page = dora.page
    await dora.add_contact("emil")
    await dora.start_dialog()
    assert await page.count("#chatd-meeting-password:visible") == 0
    await page.click(".chatd-options summary")
    await page.fill("#chatd-meeting-password", "swordfish")
    for option in ("lobby", "e2ee"):
        await page.click(f"#chatd-meeting-{option}")
    assert await page.axe() == []
    assert await page.eval("document.documentElement.scrollWidth <= innerWidth")
    await page.click(".chatd-form button[type=submit]")
    await dora.reads("Join my meeting: https://")
    assert re.search(r"#key=[\w-]{43}$", await page.text(".chat-msg__text a"))
    await page.see(f"{FRAME}input[name=password]")
    # On a phone the window is the screen, and nothing behind it can be reached.
    assert await page.eval(PLACE) == [0, 0, 390, 844]
    assert await page.eval("document.querySelector('converse-root').inert")
    await page.fill(f"{FRAME}input[name=password]", "swordfish")
    await dora.join()
    await page.click(dora.button("small"))
    await dora.size("small")
    assert await page.axe() == []
    assert not await page.eval("document.querySelector('converse-root').inert")
    # The strip is above the chat and covers nothing of it.
    assert await page.eval("document.querySelector('.meetingwindow').getBoundingClientRect().bottom <= "
                           "document.querySelector('converse-chat .box-flyout').getBoundingClientRect().top")
    await dora.say("One moment")
    await page.see(".chatd-card__facts:has-text('Somebody has to let you in. Password needed.')", 30)
    await page.click(".chatd-card__join:text-is('Show meeting')")
    await dora.size("normal")
    await page.click(f"{FRAME}.round--leave")
    await page.gone(WINDOW)
    assert await page.eval("document.activeElement.matches('textarea.chat-textarea, .chatd-camera')")


@pytest_twisted.ensureDeferred
async def test_a_link_for_later(hall: Hall) -> None:
    """Made from the menu by keyboard alone, copied, joined; the list has it."""
    emil = await hall.at_panel("emil")
    page = emil.page
    await page.eval("document.querySelector('.chatd-meetings converse-dropdown button').focus()")
    await page.key("Enter")
    await page.see(".chatd-meetings .start-meeting")
    await page.key("Tab")
    await page.until("document.activeElement.matches('.start-meeting')")
    await page.key("Enter")
    await emil.dialog_shown()
    await page.until("document.activeElement.id === 'chatd-meeting-name'")
    await page.fill("#chatd-meeting-name", "Later")
    await page.eval("document.querySelector('.chatd-later').focus()")
    await page.key("Enter")
    await page.until("document.activeElement.id === 'chatd-meeting-link'")
    assert await page.axe() == []
    assert await page.count(WINDOW) == 0
    link = await page.call("inputValue", selector="#chatd-meeting-link")
    found = LINK.fullmatch(link)
    assert found is not None and found[1].startswith("later-")
    await page.eval("void (navigator.clipboard.writeText = async (text) => { globalThis.__copied = text; })")
    await page.key("Tab")
    await page.key("Enter")
    await page.see(".chatd-form__hint:text-is('Copied')")
    assert await page.eval("__copied") == link
    await page.key("Escape")
    await page.gone("chatd-start-meeting")
    await emil.menu("list-meetings")
    await page.see(".chatd-list__one strong:text-is('Later')")
    await page.see(".chatd-list__one :text('Nobody is in it')")
    assert await page.axe() == []
    await page.click(f'.chatd-list__one[data-id="{found[1]}"] [data-do=join]')
    await page.see(f"{FRAME}form.card")
    # Not joined yet: the window closes without a question.
    await page.click(emil.button("close"))
    await page.gone(WINDOW)


@pytest_twisted.ensureDeferred
async def test_the_window_by_keyboard_and_mouse(hall: Hall) -> None:
    """Moved and resized by arrow keys and by dragging; never out of sight; focus and Escape; a second meeting asks."""
    fritz = await hall.at_panel("fritz", width=1440, height=900)
    page = fritz.page
    first, second = hall.meeting("First", "fritz"), hall.meeting("Second", "fritz")
    await fritz.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{first}"] [data-do=join]')
    await page.see(f"{FRAME}form.card")
    await page.until("document.activeElement.matches('.meetingwindow iframe')")
    before = await page.eval(PLACE)
    grip = fritz.button("move")
    await page.press(grip, "ArrowRight")
    await page.press(grip, "ArrowDown")
    await page.press(grip, "Shift+ArrowLeft")
    await page.press(grip, "Shift+ArrowUp")
    assert await page.eval(PLACE) == [before[0] + 24, before[1] + 24, before[2] - 24, before[3] - 24]
    for _ in range(60):
        await page.press(grip, "ArrowLeft")
    assert (await page.eval(PLACE))[0] == 8
    await page.drag(f"{WINDOW} .meetingwindow__words", 120, 60)
    moved = await page.eval(PLACE)
    assert abs(moved[0] - 128) <= 1 and abs(moved[1] - before[1] - 84) <= 1
    await page.drag(f"{WINDOW} [data-edge=se]", -100, -50)
    pulled = await page.eval(PLACE)
    assert abs(pulled[2] - moved[2] + 100) <= 1 and abs(pulled[3] - moved[3] + 50) <= 1 and pulled[:2] == moved[:2]
    await page.press(fritz.button("full"), "Enter")
    await fritz.size("full")
    assert await page.eval("document.querySelector('#panel').inert")
    await page.key("Escape")
    await fritz.size("normal")
    assert await page.eval(PLACE) == pulled
    await fritz.join()

    await fritz.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{second}"] [data-do=join]')
    await page.see("dialog.question:has-text('You are in “First”')")
    assert await page.axe() == []
    await page.key("Escape")
    await page.gone("dialog.question")
    assert await page.text(".meetingwindow__name") == "First"
    await fritz.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{second}"] [data-do=join]')
    await page.click("dialog.question .question__yes")
    await page.see(".meetingwindow__name:text-is('Second')")
    await fritz.join()

    # Logging out asks as well, and ends it.
    await page.click("#log-out")
    await page.see("dialog.question:has-text('Log out and leave the meeting?')")
    await page.key("Enter")
    await page.gone("dialog.question")
    await page.see(WINDOW)
    await page.click("#log-out")
    await page.click("dialog.question .question__yes")
    await page.see("#login-form")
    assert await page.count(WINDOW) == 0


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_the_window_by_touch(hall: Hall) -> None:
    """On a tablet: moved by its bar, resized by its corner with a finger, also small; on a phone it is the screen."""
    bob = await hall.at_panel("bob", width=1024, height=768, touch=True)
    page = bob.page
    id = hall.meeting("Fingers", "bob")
    await bob.menu("list-meetings")
    await page.tap(f'.chatd-list__one[data-id="{id}"] [data-do=join]')
    await page.see(f"{FRAME}form.card")
    before = await page.eval(PLACE)
    await page.drag(f"{WINDOW} [data-edge=se]", -120, -100, touch=True)
    smaller = await page.eval(PLACE)
    assert abs(smaller[2] - before[2] + 120) <= 1 and abs(smaller[3] - before[3] + 100) <= 1
    await page.drag(f"{WINDOW} .meetingwindow__words", 90, 50, touch=True)
    moved = await page.eval(PLACE)
    assert abs(moved[0] - smaller[0] - 90) <= 1 and abs(moved[1] - smaller[1] - 50) <= 1 and moved[2:] == smaller[2:]
    await page.tap(f"{FRAME}form.card button.primary")
    await bob.inside()
    await page.tap(bob.button("small"))
    await bob.size("small")
    small = await page.eval(PLACE)
    await page.drag(f"{WINDOW} .meetingwindow__words", 200, -150, touch=True)
    there = await page.eval(PLACE)
    assert abs(there[0] - small[0] - 200) <= 1 and abs(there[1] - small[1] + 150) <= 1
    await page.tap(bob.button("enlarge"))
    await bob.size("normal")
    assert await page.eval(PLACE) == moved
    await page.tap(f"{FRAME}.round--leave")
    await page.gone(WINDOW)

    emil = await hall.at_panel("emil", width=390, height=844, touch=True)
    other = hall.meeting("Thumbs", "emil")
    await emil.menu("list-meetings")
    await emil.page.tap(f'.chatd-list__one[data-id="{other}"] [data-do=join]')
    await emil.page.see(f"{FRAME}form.card")
    await emil.page.drag(f"{WINDOW} .meetingwindow__words", 60, 200, touch=True)
    assert await emil.page.eval(PLACE) == [0, 0, 390, 844]
    await emil.page.tap(emil.button("close"))
    await emil.page.gone(WINDOW)


@pytest_twisted.ensureDeferred
async def test_what_may_go_wrong(hall: Hall) -> None:
    """Too many meetings, no connection, a meeting that is gone: in words, and the rest goes on."""
    hall.people.expect("404|WebSocket|Websocket|ERR_")
    link = hall.people.link()
    gerda = Caller((await hall.people.at_panel("gerda", link, media="granted")).page, "gerda")
    await gerda.log_in_and_see()
    page = gerda.page
    ids = [hall.meeting(f"Number {number}", "gerda") for number in range(12)]
    await gerda.menu("start-meeting")
    await page.press("#chatd-meeting-name", "Enter")
    await page.see("chatd-start-meeting [role=alert]:has-text('You have too many meetings.')")
    await page.until("document.activeElement.id === 'chatd-meeting-name'")
    assert await page.axe() == []
    await page.key("Escape")
    await page.gone("chatd-start-meeting")
    await gerda.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{ids[0]}"] [data-do=remove]')
    await page.see(".chatd-list__question")
    assert await page.axe() == []
    await page.click(".chatd-list__question button >> nth=0")
    await page.until(f"document.activeElement.closest('li').dataset.id === '{ids[0]}'")
    await page.click(f'.chatd-list__one[data-id="{ids[0]}"] [data-do=remove]')
    await page.click(".chatd-list__question .chatd-danger")
    await page.gone(f'.chatd-list__one[data-id="{ids[0]}"]')
    await page.key("Escape")
    await page.gone("chatd-meetings-modal")

    await gerda.add_contact("hanna")
    await gerda.say(f"https://localhost:{link.port}/meet/{ids[0]} and https://elsewhere.example/meet/{ids[1]}")
    await page.see(".chatd-card__facts:text-is('This meeting is no more.')")
    assert await page.count(".chatd-card") == 1 and await page.count(".chatd-card button") == 0

    await page.click(".chat-msg__text a >> nth=0")
    await page.see(f"{FRAME}text=There is no such meeting")
    await page.click(gerda.button("close"))
    await page.gone(WINDOW)
    await gerda.menu("start-meeting")
    await link.cut()
    await page.see('#state[data-kind="lost"]')
    await page.press("#chatd-meeting-name", "Enter")
    await page.see("chatd-start-meeting [role=alert]:has-text('cannot be reached')", 30)
    link.mend()
    await page.until("document.getElementById('state').dataset.kind !== 'lost'", 40)
    await page.press("#chatd-meeting-name", "Enter")
    await page.see(f"{FRAME}form.card")


@pytest_twisted.ensureDeferred
async def test_a_meeting_outlives_the_session_of_the_panel(hall: Hall) -> None:
    """The line is cut and comes back: the window is not loaded anew, and one is in the meeting as before."""
    hall.people.expect("^(error|warning): ")
    link = hall.people.link()
    hanna = Caller((await hall.people.at_panel("hanna", link, media="granted")).page, "hanna")
    await hanna.log_in_and_see()
    page = hanna.page
    id = hall.meeting("Long one", "hanna")
    await hanna.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{id}"] [data-do=join]')
    await hanna.join()
    frame = "document.querySelector('.meetingwindow iframe').contentWindow"
    await page.eval(f"void ({frame}.__same = true)")
    await link.cut()
    await page.see('#state[data-kind="lost"]', 30)
    link.mend()
    await page.until("document.getElementById('state').dataset.kind !== 'lost'", 35)
    await page.see(".meetingwindow__state:has-text('one person')", 35)
    assert await page.eval(f"{frame}.__same")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_recordings(hall: Hall) -> None:
    """The window tells that it runs; afterwards the list plays, saves and deletes it; without a pass nobody gets it."""
    bob = await hall.at_panel("bob")
    page = bob.page
    id = hall.meeting("On the record", "bob")
    phone = await hall.people.elsewhere("bob")
    room = f"{id}@meet.{DOMAIN}"
    await phone.process.ask("enter", room=room, nick="phone")
    await bob.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{id}"] [data-do=join]')
    await bob.join()
    await page.see(f"{FRAME}.tile video")
    await phone.ask(room, "<record xmlns='urn:chatd:meet:0' on='true'/>")
    await page.see(".meetingwindow__recording", 40)
    # Some seconds to look at.
    await page.until("new Promise((done) => setTimeout(() => done(true), 3000))")
    await phone.ask(room, "<record xmlns='urn:chatd:meet:0' on='false'/>")
    await told(phone, "Recording of .*/recordings/[0-9a-f]+")
    await page.click(bob.button("close"))
    await page.click(".question__yes")
    await page.gone(WINDOW)

    await bob.menu("list-meetings")
    await page.click(f'.chatd-list__one[data-id="{id}"] summary:has-text("One recording")')
    await page.see('.chatd-recording[data-state="ready"]', 40)
    assert re.search(r"0:0\d · .*B · kept until", await page.text(".chatd-recording .chatd-list__words span"))
    await page.click(".chatd-recording [data-do=play]")
    await page.until("document.querySelector('.chatd-recording video').currentTime > 0.2", 30)
    assert await page.axe() == []
    address = await page.eval("document.querySelector('.chatd-recording a').href")
    saved = "fetch(%r).then((a) => a.headers.get('content-disposition') ?? String(a.status))"
    assert (await page.eval(saved % address)).startswith('attachment; filename="on-the-record-')
    hall.people.expect("404")
    assert await page.eval(saved % address.partition("?")[0]) == "404", "without its pass it opens nothing"
    await page.click(".chatd-recording [data-do=forget]")
    await page.click(".chatd-list__question .chatd-danger")
    await page.gone(".chatd-recording")
    await page.see(f'.chatd-list__one[data-id="{id}"]')
