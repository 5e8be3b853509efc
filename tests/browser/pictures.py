"""Takes the pictures for docs/: every view of the panel, wide and narrow, light and dark.

    .venv/bin/python -m tests.browser.pictures docs [panel] [room]

Takes all, or only those of the groups named. Writes FOLDER/screenshots/VIEW-SIZE-COLOURS.webp. Needs what the browser
tests need.
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
from tests.browser.people import NAMES, SERVICE, Friend, People, Person
from tests.daemon import DOMAIN, running

SCREENS: dict[str, dict[str, Any]] = {
    "1440-light": {"width": 1440, "height": 900},
    "1440-dark": {"width": 1440, "height": 900, "dark": True},
    "390-light": {"width": 390, "height": 844},
    "390-dark": {"width": 390, "height": 844, "dark": True},
}
CONTACTS = (("bob", "Bob Smith", "Work"), ("carol", "Carol Jones", "Work, Friends"), ("dora", "Dora Brandt", "Friends"))
DIRECTORY = """[[domain.directory]]
kind = "file"
path = "people.csv"

[[domain.group]]
name = "North wing"
members = ["alice", "fritz"]
"""
EVERYBODY = f"""name,address,title,department
Bob Smith,bob@{DOMAIN},Head of Sales,Sales
Erin Bobolink,erin@{DOMAIN},Engineer,Development
Carol Bobson,carol@{DOMAIN},,Board
Frank Bobby,frank@{DOMAIN},,Sales
Alice Adams,alice@{DOMAIN},,
Fritz Keller,fritz@{DOMAIN},,
"""
TALK = (
    ("me", "Hello Bob! Shall we look at the offer before the meeting?"),
    ("bob", "Yes, please. I have put my notes here: https://chat.example/notes"),
    ("bob", "Page *three* is the one that matters."),
    ("me", "Thank you, reading it now 👍"),
    ("bob", "Noon in room 2?"),
    ("me", "Noon is fine."),
)

ROOM = "Project North"
ROOM_TOPIC = "The north wing: plans, dates, people"
OTHER_ROOMS: dict[str, dict[str, str]] = {
    "Board": {"membersonly": "1"}, "Help desk": {}, "Lunch club": {}, "Night shift": {"moderatedroom": "1"},
}
ROOM_TALK = (
    ("bob", "The plans for the north wing are here: https://chat.example/north"),
    ("carol", "Thank you! I have *two* questions, both about page 3."),
    ("carol", "Can we talk at noon?"),
    ("alice", "Noon is fine. I bring the printed plans."),
    ("bob", "See you then 👍"),
)


class Studio:
    """One run: a daemon, its people, and where the pictures go."""

    def __init__(self, reactor: Any, folder: Path, people: People) -> None:
        self.reactor = reactor
        self.folder = folder
        self.people = people
        self.friends: dict[str, Friend] = {}

    async def settle(self) -> None:
        """Let fades end."""
        await task.deferLater(self.reactor, 0.7)  # type: ignore[misc]

    async def take(self, person: Person, view: str, screen: str) -> None:
        await self.settle()
        target = self.folder / "screenshots" / f"{view}-{screen}.png"
        await person.page.screenshot(target)
        with Image.open(target) as image:
            image.save(target.with_suffix(".webp"), quality=82, method=6)
        target.unlink()

    async def log_in_page(self, screen: str, options: dict[str, Any]) -> None:
        person = await self.people.at_panel("alice", **options)
        await person.page.see("#login-form")
        await self.take(person, "log-in", screen)
        await person.try_log_in("wrong")
        await person.page.see("#problem")
        await self.take(person, "log-in-error", screen)
        await person.page.close()
        self.people.persons.remove(person)

    async def empty_panel(self, screen: str, options: dict[str, Any]) -> None:
        person = await self.people.at_panel("emil", **options)
        await person.log_in()
        await person.page.see(".chatd-empty")
        await self.take(person, "empty", screen)
        await person.page.close()
        self.people.persons.remove(person)

    async def chats(self, screen: str, options: dict[str, Any]) -> None:
        link = self.people.link()
        person = await self.people.at_panel("alice", link, **options)
        page = person.page
        await person.log_in()
        await page.see("converse-roster-contact")
        await self.take(person, "contacts", screen)
        await person.open_add_contact()
        await page.fill("#chatd-add-jid", "bo")
        await page.see(".chatd-people__row[aria-disabled=true]")
        await self.take(person, "add-contact", screen)
        await page.fill("#chatd-add-jid", "bob@elsewhere.example")
        await page.press("#chatd-add-jid", "Enter")
        await page.see("converse-add-contact-modal [role=alert]")
        await page.click('.chatd-chip[data-group="Work"]')
        await self.take(person, "add-contact-wrong", screen)
        await page.key("Escape")
        await page.gone("converse-add-contact-modal")
        await person.open_chat("dora")
        await page.see(".chatd-waiting")
        await self.take(person, "chat-waiting", screen)
        await self.contact(person, screen)
        await page.click(f'converse-chat[jid="dora@{DOMAIN}"] .close-chatbox-button >> nth=0')
        await person.open_chat("bob")
        await person.reads("Noon is fine.")
        await page.click("converse-chat .chatd-search-button")
        await page.fill(".chatd-search input", "noon")
        await page.see(".chatd-search__one")
        await self.take(person, "search", screen)
        await page.key("Escape")
        await page.gone(".chatd-search")
        if screen.startswith("1440"):
            await person.open_chat("carol")
        await self.take(person, "chat", screen)
        await link.cut()
        await page.see('#state[data-kind="lost"]')
        await self.take(person, "reconnecting", screen)
        await page.close()
        self.people.persons.remove(person)

    async def contact(self, person: Person, screen: str) -> None:
        """The dialogs about Dora, and about a colleague whom the organisation keeps in the list."""
        page = person.page
        heading = f'converse-chat[jid="dora@{DOMAIN}"] converse-chat-heading'
        await page.click(f"{heading} converse-dropdown button")
        await page.click(f"{heading} .chatd-block")
        await person.dialog_shown()
        await page.click("#chatd-block-report")
        await self.take(person, "block", screen)
        await page.click("#converse-modals .modal.show .btn-secondary")
        await page.gone("#converse-modals .modal.show")
        if screen.startswith("390"):
            await page.click("converse-controlbox-navback")
        for group, entry, view in (("Work", "chatd-edit", "edit-contact"),
                                   ("Work", "remove-xmpp-contact", "remove-contact"),
                                   ("North wing", "chatd-edit", "edit-colleague")):
            row = f'.roster-group[data-group="{group}"] converse-roster-contact >> nth=0'
            await page.click(f"{row} >> converse-dropdown button >> nth=0")
            await page.click(f"{row} >> .{entry}")
            await person.dialog_shown()
            await self.take(person, view, screen)
            await page.click("#converse-modals .modal.show .btn-secondary")
            await page.gone("#converse-modals .modal.show")
        if screen.startswith("390"):
            await person.open_chat("dora")

    async def furnish(self) -> None:
        """Make contacts and a conversation."""
        person = await self.people.at_panel("alice", width=1440, height=900)
        await person.log_in()
        for name in ("bob", "carol"):
            self.friends[name] = await self.people.elsewhere(name)
        for name, shown, group in CONTACTS:
            await person.add_contact(name, shown, group)
            if name in ("carol", "dora"):
                await person.page.click(f'converse-chat[jid="{name}@{DOMAIN}"] .close-chatbox-button >> nth=0')
        for who, body in TALK:
            if who == "me":
                await person.say(body)
            else:
                await self.friends[who].send("alice", body)
            await person.reads(body.split("*")[0].split("https")[0].strip())
        await self.friends["carol"].send("alice", "Lunch today?")
        await self.settle()
        await person.page.close()
        self.people.persons.remove(person)

    async def furnish_room(self) -> None:
        """Make Alice's groupchat with three people in it and a conversation; Bob and Carol stay.  Dora has others."""
        self.friends["dora"] = await self.people.elsewhere("dora")
        for name, settings in OTHER_ROOMS.items():
            await self.friends["dora"].make_room(name, **settings)
        persons = {name: await self.people.at_panel(name) for name in ("alice", "bob", "carol")}
        for person in persons.values():
            await person.log_in()
            await person.join_room(ROOM)
        await persons["alice"].room_menu("Topic")
        await persons["alice"].page.fill("#chatd-topic", ROOM_TOPIC)
        await persons["alice"].page.click("chatd-room-topic button[type=submit]")
        for who, body in ROOM_TALK:
            await persons[who].say(body)
            for person in persons.values():
                await person.reads(body.split("*")[0].split("https")[0].strip())
        await self.settle()
        await persons["alice"].page.close()
        self.people.persons.remove(persons["alice"])

    async def room(self, screen: str, options: dict[str, Any]) -> None:
        person = await self.people.at_panel("alice", **options)
        page = person.page
        await person.log_in()
        await person.open_room_dialog("show-add-muc-modal")
        await page.fill("#chatd-room-name", ROOM)
        await self.take(person, "room-make", screen)
        await page.key("Escape")
        await page.gone("converse-add-muc-modal")
        await person.open_room_dialog("show-list-muc-modal")
        await page.see(".chatd-rooms__open")
        await self.take(person, "room-find", screen)
        await page.click('.chatd-rooms__open:has-text("Board")')
        await page.see(".chatd-outside")
        await self.take(person, "room-refused", screen)
        await page.click("converse-muc .close-chatbox-button")
        await person.dialog_shown()
        await page.click("#converse-modals .modal.show button[type=submit]")
        await page.gone("converse-muc")
        await person.find_room(f"{ROOM.lower().replace(' ', '-')}@{SERVICE}")
        await person.reads("See you then")
        await self.take(person, "room-chat", screen)
        for entry, view in (("Details", "room-about"), ("Configure", "room-settings"), ("Moderate", "room-people")):
            await person.room_menu(entry)
            await page.see(".chatd-details, .chatd-settings, .chatd-members")
            await self.take(person, view, screen)
            await page.click("#converse-modals .modal.show .modal-header button")
            await page.gone("#converse-modals .modal.show")
        await page.close()
        self.people.persons.remove(person)

    async def run(self, groups: list[str]) -> None:
        """Take the pictures of these groups."""
        if "panel" in groups:
            await self.furnish()
            for screen, options in SCREENS.items():
                await self.log_in_page(screen, options)
                await self.empty_panel(screen, options)
                await self.chats(screen, options)
        if "room" in groups:
            await self.furnish_room()
            for screen, options in SCREENS.items():
                await self.room(screen, options)


async def shoot(reactor: Any, browser: Browser, folder: Path, place: Path) -> None:
    """Start a daemon and take the pictures of it."""
    with running(place, *(f"{name}@{DOMAIN}" for name in NAMES), domain_extra=DIRECTORY) as daemon:
        people = People(browser, daemon)
        people.expect(".")
        studio = Studio(reactor, folder, people)
        try:
            await studio.run(sys.argv[2:] or ["panel", "room"])
        finally:
            await people.leave()


async def main(reactor: Any) -> None:
    """Take all pictures into the folder named on the command line."""
    folder = Path(sys.argv[1]).resolve()
    (folder / "screenshots").mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "people.csv").write_text(EVERYBODY)
            await shoot(reactor, browser, folder, Path(place))
    finally:
        browser.stop()


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
