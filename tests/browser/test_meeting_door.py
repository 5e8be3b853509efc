"""The meeting page before joining, and devices: what people are told, what they may choose, and that it is carried out.

Chromium has one fake camera, which draws a clock, and fake microphones, which beep.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_twisted

from tests.browser.harness import Browser, Page
from tests.browser.meetings import Party
from tests.browser.people import People
from tests.daemon import DOMAIN
from tests.media_daemon import MediaDaemon, running_media

MIRROR = "document.querySelector('.mirror video')"
LEVEL = "Number(getComputedStyle(document.querySelector('.level')).getPropertyValue('--level'))"
KEPT = "JSON.parse(localStorage.getItem('chatd-meeting'))"


def option(words: str) -> str:
    """The value of a choice in the dialog."""
    return f"[...document.querySelectorAll('dialog option')].find((one) => one.textContent === '{words}').value"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of this file."""
    with running_media(tmp_path_factory.mktemp("chatd"), f"alice@{DOMAIN}", f"bob@{DOMAIN}") as made:
        yield made


@pytest_twisted.async_yield_fixture
async def party(browser: Browser, daemon: MediaDaemon) -> AsyncIterator[Party]:
    people = People(browser, daemon)
    made = Party(people, daemon)
    yield made
    made.stack.close()
    await people.leave()


async def choose(page: Page, label: str, value: str) -> None:
    """Choose in a labelled list; the dialog's, where there are two."""
    await page.call("selectOption", value, selector=f"label:has-text('{label}') + .field__row select >> nth=-1")


@pytest_twisted.ensureDeferred
async def test_settings_before_joining(party: Party) -> None:
    """Everything that may be chosen is carried out at once, and is there after a reload."""
    page = await party.open(party.meeting())
    await page.see(".mirror video")
    await page.until(f"{MIRROR}.videoWidth >= 1280 && {MIRROR}.matches('.mirrored')")
    await page.until(f"{LEVEL} > 0.01")
    await page.click("text=Settings")
    await page.see("dialog.settings h2")
    assert await page.axe() == []
    await page.click("label:has-text('Mirror my picture')")
    await page.until(f"!{MIRROR}.matches('.mirrored')")
    await page.click("label:has-text('Take out background noise')")
    await page.click("label:has-text('Play sounds')")
    await choose(page, "Pictures of the others", "low")
    await choose(page, "Microphone", await page.eval(option("Fake Audio Input 2")))
    await page.until(f"{KEPT}.microphoneId !== ''")
    await choose(page, "Language", "de")
    await page.see("dialog.settings h2:has-text('Einstellungen')")
    assert await page.eval("document.documentElement.lang") == "de"
    await page.key("Escape")
    await page.gone("dialog")
    assert await page.eval("document.activeElement.textContent") == "Einstellungen"
    await page.reload()
    await page.see("text=Ihr Name")
    await page.see(".mirror video")
    assert not await page.eval(f"{MIRROR}.matches('.mirrored')")
    kept = await page.eval(KEPT)
    assert not kept["noiseSuppression"] and not kept["sounds"] and kept["echoCancellation"]
    assert kept["quality"] == "low"
    await page.until(
        "document.querySelector('.choices select').selectedOptions[0].textContent === 'Fake Audio Input 2'")


@pytest_twisted.ensureDeferred
async def test_choices_of_another_kind_are_passed_over(party: Party) -> None:
    """What stands in the browser's storage may be anything."""
    page = await party.open(party.meeting())
    await page.eval("localStorage.setItem('chatd-meeting', JSON.stringify({ name: 7, microphoneId: {}, x: 1 }))")
    await page.reload()
    await page.see(".mirror video")
    assert await page.call("inputValue", selector="input[name=name]") == ""
    await page.eval("localStorage.setItem('chatd-meeting', '[')")
    await page.reload()
    await page.see(".mirror video")


@pytest_twisted.ensureDeferred
async def test_asking(party: Party) -> None:
    """While the browser asks, the page says what for; then camera and microphone are there."""
    page = await party.open(party.meeting(), media="asks")
    await page.see("text=Your browser is asking you")
    assert await page.axe() == []
    await page.eval("__allow()")
    await page.see(".mirror video")
    await page.gone("text=Your browser is asking you")
