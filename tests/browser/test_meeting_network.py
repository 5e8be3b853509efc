"""A person whose network is cut, far from the server: in a network namespace, where packets vanish without a word."""

from __future__ import annotations

import time
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor, task

from tests.bridge.peer import own_address
from tests.bridge.places import Place
from tests.browser.harness import Browser
from tests.browser.party import Party, inside, join, tile
from tests.browser.people import Person
from tests.browser.test_meeting_cut import BODIES, chats, moves, write

pytestmark = pytest.mark.long  # real media in several browsers

CUT_S = 10.0


@pytest_twisted.ensureDeferred
async def test_ten_seconds_without_a_network(away: Place, far: Browser, party: Party, record_property: Any) -> None:
    """She is told while it lasts, and is back by herself; nothing of the chat is lost, the others stay undisturbed."""
    party.people.expect(".")
    room = party.meeting()
    line = party.people.link(own_address())
    ada = await far.page(f"https://{line.host}:{line.port}/meet/{room.partition('@')[0]}", media="granted", https=True)
    party.people.persons.append(Person(ada, ""))
    await join(ada, "Ada")
    await inside(ada)
    alice, bea = await party.alice(room), await party.guest(room, "Bea")
    for page, name in ((ada, "Bea"), (ada, "Alice"), (alice, "Ada"), (bea, "Ada")):
        await tile(page, name)
    await moves(ada, alice, bea)
    await chats(ada, alice, bea)
    await write(ada, "before")
    for page in (alice, bea):
        await page.see(".message:has-text('before')")
    # As from a reload the page would come back with a new address.
    await ada.eval("globalThis.__isSame = true")

    away.unplug()
    cut = time.monotonic()
    await write(ada, "written behind the cut")
    for number in range(5):
        await write(bea, f"meanwhile {number}")
    await alice.see(".message:has-text('meanwhile 4')")
    await ada.see(".toast--bad:has-text('The connection is cut.')", CUT_S + 5)
    told = time.monotonic() - cut
    record_property("seconds from the cut to the notice", round(told, 2))
    await moves(alice)  # Bea's
    await task.deferLater(reactor, max(0.0, CUT_S - (time.monotonic() - cut)), lambda: None)  # type: ignore[arg-type]
    away.plug()
    mended = time.monotonic()
    await ada.see("text=You are connected again.", 30)
    record_property("seconds from the mended line to the notice", round(time.monotonic() - mended, 2))
    for page in (alice, bea):
        await page.see(".message:has-text('written behind the cut')")
    await ada.see(".message:has-text('meanwhile 4')")
    for page in (ada, alice, bea):
        said = await page.eval(BODIES)
        assert sorted(said) == sorted(["before", "written behind the cut", *(f"meanwhile {n}" for n in range(5))])
    await ada.gone(".toast--bad", 30)
    for page, name in ((ada, "Bea"), (ada, "Alice"), (alice, "Ada"), (bea, "Ada")):
        await tile(page, name)
    await moves(ada, alice, bea)
    record_property("seconds from the mended line to sound and picture", round(time.monotonic() - mended, 2))
    assert await ada.eval("__isSame")
    assert told < CUT_S, "who is cut off for ten seconds is told so"
