"""Takes the pictures of meetings for docs/: 2, 3, 5 and 9 people, a shared screen, phones, light and dark.

    .venv/bin/python -m tests.browser.meeting_pictures docs [door] [grid] [speaker] [phone] [encrypted] [paused]

Takes all, or only those of the groups named. Writes FOLDER/screenshots/meeting-VIEW-SIZE-COLOURS.webp. The people are
pages of their own, whose cameras show drawn persons. Needs what the browser tests need.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from livekit.protocol.rtc import StreamState
from PIL import Image
from twisted.internet import task
from twisted.internet.defer import ensureDeferred

from tests.browser.harness import Browser, Page
from tests.browser.party import Party, inside, join, tile
from tests.browser.people import People
from tests.browser.test_meeting_paused import SIGNALS, tell, videos_of
from tests.daemon import DOMAIN
from tests.media_daemon import running_media

NAMES = ("Ada Byron", "Emil Novák", "Fatima Haddad", "Ken Tanaka", "Lucía Ortega", "Noah Weber", "Olga Petrova",
         "Sam Okafor")
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SIDEWAYS = {"width": 844, "height": 390}
KEY = "qk6Hc0n1mG9dI0xq7yZy2m1w4v8s3T5u6R7p8o9n0bE"


class Studio:
    """One run: a daemon, its people, and where the pictures go."""

    def __init__(self, reactor: Any, folder: Path, party: Party) -> None:
        self.reactor = reactor
        self.folder = folder
        self.party = party

    async def take(self, page: Page, view: str, screen: str) -> None:
        """When what moves has come to rest and pictures are sharp."""
        await task.deferLater(self.reactor, 2.5)  # type: ignore[misc]
        target = self.folder / "screenshots" / f"meeting-{view}-{screen}.png"
        await page.screenshot(target)
        with Image.open(target) as image:
            image.save(target.with_suffix(".webp"), quality=82, method=6)
        target.unlink()

    async def guests(self, room: str, count: int, fragment: str = "") -> list[Page]:
        """So many others, in small windows."""
        pages = []
        for at, name in enumerate(NAMES[:count]):
            page = await self.party.open(room, fragment=fragment, width=400, height=300, media="drawn")
            if at % 4 == 2:
                await page.click("button[aria-label='Turn camera off']")
            if at % 3 != 1:
                await page.click("button[aria-label='Turn microphone off']")
            await join(page, name)
            await inside(page)
            pages.append(page)
        return pages

    async def host(self, room: str, fragment: str = "", **options: Any) -> Page:
        page = await self.party.alice(room, fragment=fragment, media="drawn", **options)
        await tile(page, NAMES[0])
        return page

    async def leave(self, *pages: Page) -> None:
        for page in pages:
            await page.close()
            self.party.people.persons = [one for one in self.party.people.persons if one.page is not page]

    async def both(self, page: Page, view: str, size: dict[str, int]) -> None:
        """In light and dark."""
        await page.call("setViewportSize", size)
        for colours in ("light", "dark"):
            await page.call("emulateMedia", {"colorScheme": colours})
            await self.take(page, view, f"{size['width']}-{colours}")
        await page.call("emulateMedia", {"colorScheme": "light"})

    async def door(self) -> None:
        room = self.party.meeting("Weekly review")
        for size in (WIDE, PHONE):
            for colours, more in {"light": {}, "dark": {"dark": True}}.items():
                screen = f"{size['width']}-{colours}"
                page = await self.party.open(room, media="drawn", **size, **more)
                await page.see(".mirror video")
                await self.take(page, "door", screen)
                await page.click("text=Settings")
                await page.see("dialog")
                await self.take(page, "settings", screen)
                await page.click("dialog button[aria-label=Close]")
                await page.click("text=Test connection")
                await page.see(".check__end--good", 30)
                await self.take(page, "connection", screen)
                await self.leave(page)
        page = await self.party.open(room, media=None, **WIDE)
        await page.see(".problem")
        await self.take(page, "refused", "1440-light")
        await self.leave(page)

    async def grid(self) -> None:
        for others in (1, 2, 4, 8):
            room = self.party.meeting("Weekly review")
            pages = await self.guests(room, others)
            if others == 4:
                await pages[3].eval("document.querySelector('button[aria-label=\"Raise hand\"]').click()")
            page = await self.host(room, **WIDE)
            await page.see(f".grid__tiles .tile >> nth={others - 1}")
            await self.both(page, f"grid{others + 1}", WIDE)
            await self.leave(page, *pages)

    async def speaker(self) -> None:
        room = self.party.meeting("Weekly review")
        pages = await self.guests(room, 5)
        page = await self.host(room, **WIDE)
        await page.click("button[aria-label='Show who speaks large']")
        await self.take(page, "speaker", "1440-light")
        await page.click("button[aria-label=More]")
        await self.take(page, "menu", "1440-light")
        await page.key("Escape")
        await page.press("body", "?")
        await page.see("dialog[open]")
        await self.take(page, "keys", "1440-light")
        await page.key("Escape")
        await pages[1].eval("document.querySelector('button[aria-label=\"Share screen\"]').click()")
        await page.see(".tile--large.tile--screen video")
        for size in (WIDE, PHONE, SIDEWAYS):
            await self.both(page, "screen", size)
        await self.leave(page, *pages)

    async def phone(self) -> None:
        room = self.party.meeting("Weekly review")
        pages = await self.guests(room, 3)
        page = await self.host(room, **SIDEWAYS)
        await self.take(page, "grid4", "844-light")
        await self.both(page, "grid4", PHONE)
        await page.click("button[aria-label=More]")
        await self.take(page, "menu", "390-light")
        await page.key("Escape")
        for one, emoji in ((pages[0], "👏"), (pages[1], "🎉"), (pages[2], "👏")):
            await one.eval("document.querySelector('button[aria-label=More]').click()")
            await one.click(f".menu button:has-text('{emoji}')")
        await page.see(".floating__one >> nth=2")
        await self.take(page, "reactions", "390-light")
        await self.leave(page, *pages)

    async def encrypted(self) -> None:
        room = self.party.meeting("Board", e2ee="true")
        page = await self.party.open(room, **WIDE)
        await page.see("input[name=key]")
        await self.take(page, "key-missing", "1440-light")
        pages = await self.guests(room, 2, f"#key={KEY}")
        inside_it = await self.host(room, f"#key={KEY}", **WIDE)
        await self.both(inside_it, "encrypted", WIDE)
        await self.leave(page, inside_it, *pages)

    async def paused(self) -> None:
        """The line has no room for two of three pictures."""
        room = self.party.meeting("Weekly review")
        pages = [await self.party.guest(room, name, media="drawn", width=400, height=300)
                 for name in (NAMES[0], NAMES[1], NAMES[3])]
        page = await self.party.open(room, media="drawn", **WIDE)
        await page.see("form.card")
        await page.eval(SIGNALS)
        await join(page, "Alice")
        for name in (NAMES[0], NAMES[1], NAMES[3]):
            await tile(page, name)
        for video in sorted(await videos_of(page))[:2]:
            await tell(page, video, StreamState.PAUSED)
        await page.see(".paused >> nth=1")
        await self.both(page, "paused", WIDE)
        await self.both(page, "paused", PHONE)
        await self.leave(page, *pages)


async def main(reactor: Any) -> None:
    """Take the pictures into the folder named on the command line."""
    folder = Path(sys.argv[1]).resolve()
    (folder / "screenshots").mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as place, running_media(Path(place), f"alice@{DOMAIN}") as daemon:
            people = People(browser, daemon)
            people.expect(".")
            party = Party(people, daemon)
            studio = Studio(reactor, folder, party)
            try:
                for group in sys.argv[2:] or ["door", "grid", "speaker", "phone", "encrypted", "paused"]:
                    await getattr(studio, group)()
            finally:
                party.stack.close()
                await people.leave()
    finally:
        browser.stop()


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
