"""Takes the pictures of docs/roundcube.md: Roundcube with chat and a meeting, wide and narrow, light and dark.

    .venv/bin/python -m tests.browser.pictures_roundcube docs [390-light] [1440-dark]

Takes all, or those of the screens named. Writes FOLDER/screenshots/roundcube-VIEW-SIZE-COLOURS.webp. Needs what the
tests of Roundcube need.
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
from tests.browser.mail import Reader, Readers
from tests.browser.pictures import SCREENS
from tests.daemon import DOMAIN, PASSWORD
from tests.media_daemon import running_media
from tests.roundcube import webmail as running_webmail

NAMES = {"alice": "Alice Adams", "bob": "Bob Smith", "carol": "Carol Jones", "dora": "Dora Brandt"}
USERS = {f"{name}@{DOMAIN}": PASSWORD for name in NAMES}
MAILS = (("bob", "Offer for the north wing"), ("carol", "Minutes of Monday"), ("dora", "Lunch on Friday?"),
         ("bob", "Plans, third version"), ("carol", "Travel to Bern"), ("dora", "Pictures of the garden"))
CONTACTS = (("bob", "Bob Smith", "Sales"), ("carol", "Carol Jones", "Sales, Board"), ("dora", "Dora Brandt", "Board"))
TALK = (("alice", "Good morning! Have you seen the plans?"), ("bob", "Yes, page three is the one that matters."),
        ("alice", "Shall we talk?"), ("bob", "Of course, I am at my desk."))


class Studio:
    """One run."""

    def __init__(self, reactor: Any, folder: Path, readers: Readers) -> None:
        self.reactor = reactor
        self.folder = folder
        self.readers = readers

    async def take(self, reader: Reader, view: str, screen: str) -> None:
        """One picture, when fades have ended."""
        await task.deferLater(self.reactor, 1.0)  # type: ignore[misc]
        target = self.folder / "screenshots" / f"roundcube-{view}-{screen}.png"
        await reader.tab.screenshot(target)
        with Image.open(target) as image:
            image.save(target.with_suffix(".webp"), quality=82, method=6)
        target.unlink()

    async def furnish(self) -> dict[str, Reader]:
        """Make contacts and a conversation; who is there besides Alice."""
        others = {}
        for name in ("bob", "carol", "dora"):
            others[name] = await self.readers.logged_in(name, width=1280, height=800, media="drawn")
            await others[name].chat.page.see("#launcher")
        alice = await self.readers.logged_in("alice", width=1440, height=900)
        await alice.chat.page.click("#launcher")
        for name, shown, group in CONTACTS:
            await alice.chat.add_contact(name, shown, group)
            chat = others[name].chat
            await chat.page.click("#launcher")
            await chat.page.click(".requesting-xmpp-contact converse-dropdown button")
            await chat.page.click(".accept-xmpp-request")
            await chat.page.click("converse-accept-contact-request-modal button[type=submit]")
            await chat.page.see('.current-xmpp-contact[data-status="online"]')
            await alice.chat.page.click(f'converse-chat[jid="{name}@{DOMAIN}"] .close-chatbox-button >> nth=0')
        await alice.chat.open_chat("bob")
        await others["bob"].chat.open_chat("alice")
        for who, body in TALK:
            both = {"alice": alice.chat, "bob": others["bob"].chat}
            await both[who].say(body)
            for one in both.values():
                await one.reads(body)
        await alice.log_out()
        await alice.tab.close()
        self.readers.readers.remove(alice)
        return others

    async def shoot(self, screen: str, options: dict[str, Any], bob: Reader) -> None:
        """The pictures of one screen."""
        is_phone = screen.startswith("390")
        alice = await self.readers.logged_in("alice", media="drawn", touch=is_phone, **options)
        chat = alice.chat
        await chat.page.see("#launcher")
        await alice.mail.see("#messagelist tbody tr")
        # The last conversation may come up by itself in a new browser: put away for now.
        await task.deferLater(self.reactor, 2.0)  # type: ignore[misc]
        await alice.tab.eval("chatd.close()")
        await self.take(alice, "mail", screen)
        await chat.page.click("#launcher")
        await chat.page.see("converse-roster-contact")
        await self.take(alice, "contacts", screen)
        await chat.open_chat("bob")
        await chat.reads("I am at my desk")
        await self.take(alice, "chat", screen)
        await chat.start_dialog()
        await chat.page.fill("#chatd-meeting-name", "North wing")
        await chat.page.press("#chatd-meeting-name", "Enter")
        await chat.join()
        await bob.chat.page.click(".chatd-card__join >> nth=-1")
        await bob.chat.join()
        await chat.page.see(f"{chat.frame('.tile')} >> nth=1", 60)
        await self.take(alice, "meeting", screen)
        await chat.page.click(chat.button("small"))
        await chat.size("small")
        await self.take(alice, "meeting-small", screen)
        await bob.chat.page.click(bob.chat.frame("button.round--leave"))
        await bob.chat.page.gone(".meetingwindow")
        await alice.tab.close()
        self.readers.readers.remove(alice)


async def main(reactor: Any) -> None:
    """Take all pictures into the folder named on the command line."""
    folder = Path(sys.argv[1]).resolve()
    (folder / "screenshots").mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        with running_webmail(USERS) as webmail, tempfile.TemporaryDirectory() as place, \
                running_media(Path(place), extra=webmail.table(DOMAIN)) as daemon:
            webmail.know(daemon)
            for sender, subject in MAILS:
                webmail.put(f"alice@{DOMAIN}", f"{NAMES[sender]} <{sender}@{DOMAIN}>", subject, "Dear Alice,")
            readers = Readers(browser, webmail)
            readers.expect(".")
            studio = Studio(reactor, folder, readers)
            others = await studio.furnish()
            for screen in sys.argv[2:] or SCREENS:
                await studio.shoot(screen, SCREENS[screen], others["bob"])
            await readers.leave()
    finally:
        browser.stop()


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
