"""The meeting page in Chromium, with the real daemon and its real media bridge: from the link to the picture."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Browser, Page
from tests.browser.people import Friend, People, Person
from tests.daemon import DOMAIN
from tests.integration.visitors import host, make, ticket
from tests.media_daemon import MediaDaemon, running_media
from tests.raw import RawWebSocket

UI = Path(__file__).parents[2] / "chatd" / "web" / "ui" / "meet"
DECODED = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'video')
    .reduce((sum, one) => sum + (one.framesDecoded ?? 0), 0)))
    .then((all) => all.reduce((sum, one) => sum + one, 0))"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of this file."""
    with running_media(tmp_path_factory.mktemp("chatd"), f"alice@{DOMAIN}", f"bob@{DOMAIN}") as made:
        yield made


class Party:
    """Who takes part in the meetings of one test."""

    def __init__(self, people: People, daemon: MediaDaemon) -> None:
        self.people = people
        self.daemon = daemon
        self.stack = ExitStack()
        self.owner: RawWebSocket = self.stack.enter_context(host(daemon, "alice"))

    def meeting(self, name: str = "Weekly review", inner: str = "", **attributes: str) -> str:
        """A new meeting of Alice's: its room."""
        return make(self.owner, name, inner, **attributes)

    async def open(self, room: str, *, fragment: str = "", **options: Any) -> Page:
        """Somebody opens the link, in a profile of his own."""
        port = self.daemon.ports["https"]
        options = {"media": "granted", "https": True, "width": 1280, "height": 800} | options
        url = f"https://localhost:{port}/meet/{room.partition('@')[0]}{fragment}"
        page = await self.people.browser.page(url, **options)
        self.people.persons.append(Person(page, ""))
        return page

    async def guest(self, room: str, name: str, password: str = "", **options: Any) -> Page:
        """A guest opens the link and joins."""
        page = await self.open(room, **options)
        await join(page, name, password)
        return page

    async def alice(self, room: str, **options: Any) -> Page:
        """Alice, a moderator, comes as the panel sends her."""
        page = await self.open(room, fragment=f"#ticket={ticket(self.owner)}&name=Alice", **options)
        await page.see("form.card")
        await page.click("form.card button.primary")
        await inside(page)
        return page


async def join(page: Page, name: str, password: str = "") -> None:
    """Type the name and click."""
    await page.fill("input[name=name]", name)
    if password:
        await page.fill("input[name=password]", password)
    await page.click("form.card button.primary")


async def inside(page: Page) -> None:
    """Wait until chat and media are connected."""
    await page.see(".inside")
    await page.see(".tile >> nth=0", 30)
    await page.gone(".toast:has-text('Connecting')", 30)


async def tile(page: Page, name: str) -> None:
    """Wait until the picture of somebody is there."""
    await page.see(f".tile[data-nick='{name}'] video", 30)


async def sees(page: Page) -> None:
    """Wait until pictures of others come and go on coming."""
    before = await page.eval(DECODED)
    await page.until(f"({DECODED}).then((now) => now > {before} + 10)", 30)


@pytest_twisted.async_yield_fixture
async def party(browser: Browser, daemon: MediaDaemon) -> AsyncIterator[Party]:
    people = People(browser, daemon)
    made = Party(people, daemon)
    yield made
    made.stack.close()
    await people.leave()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_by_link(party: Party, record_property: Any) -> None:
    """A guest by the link, with a name and a click; then another: they see each other and talk with an account."""
    room = party.meeting()
    ada = await party.open(room)
    await ada.see("form.card")
    await ada.see(".mirror video")
    assert "Weekly review" in await ada.text("h1") and "Nobody" in await ada.text(".card .quietly")
    assert await ada.axe() == []
    started = time.monotonic()
    await join(ada, "Ada")
    await inside(ada)
    record_property("seconds from click to meeting", round(time.monotonic() - started, 2))
    bea = await party.guest(room, "Bea")
    await tile(ada, "Bea")
    await tile(bea, "Ada")
    await sees(ada)
    await sees(bea)
    assert await ada.axe() == []

    bob = await party.people.elsewhere("bob")
    await bob.process.ask("enter", room=room, nick="Bob")
    await ada.click("button[aria-label=Chat]")
    await ada.fill(".writing textarea", "Hello from Ada: https://example.org/plan")
    await ada.press(".writing textarea", "Enter")
    await told(bob, "Ada", "Hello from Ada: https://example.org/plan")
    await bob.process.ask("tell", room=room, body="Hello from Bob")
    await ada.see(".message:has-text('Hello from Bob')")
    assert await ada.axe() == []
    await bea.see(".badge:has-text('2')")
    late = await party.guest(room, "Lea")
    await inside(late)
    await late.click("button[aria-label=Chat]")
    await late.see(".message:has-text('Hello from Ada')")
    await late.click("button[aria-label=Participants]")
    await late.see(".people li:has-text('Bob') >> text=Chat only")

    await bea.click("button[aria-label=Leave]")
    await bea.see("text=You have left")
    await ada.gone(".tile[data-nick=Bea]")
    await bea.click("text=Rejoin")
    await join(bea, "Bea")
    await inside(bea)
    await tile(ada, "Bea")


async def told(friend: Friend, nick: str, body: str) -> None:
    """Wait until a client in the room has read this."""
    await friend.process.wait_for(lambda e: e.get("event") == "told" and e["body"] == body and e["nick"] == nick)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_password(party: Party) -> None:
    room = party.meeting(inner="<password>swordfish</password>")
    ada = await party.open(room, locale="de-DE", media="none")
    await ada.see("text=Es wurde kein Mikrofon gefunden")
    await join(ada, "Ada")
    await ada.see("text=Diese Besprechung hat ein Passwort.")
    await join(ada, "Ada", "tunafish")
    await ada.see("text=Dieses Passwort ist nicht richtig")
    assert await ada.axe() == []
    await join(ada, "Ada", "swordfish")
    await inside(ada)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_moderation(party: Party) -> None:
    """Hands, muting, moderators by grant, removal, the end for all; and a shared screen stands large."""
    room = party.meeting()
    alice = await party.alice(room)
    ada = await party.guest(room, "Ada")
    eve = await party.guest(room, "Eve")
    await tile(alice, "Ada")
    await tile(alice, "Eve")
    await ada.click("button[aria-label='Raise hand']")
    await alice.see(".tile[data-nick=Ada] .tile__hand")
    await ada.click("button[aria-label='Share screen']")
    await alice.see(".stage__large .tile--screen video")
    await ada.click("button[aria-label='Stop sharing']")
    await alice.gone(".stage__large")

    await alice.click("button[aria-label=Participants]")
    await alice.click("button[aria-label='Actions for Ada']")
    await ada.see("button[aria-label='Turn microphone off']")
    await alice.click(".actions >> text=Mute")
    await ada.see("button[aria-label='Turn microphone on']")
    await alice.click(".actions >> text=Make moderator")
    await ada.see("text=You are now a moderator.")
    await alice.click("button[aria-label='Actions for Eve']")
    await alice.click(".actions >> text=Remove")
    await alice.click(".asking button.danger")
    await eve.see("text=You were removed from this meeting.")
    assert await eve.count("text=Rejoin") == 0
    await alice.gone(".tile[data-nick=Eve]")
    await alice.click(".side__foot >> text=End for all")
    await alice.click(".asking button.danger")
    for page in (alice, ada):
        await page.see("text=The meeting was ended for all.")


def test_every_language_has_every_sentence() -> None:
    """The same keys everywhere, the same {words} in each sentence, and no key that the page asks for is missing."""
    languages = {}
    for path in sorted((UI / "lang").glob("*.js")):
        found = re.findall(r"(\w+): '([^']*)'", path.read_text())
        assert len(found) == len(dict(found)), f"{path.name} has a key twice"
        languages[path.stem] = dict(found)
    english = languages["en"]
    assert set(languages) == {"de", "en", "es", "fr"} and len(english) > 100
    for name, words in languages.items():
        assert words.keys() == english.keys(), (name, words.keys() ^ english.keys())
        for key, text in words.items():
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), (name, key)
            assert text.strip(), (name, key)
    asked = set()
    for source in UI.glob("*.js*"):
        text = source.read_text()
        asked |= set(re.findall(r"\bt\('(\w+)'", text)) | set(re.findall(r"\.tell\('(\w+)'", text))
    assert asked <= english.keys(), asked - english.keys()
