"""Meetings for the browser tests: who takes part, and what everybody does there."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from tests.browser.harness import Page
from tests.browser.people import People, Person
from tests.integration.visitors import host, make, ticket
from tests.media_daemon import MediaDaemon
from tests.raw import RawWebSocket

DECODED = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'video')
    .reduce((sum, one) => sum + (one.framesDecoded ?? 0), 0)))
    .then((all) => all.reduce((sum, one) => sum + one, 0))"""


FRESH_S = 60.0
"""How long a client may be quiet that answers no pings: the server cuts it after 90 s."""


def expect_livekit(people: People) -> None:
    """What livekit-client logs of what is in order."""
    # Its look, every four seconds, falls into the moment in which a meeting ends.
    people.expect(r"connection state mismatch .*numFailures: 1\}")
    # Media arrive when their sender has just gone.
    people.expect("participant, that's not present")
    # Whoever leaves while sound and picture are still being agreed upon.
    people.expect("could not createOffer with closed peer connection")
    # Whoever is put out loses the media before the page has read why.
    people.expect("DataChannel error on |data channel '[A-Z_]+' closed unexpectedly")


class Party:
    """Who takes part in the meetings of one test."""

    def __init__(self, people: People, daemon: MediaDaemon) -> None:
        self.people = people
        expect_livekit(people)
        self.daemon = daemon
        self.stack = ExitStack()
        self._owner: RawWebSocket | None = None
        self._asked_s = 0.0

    @property
    def owner(self) -> RawWebSocket:
        """Alice's client.  It reads only while it waits for an answer: after a long test another takes its place."""
        now = time.monotonic()
        if self._owner is None or now - self._asked_s > FRESH_S:
            self._owner = self.stack.enter_context(host(self.daemon, "alice"))
        self._asked_s = now
        return self._owner

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
        """A guest opens the link and joins; options are those of `open`."""
        page = await self.open(room, **options)
        await join(page, name, password)
        return page

    async def alice(self, room: str, *, fragment: str = "", **options: Any) -> Page:
        """Alice, a moderator, comes as the panel sends her."""
        handed = f"#ticket={ticket(self.owner)}&name=Alice" + fragment.replace("#", "&")
        page = await self.open(room, fragment=handed, **options)
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


async def comes(page: Page, selector: str) -> None:
    """Wait for what takes the machine a while: a file is composed below everything else."""
    for _ in range(4):
        try:
            await page.see(selector, 30)
        except AssertionError:
            continue
        return
    raise AssertionError(f"{selector} never comes")
