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
from tests.bridge.places import Place
from tests.browser.harness import Browser
from tests.browser.mail import Readers
from tests.browser.party import Party
from tests.browser.people import NAMES, People
from tests.browser.webmail_page import LittleWebmail
from tests.daemon import DOMAIN, Daemon, running
from tests.media_daemon import MediaDaemon, running_media
from tests.roundcube import Webmail


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


@pytest.fixture(scope="module")
def media_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of a file; a file that needs another configuration has its own."""
    with running_media(tmp_path_factory.mktemp("chatd"), f"alice@{DOMAIN}", f"bob@{DOMAIN}") as made:
        yield made


@pytest_twisted.async_yield_fixture
async def party(browser: Browser, media_daemon: MediaDaemon) -> AsyncIterator[Party]:
    """Who takes part in meetings."""
    people = People(browser, media_daemon)
    made = Party(people, media_daemon)
    yield made
    made.stack.close()
    await people.leave()


@pytest.fixture(scope="module")
def webmail() -> Iterator[LittleWebmail]:
    """A Webmail of a few pages; a file that uses it has a daemon that knows it."""
    made = LittleWebmail()
    yield made
    made.stop()


@pytest_twisted.async_yield_fixture
async def readers(browser: Browser, webmail: Webmail) -> AsyncIterator[Readers]:
    """Who reads mail; for files whose `webmail` is a Roundcube."""
    everybody = Readers(browser, webmail)
    yield everybody
    await everybody.leave()


@pytest.fixture
def away() -> Iterator[Place]:
    """A place of its own in the network, which can be cut off or made narrow."""
    place = Place()
    yield place
    place.close()


@pytest.fixture
def far(away: Place) -> Iterator[Browser]:
    """A browser in that place."""
    browser = Browser(away.prefix)
    yield browser
    browser.stop()
