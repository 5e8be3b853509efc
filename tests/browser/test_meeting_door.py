"""The meeting page before joining, and devices: what people are told, what they may choose, and that it is carried out.

Chromium has one fake camera, which draws a clock, and fake microphones, which beep.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.party import Party, inside, join

MIRROR = "document.querySelector('.mirror video')"
LEVEL = "Number(getComputedStyle(document.querySelector('.level')).getPropertyValue('--level'))"
HEARD = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'audio')
    .reduce((sum, one) => sum + (one.totalAudioEnergy ?? 0), 0)))
    .then((all) => all.reduce((sum, one) => sum + one, 0))"""
KEPT = "JSON.parse(localStorage.getItem('chatd-meeting'))"


def option(words: str) -> str:
    """The value of a choice in the dialog."""
    return f"[...document.querySelectorAll('dialog option')].find((one) => one.textContent === '{words}').value"


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


@pytest_twisted.ensureDeferred
async def test_refused(party: Party) -> None:
    """Camera and microphone refused, on a phone: what to do is said, nothing overflows."""
    page = await party.open(party.meeting(), media=None, width=390, height=844, dark=True)
    await page.see("text=The browser may not use your camera and microphone.")
    await page.see("text=You can join without")
    assert await page.axe() == []
    assert await page.eval("document.documentElement.scrollWidth") == 390
    await page.click("text=Settings")
    await page.see("dialog.settings")
    assert await page.axe() == []
    assert await page.eval("document.querySelector('dialog.settings .dialog__body').scrollWidth") <= 390


@pytest_twisted.ensureDeferred
async def test_in_all_the_same(party: Party) -> None:
    """The camera alone refused: she speaks without. Both refused: he hears her, and the buttons say why not more."""
    room = party.meeting()
    ada = await party.open(room, media="microphone")
    await ada.see("text=The browser may not use your camera. Allow it at the left of the address bar")
    await ada.until(f"{LEVEL} > 0.01")
    assert await ada.count("text=You can join without") == 0, "she has a microphone"
    await join(ada, "Ada")
    await inside(ada)
    await ada.see("button[aria-label='Turn microphone off']")
    await ada.click("button[aria-label='Turn camera on']")
    await ada.see(".toast--bad:has-text('The browser may not use your camera.')")

    emil = await party.open(room, media=None)
    await emil.see("text=The browser may not use your camera and microphone.")
    await join(emil, "Emil")
    await inside(emil)
    await emil.see(".tile[data-nick=Ada]")
    await emil.until(f"({HEARD}).then((energy) => energy > 0.001)", 30)
    await ada.see(".tile[data-nick=Emil] >> text=Microphone off")
    await emil.click("button[aria-label='Turn microphone on']")
    await emil.see(".toast--bad:has-text('The browser may not use your microphone.')")
    assert await emil.axe() == []


@pytest_twisted.ensureDeferred
async def test_plugged_and_pulled_out(party: Party) -> None:
    """Nothing is there, then camera and microphone are plugged in; one is pulled out again; another program has one."""
    room = party.meeting()
    page = await party.open(room, media="none")
    await page.see("text=No camera and no microphone were found.")
    assert await page.axe() == []
    await page.eval("__plug()")
    await page.see(".mirror video")
    await page.gone(".mirror .problem")
    await page.eval(f"{MIRROR}.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    await page.see("text=Your camera was unplugged.")
    await page.gone(".mirror video")
    await page.click(".problem >> text=Try again")
    await page.see(".mirror video")
    await page.gone("text=Your camera was unplugged.")

    other = await party.open(room, media="busy")
    await other.see("text=Another program is using your camera.")
    await other.until(f"{LEVEL} > 0.01")
    assert await other.count("text=You can join without") == 0
    assert await other.axe() == []


@pytest_twisted.ensureDeferred
async def test_speakers(party: Party) -> None:
    """The tones go to the speakers that were chosen."""
    page = await party.open(party.meeting())
    await page.see(".mirror video")
    await page.eval("""(() => {
        globalThis.__sinks = [];
        const real = HTMLMediaElement.prototype.setSinkId;
        HTMLMediaElement.prototype.setSinkId = function (id) { __sinks.push(id); return real.call(this, id); };
    })()""")
    wanted = "[...document.querySelectorAll('option')].find((one) => one.textContent === 'Fake Audio Output 2').value"
    await choose(page, "Speakers", await page.eval(wanted))
    await page.click("button:has-text('Test') >> nth=0")
    await page.see("text=You should hear three tones now.")
    await page.see("text=Heard nothing?")
    assert await page.eval(f"__sinks.length === 1 && __sinks[0] === {wanted}")


@pytest_twisted.ensureDeferred
async def test_connection(party: Party) -> None:
    """The connection test, where everything works and the server has no relay; it leaves a visit one can join with."""
    page = await party.open(party.meeting())
    await page.see(".mirror video")
    await page.click("text=Test connection")
    await page.see("text=Your connection is good for meetings.", 30)
    assert await page.count(".check__row--good") == 5
    assert "no relay" in await page.text(".check__row--open")
    assert await page.axe() == []
    await page.key("Escape")
    await page.gone("dialog")
    await join(page, "Ada")
    await inside(page)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_connection_blocked(party: Party) -> None:
    """UDP is blocked, and then everything: what still works, and what to ask for."""
    room = party.meeting()
    page = await party.open(room, blocked=["udp"])
    await page.see(".mirror video")
    await page.click("text=Test connection")
    await page.see("text=your network blocks UDP", 30)
    assert "Blocked: nothing came back from port" in await page.text(".check__row:has-text('(UDP)')")
    assert "Works." in await page.text(".check__row:has-text('(TCP)')")
    assert await page.axe() == []
    none = await party.open(room, blocked=["udp", "tcp"], media=None, width=390, height=844)
    await none.see(".problem")
    await none.click("text=Test connection")
    await none.see("text=lets no sound and no picture through, and this server has no relay", 30)
    assert await none.count(".check__row--bad:has-text('The browser may not use your')") == 2
    assert await none.axe() == []
    assert await none.eval("document.querySelector('.check .dialog__body').scrollWidth") <= 390


@pytest_twisted.ensureDeferred
async def test_by_keyboard(party: Party) -> None:
    """The name has the focus; every control is reached by Tab and named; Enter joins."""
    page = await party.open(party.meeting())
    await page.see(".mirror video")
    assert await page.eval("document.activeElement.name") == "name"
    name = "(e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent)(document.activeElement)"
    passed = []
    for _ in range(12):
        await page.key("Shift+Tab")
        passed.append(await page.eval(name))
        if passed[-1] == "Turn microphone off":
            break
    assert passed == ["Test connection", "Settings", "Test", "Speakers", "Camera", "Microphone", "Turn camera off",
                      "Turn microphone off"]
    await page.key("Space")
    await page.until(f"{name} === 'Turn microphone on'")
    await page.key("Space")
    await page.until(f"{name} === 'Turn microphone off'")
    for _ in passed:
        await page.key("Tab")
    for letter in "Ada":
        await page.key(letter)
    await page.key("Enter")
    await inside(page)
    await page.see(".tile[data-nick=Ada]")


@pytest_twisted.ensureDeferred
async def test_within_seconds(party: Party, record_property: Any) -> None:
    """Somebody with only the link, nothing in the cache: a name, one click, and in; the goal is five seconds."""
    room = party.meeting()
    started = time.monotonic()
    page = await party.open(room)
    await join(page, "Ada")
    await inside(page)
    seconds = time.monotonic() - started
    record_property("seconds from opening the link to being in", round(seconds, 2))
    assert seconds < 30, "other tests may have taken the machine; by itself it is to be five"
