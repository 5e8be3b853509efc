"""A daemon, a browser and people for the browser tests.

Every page that a test opens is checked when the test ends: no request to another site, nothing its security
policy had to stop, nothing in the console. A test that breaks connections on purpose says which complaints
belong to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_twisted

from chatd.web.site import STATIC_DIR
from tests.browser.harness import Browser
from tests.browser.party import Party
from tests.browser.people import NAMES, People
from tests.daemon import DOMAIN, Daemon, running
from tests.media_daemon import MediaDaemon


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert (STATIC_DIR / "index.html").is_file(), "the panel is not built: make ui"
    chromium = Browser()
    yield chromium
    chromium.stop()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("chatd"), *(f"{name}@{DOMAIN}" for name in NAMES)) as chatd:
        yield chatd


@pytest_twisted.async_yield_fixture
async def people(browser: Browser, daemon: Daemon) -> AsyncIterator[People]:
    everybody = People(browser, daemon)
    yield everybody
    await everybody.leave()


@pytest_twisted.async_yield_fixture
async def party(browser: Browser, daemon: MediaDaemon) -> AsyncIterator[Party]:
    """Who takes part in meetings; the file's own `daemon` has media."""
    people = People(browser, daemon)
    made = Party(people, daemon)
    yield made
    made.stack.close()
    await people.leave()
