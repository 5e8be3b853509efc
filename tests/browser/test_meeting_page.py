"""The meeting page in Chromium, with the real daemon and its real media bridge: from the link to the picture."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from chatd.core.recording_conditions import CONDITIONS
from tests.browser.party import Party, inside, join, sees, tile
from tests.browser.people import Friend

UI = Path(__file__).parents[2] / "chatd" / "web" / "ui" / "meet"


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
    await ada.see("text=Es wurden weder Kamera noch Mikrofon gefunden")
    await join(ada, "Ada")
    await ada.see("text=Diese Besprechung hat ein Passwort.")
    await join(ada, "Ada", "tunafish")
    await ada.see("text=Das Passwort stimmt nicht")
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


def test_every_condition_of_a_recording_has_a_sentence() -> None:
    """Why there is no file is said in the reader's language, in the meeting and in the panel."""
    for words in (UI / "lang").glob("*.js"):
        text = words.read_text()
        assert {f"why_{one.replace('-', '_')}" for one in CONDITIONS} == set(re.findall(r"\b(why_\w+): '", text)), words
    for words in (UI.parent / "src" / "lang").glob("meetings.*.js"):
        [block] = re.findall(r"\n        why: \{\n(.*?)\n        \}", words.read_text(), re.DOTALL)
        assert set(CONDITIONS) == {one.strip("'") for one in re.findall(r"^ +([\w'-]+): ", block, re.MULTILINE)}, words
