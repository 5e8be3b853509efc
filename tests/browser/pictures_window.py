"""Takes the pictures of meetings in the panel for docs/: the window in its sizes, the dialogs, cards, the list.

    .venv/bin/python -m tests.browser.pictures_window docs

Writes FOLDER/screenshots/panel-meeting-VIEW-SIZE-COLOURS.webp, each in light and dark.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import task
from twisted.internet.defer import ensureDeferred

from tests.browser.harness import Browser
from tests.browser.party import comes
from tests.browser.people import NAMES, People
from tests.browser.test_panel_meetings import FRAME, LINK, Caller, Hall
from tests.daemon import DOMAIN
from tests.media_daemon import running_media

WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
GUESTS = ("Ada Byron", "Emil Novák")


class Studio:
    """One run: a daemon, its people, and where the pictures go."""

    def __init__(self, reactor: Any, folder: Path, hall: Hall) -> None:
        self.reactor, self.folder, self.hall = reactor, folder, hall

    async def take(self, person: Caller, view: str) -> None:
        """In light and dark, when what moves has come to rest and pictures are sharp."""
        page = person.page
        width = await page.eval("innerWidth")
        for colours in ("light", "dark"):
            await page.call("emulateMedia", {"colorScheme": colours})
            await task.deferLater(self.reactor, 1.5)  # type: ignore[misc]
            target = self.folder / "screenshots" / f"panel-meeting-{view}-{width}-{colours}.png"
            await page.screenshot(target)
            with Image.open(target) as image:
                image.save(target.with_suffix(".webp"), quality=82, method=6)
            target.unlink()
        await page.call("emulateMedia", {"colorScheme": "light"})

    async def guests(self, id: str) -> None:
        """Two others, until their pictures are there."""
        for name in GUESTS:
            guest = await self.hall.guest(id, name, media="drawn", width=400, height=300)
            await guest.see(".tile >> nth=1", 30)

    async def started(self, person: Caller, name: str) -> str:
        """The meeting that was started from the open chat: its id."""
        await person.page.fill("#chatd-meeting-name", name)
        await person.page.press("#chatd-meeting-name", "Enter")
        await person.page.see(f"{FRAME}form.card")
        link = LINK.search(await person.page.text(".chat-msg__text a"))
        assert link is not None
        return link[1]

    async def wide(self) -> None:
        telephone = await self.hall.people.elsewhere("bob")
        alice, bob = await self.hall.at_panel("alice", media="drawn", **WIDE), await self.hall.at_panel("bob", **WIDE)
        page = alice.page
        await alice.add_contact("bob", "Bob Smith", "Work")
        await page.see('.current-xmpp-contact[data-status="online"]')
        await telephone.send("alice", "Shall we look at the offer together?")
        await alice.reads("Shall we look at the offer together?")
        await alice.start_dialog()
        await page.click(".chatd-options summary")
        await self.take(alice, "start")
        id = await self.started(alice, "The offer")
        await self.take(alice, "door")
        await alice.join()
        await self.guests(id)
        for name in GUESTS:
            await page.see(f"{FRAME}.tile[data-nick='{name}']", 30)
        await self.take(alice, "window")
        await page.click(alice.button("close"))
        await page.see("dialog.question")
        await self.take(alice, "leave")
        await page.key("Escape")
        await page.click(alice.button("small"))
        await alice.size("small")
        await self.take(alice, "small")
        await page.click(alice.button("enlarge"))
        await page.click(alice.button("full"))
        await alice.size("full")
        await self.take(alice, "full")
        await page.click(f"{FRAME}button[aria-label='Start recording']")
        await page.click(f"{FRAME}dialog >> text=Start recording >> nth=1")
        await page.see(f"{FRAME}.recording--on", 30)
        await task.deferLater(self.reactor, 5)  # type: ignore[misc]
        await page.click(alice.button("full"))
        await page.click(f"{FRAME}button[aria-label='Stop recording']")
        await page.click(f"{FRAME}dialog >> text=Stop recording >> nth=1")
        await page.click(f"{FRAME}button[aria-label^=Chat]")
        await comes(page, f"{FRAME}.recorded")
        await page.click(alice.button("small"))
        await alice.size("small")
        self.hall.meeting("Board", "alice", e2ee="true")
        await alice.menu("list-meetings")
        await page.click(".chatd-list .chatd-options summary")
        await page.see(".chatd-recording [data-do=play]", 30)
        await self.take(alice, "list")
        await bob.open_chat("alice")
        await bob.page.see(".chatd-card__facts:has-text('people are in it')", 30)
        await self.take(bob, "card")

    async def phone(self) -> None:
        dora = await self.hall.at_panel("dora", media="drawn", **PHONE)
        page = dora.page
        await dora.menu("list-meetings")
        await self.take(dora, "list-empty")
        await page.click("#converse-modals .modal.show .modal-header button")
        await page.gone("#converse-modals .modal.show")
        await self.hall.people.elsewhere("emil")
        await dora.add_contact("emil", "Emil Novák")
        await page.gone(".chatd-waiting")
        await dora.start_dialog()
        await self.take(dora, "start")
        id = await self.started(dora, "Lunch")
        await self.take(dora, "door")
        await dora.join()
        await self.guests(id)
        await self.take(dora, "window")
        await page.click(dora.button("small"))
        await dora.size("small")
        await self.take(dora, "small")


async def main(reactor: Any) -> None:
    """Take all pictures into the folder named on the command line, or those of the groups named behind it."""
    folder = Path(sys.argv[1]).resolve()
    (folder / "screenshots").mkdir(parents=True, exist_ok=True)
    browser = Browser()
    extra = "[modules.meet]\nrecording = true\n"
    try:
        with (tempfile.TemporaryDirectory() as place,
              running_media(Path(place), *(f"{name}@{DOMAIN}" for name in NAMES), extra=extra) as daemon):
            people = People(browser, daemon)
            people.expect(".")
            hall = Hall(people, daemon)
            try:
                for group in sys.argv[2:] or ["wide", "phone"]:
                    await getattr(Studio(reactor, folder, hall), group)()
            finally:
                hall.stack.close()
                await people.leave()
    finally:
        browser.stop()


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
