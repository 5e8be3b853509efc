"""What tests of the bridge with real clients need: a bridge process, Chromium, participants (tests/bridge/clients/).

    def test_x(people):
        ann, ben, cat = people.page("ann"), people.page("ben"), people.sdk("cat")
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.bridge.clients.bridge_process import BridgeProcess
from tests.bridge.clients.cuttable import Cuttable
from tests.bridge.clients.line_process import Failed
from tests.bridge.clients.page import Chromium, Page
from tests.bridge.clients.sdk import Sdk
from tests.bridge.hostile import House

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.stop()


@pytest.fixture(scope="module")
def bridge() -> Iterator[BridgeProcess]:
    """One process for the tests of a file; it has to survive them all, without an error in its log."""
    process = BridgeProcess()
    yield process
    assert process.process.poll() is None, process.log[-20:]
    assert process.stop() == 0, process.log[-20:]
    assert not [text for text in process.complaints() if not text.startswith("warning")], process.complaints()


class People:
    """Participants that leave when the test ends. Every test has a room of its own."""

    def __init__(self, bridge: BridgeProcess, room: str, chromium: Callable[[], Chromium]) -> None:
        self.bridge, self.room = bridge, room
        self._chromium = chromium
        self._all: list[Sdk | Page] = []
        self._wires: list[Cuttable] = []

    def sdk(self, identity: str, **options: Any) -> Sdk:
        """See sdk.py's Sdk."""
        made = Sdk(self.bridge, identity, options.pop("room", self.room), **options)
        self._all.append(made)
        return made

    def page(self, identity: str, options: dict[str, Any] | None = None, **more: Any) -> Page:
        """See page.py's Chromium.page."""
        made = self._chromium().page(self.bridge, identity, options, room=more.pop("room", self.room), **more)
        self._all.append(made)
        return made

    def wire(self) -> Cuttable:
        """A relay in front of the bridge's signalling; see cuttable.py."""
        made = Cuttable(self.bridge.http)
        self._wires.append(made)
        return made

    def tell_of_flows(self) -> None:
        """Print what the bridge and the clients know of every track, twice: what stands is then to be seen."""
        for _ in range(2):
            try:
                for track in self.bridge.flows(self.room):
                    print(json.dumps(track))
                for one in self._all:
                    print(one.identity, json.dumps({"seen": one.frames(), "incoming": one.incoming()}
                                                   if isinstance(one, Sdk) else one.incoming()))
            except (AssertionError, OSError, Failed) as error:
                print("no more is known:", error)
            time.sleep(1)

    def go(self) -> None:
        for one in self._all:
            if isinstance(one, Sdk):
                one.leave()
            else:
                one.close()
        for wire in self._wires:
            wire.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def people(bridge: BridgeProcess, request: pytest.FixtureRequest) -> Iterator[People]:
    everybody = People(bridge, request.node.name, lambda: request.getfixturevalue("chromium"))
    yield everybody
    if request.node.stash.get(FAILED, False):
        everybody.tell_of_flows()
    everybody.go()


@pytest.fixture(scope="module")
def one_house() -> Iterator[House]:
    made = House()
    yield made
    made.stop()


@pytest.fixture
def house(one_house: House) -> Iterator[House]:
    """A bridge to be attacked: hostile.py."""
    yield one_house
    one_house.check()
