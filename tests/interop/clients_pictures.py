"""Takes the pictures of docs/clients.md: clients with windows in a conversation with the panel, side by side.

    .venv/bin/python -m tests.interop.clients_pictures docs [thunderbird] [gajim] [dino]

Takes all, or only those named. Writes FOLDER/screenshots/clients-CLIENT.webp. Needs root and the packages of
tests/debian-packages-long, and what the browser tests need.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import task, threads
from twisted.internet.defer import ensureDeferred

from tests.browser.harness import Browser
from tests.browser.people import People, Person
from tests.daemon import DOMAIN, Daemon
from tests.integration.abroad import Names
from tests.interop.desk import desk, reachable
from tests.interop.dino import Dino
from tests.interop.files import picture
from tests.interop.gajim import Gajim
from tests.interop.thunderbird import thunderbird

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
PANEL = {"width": 900, "height": 640}
#: Gajim wants a little more.
CLIENT = (1040, 640)


class AtDesk:
    """Bob, with Dino or Gajim."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def log_in(self) -> None:
        self.client.start()
        self.client.add_account(BOB)

    def open(self) -> None:
        self.client.talk_to(ALICE)

    def say(self, text: str) -> None:
        self.client.say(text)

    def send(self) -> bool:
        home = self.client.desk.home
        picture(home / "tulips.png", 320, 140)
        self.client.send(home / "tulips.png")
        return True

    def reads(self, text: str) -> None:
        self.client.desk.reads(text)

    def take(self, file: Path) -> None:
        self.client.desk.size(*CLIENT)
        self.client.desk.picture(file)


class AtThunderbird:
    """Bob, with Thunderbird, which sends no files."""

    def __init__(self, client: Any, daemon: Daemon) -> None:
        self.client = client
        self.daemon = daemon

    def log_in(self) -> None:
        self.client.run(f"window.resizeTo({CLIENT[0]}, {CLIENT[1]})")
        self.client.open_chat()
        self.client.add_account("bob", DOMAIN, "localhost", self.daemon.ports["c2s"])
        self.client.online()

    def open(self) -> None:
        self.client.talk_to(ALICE)

    def say(self, text: str) -> None:
        self.client.say(ALICE, text)

    def send(self) -> bool:
        return False

    def reads(self, text: str) -> None:
        self.client.shown(ALICE, text)

    def take(self, file: Path) -> None:
        self.client.picture(file)


@contextmanager
def bob_with(name: str, daemon: Daemon, names: Names, folder: Path) -> Iterator[Any]:
    """Bob in front of the client of this name."""
    if name == "thunderbird":
        with thunderbird(daemon, folder / name) as client:
            yield AtThunderbird(client, daemon)
    else:
        kind: Any = {"dino": Dino, "gajim": Gajim}[name]
        with desk(folder / name, names, daemon.certificate) as at:
            yield AtDesk(kind(at))


async def talk(do: Callable[..., Any], reactor: Any, alice: Person, bob: Any) -> None:
    """What is to be seen on both sides."""
    await do(bob.log_in)
    await do(bob.open)
    await alice.open_chat("bob")
    await alice.say("Good morning Bob! Is the garden party still on?")
    await do(bob.reads, "garden party")
    await do(bob.say, "Good morning Alice. Yes, on Saturday at noon.")
    await alice.reads("on Saturday at noon")
    if await do(bob.send):
        await alice.page.see(".chat-msg__text:has-text('tulips.png'), .chat-msg__media img, .chat-msg img")
        # Dino puts it at the time at which it had sent it whole.
        await task.deferLater(reactor, 2)  # type: ignore[misc]
    await alice.say("How lovely! Then I bring the cake.")
    await do(bob.reads, "I bring the cake")
    await do(bob.say, "And I bring the chairs.")
    await alice.reads("I bring the chairs")
    # Until what moves has come to rest.
    await task.deferLater(reactor, 3)  # type: ignore[misc]


def side_by_side(left: Path, right: Path, target: Path) -> None:
    """Both in one picture, with some air between them."""
    with Image.open(left) as one, Image.open(right) as other:
        both = Image.new("RGB", (one.width + other.width + 24, max(one.height, other.height)), "white")
        both.paste(one.convert("RGB"), (0, 0))
        both.paste(other.convert("RGB"), (one.width + 24, 0))
        both.save(target, quality=82, method=6)


async def main(reactor: Any) -> None:
    """Take the pictures into the folder named on the command line."""
    folder = Path(sys.argv[1]).resolve() / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)

    def do(what: Any, *arguments: Any) -> Any:
        return threads.deferToThread(what, *arguments)

    for name in sys.argv[2:] or ["thunderbird", "gajim", "dino"]:
        browser = Browser()
        with tempfile.TemporaryDirectory() as place, reachable(Path(place) / "chatd", ALICE, BOB) as (daemon, names):
            people = People(browser, daemon)
            people.expect(".")
            friend = await people.elsewhere("bob")
            alice = await people.at_panel("alice", **PANEL)
            await alice.log_in()
            await alice.add_contact("bob", "Bob Smith")
            await alice.page.see('.current-xmpp-contact[data-status="online"]')
            friend.process.stop()
            try:
                with bob_with(name, daemon, names, Path(place)) as bob:
                    await talk(do, reactor, alice, bob)
                    left, right = Path(place) / "client.png", Path(place) / "panel.png"
                    await do(bob.take, left)
                    await alice.page.screenshot(right)
                    side_by_side(left, right, folder / f"clients-{name}.webp")
            finally:
                browser.stop()


if __name__ == "__main__":
    task.react(lambda reactor: ensureDeferred(main(reactor)))
