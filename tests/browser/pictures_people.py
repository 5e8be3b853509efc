"""Takes the pictures of a meeting's people for docs/: participants, chat, security, the lobby on both sides, recording.

    .venv/bin/python -m tests.browser.pictures_people docs [1440-light] [1440-dark] [390-light] [390-dark]

Takes all, or only those of the sizes named. Writes FOLDER/screenshots/meeting-VIEW-SIZE-COLOURS.webp.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import task
from twisted.internet.defer import ensureDeferred

from tests.browser.harness import Browser, Page
from tests.browser.party import Party, comes, inside, join, tile
from tests.browser.people import People
from tests.daemon import DOMAIN
from tests.media_daemon import running_media

SCREENS: dict[str, dict[str, Any]] = {
    "1440-light": {"width": 1440, "height": 900},
    "1440-dark": {"width": 1440, "height": 900, "dark": True},
    "390-light": {"width": 390, "height": 844},
    "390-dark": {"width": 390, "height": 844, "dark": True},
}
TALK = (
    ("ada", "Good morning! The plan is here: https://example.org/north-wing/plan?version=3"),
    ("ada", "Page 3 is what we talk about first."),
    ("bea", "Thank you. I have two questions about the stairs, and one about the budget for the second half of the "
            "year, which we have not spoken about yet."),
    ("ada", "Gladly, right after the overview."),
)


class Shot:
    """One size and colours: who is there, and where the pictures go."""

    def __init__(self, reactor: Any, party: Party, folder: Path, screen: str, options: dict[str, Any]) -> None:
        self.reactor, self.party, self.folder, self.screen, self.options = reactor, party, folder, screen, options

    async def take(self, page: Page, view: str) -> None:
        await task.deferLater(self.reactor, 0.6)  # type: ignore[misc]
        target = self.folder / "screenshots" / f"meeting-{view}-{self.screen}.png"
        await page.screenshot(target)
        with Image.open(target) as image:
            image.save(target.with_suffix(".webp"), quality=82, method=6)
        target.unlink()

    async def run(self) -> None:
        room = self.party.meeting("Project North")
        alice = await self.party.alice(room, media="drawn", **self.options)
        ada = await self.party.guest(room, "Ada Lovelace", media="drawn")
        bea = await self.party.guest(room, "Bea Winter", media="drawn")
        for name in ("Ada Lovelace", "Bea Winter"):
            await tile(alice, name)
        for page in (ada, bea):
            await page.click("button[aria-label^=Chat]")
        for who, body in TALK:
            page = ada if who == "ada" else bea
            await page.fill(".writing textarea", body)
            await page.press(".writing textarea", "Enter")
            await bea.see(f".message__body:has-text('{body[:20]}')")
        await alice.click("button[aria-label^=Chat]")
        await alice.fill(".writing textarea", "Then let us begin 👍")
        await alice.press(".writing textarea", "Enter")
        await alice.see(".message--mine >> text=Then let us begin")
        await self.take(alice, "chat")
        await ada.click("button[aria-label='Raise hand']")
        await bea.click("button[aria-label='Turn microphone off']")
        await alice.click(".side header button")
        await alice.click("button[aria-label^=Participants]")
        await self.take(alice, "people")
        await alice.click("button[aria-label='Actions for Ada Lovelace']")
        await alice.click(".side__foot >> text=Mute all")
        await self.take(alice, "people-actions")
        await alice.click(".asking >> text=Cancel")
        await alice.click(".side header button")
        await alice.click("button[aria-label=Security]")
        await alice.click(".toggle:has-text('Lobby')")
        await alice.click("dialog >> text=Set a password")
        await alice.fill("dialog form input", "swordfish")
        await alice.click("dialog >> text=Save")
        await alice.click("dialog >> text=Show")
        await self.take(alice, "security")
        await alice.key("Escape")
        await ada.click("button[aria-label=Security]")
        knock = await self.party.open(room, media="drawn", **self.options)
        await join(knock, "Carla Neumann", "swordfish")
        await knock.see("text=Waiting to be let in")
        await self.take(knock, "lobby-waiting")
        dora = await self.party.open(room, media="none")
        await join(dora, "Dora", "swordfish")
        await alice.see("text=Waiting to be let in: 2")
        await alice.click("button[aria-label^=Participants]")
        await self.take(alice, "lobby-moderator")
        await alice.click("button[aria-label='Refuse: Carla Neumann']")
        await knock.see("text=You were not let in.")
        await self.take(knock, "lobby-refused")
        await alice.click(".waiting >> text=Admit")
        await inside(dora)
        await alice.click(".side header button")
        await alice.click("button[aria-label='Start recording']")
        await self.take(alice, "record")
        await alice.click("dialog >> text=Start recording >> nth=1")
        await alice.see(".recording--on")
        await self.take(alice, "recording")
        late = await self.party.open(room, media="drawn", **self.options)
        await late.see("text=This meeting is being recorded.")
        await self.take(late, "recording-door")
        await alice.click("button[aria-label='Stop recording']")
        await alice.click("dialog >> text=Stop recording >> nth=1")
        await alice.gone(".recording--on")
        await alice.click("button[aria-label^=Chat]")
        await comes(alice, ".recorded")
        await self.take(alice, "recorded")
        await alice.click(".recorded >> text=Watch")
        await alice.see(".player video")
        await self.take(alice, "recorded-player")
        for person in self.party.people.persons:
            await person.page.close()
        self.party.people.persons.clear()


async def main(reactor: Any) -> None:
    """Take all pictures into the folder named on the command line, of the screens named behind it."""
    folder = Path(sys.argv[1]).resolve()
    (folder / "screenshots").mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        with (
            tempfile.TemporaryDirectory() as place,
            running_media(Path(place), f"alice@{DOMAIN}", extra="[modules.meet]\nrecording = true") as daemon,
        ):
            people = People(browser, daemon)
            people.expect(".")
            party = Party(people, daemon)
            for screen in sys.argv[2:] or SCREENS:
                await Shot(reactor, party, folder, screen, SCREENS[screen]).run()
            party.stack.close()
            await people.leave()
    finally:
        browser.stop()


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
