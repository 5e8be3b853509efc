"""Devices in the meeting: another microphone, less data, a blurred background, and listening without any device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.party import DECODED, Party, inside, join, sees, tile
from tests.browser.test_meeting_door import HEARD, choose, option
from tests.coturn import SECRET, Coturn
from tests.daemon import DOMAIN
from tests.media_daemon import MediaDaemon, running_media

WIDTHS = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'video').map((one) => one.frameWidth ?? 0)))
    .then((all) => all.flat())"""
SENDS = "__peers.flatMap((peer) => peer.getSenders()).map((one) => one.track).find((one) => one?.kind === '{kind}')"
MICROPHONE, CAMERA = SENDS.format(kind="audio"), SENDS.format(kind="video")
SHARPNESS = """((video) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
    const pen = canvas.getContext('2d');
    pen.drawImage(video, 0, 0, 320, 180);
    const { data } = pen.getImageData(0, 0, 320, 180);
    let most = 0;
    for (let at = 4; at < data.length; at += 4) {
        if (at %% 1280) most = Math.max(most, Math.abs(data[at + 1] - data[at - 3]));
    }
    return most;
})(document.querySelector('%s'))"""


@pytest.fixture(scope="module")
def media_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of this file, and a relay."""
    relay = Coturn(tmp_path_factory.mktemp("coturn"))
    turn = f"[media.turn]\nurls = {relay.urls}\nsecret = '{SECRET}'\n"
    try:
        with running_media(tmp_path_factory.mktemp("chatd"), f"alice@{DOMAIN}", extra=turn) as made:
            yield made
    finally:
        relay.stop()


async def settings(page: Page) -> None:
    """Open the settings in the meeting."""
    await page.click("button[aria-label=More]")
    await page.click(".menu >> text=Settings")
    await page.see("dialog.settings h2")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_in_the_meeting(party: Party) -> None:
    """What is chosen in the settings is carried out without leaving; who has no device hears all the same."""
    room = party.meeting()
    ada = await party.guest(room, "Ada")
    bea = await party.open(room, media="none")
    await bea.see("text=No camera and no microphone were found.")
    await join(bea, "Bea")
    await inside(bea)
    await tile(bea, "Ada")
    before = await bea.eval(HEARD)
    await bea.until(f"({HEARD}).then((now) => now > {before} + 0.001)", 30)
    await bea.until(f"({WIDTHS}).then((all) => Math.max(0, ...all) > 320)", 60)
    await ada.see(".tile[data-nick=Bea] >> text=Microphone off")
    for kind in ("microphone", "camera"):
        await bea.click(f"button[aria-label='Turn {kind} on']")
        await bea.see(f".toast--bad:has-text('No {kind} was found.')")
    assert await bea.eval(f"!({MICROPHONE}) && !({CAMERA})"), "nothing is sent"

    await settings(ada)
    assert await ada.axe() == []
    await ada.until(f"{MICROPHONE}.getSettings().echoCancellation === true")
    await choose(ada, "Microphone", await ada.eval(option("Fake Audio Input 2")))
    await ada.until(f"{MICROPHONE}.getSettings().deviceId === {option('Fake Audio Input 2')}")
    await ada.click("label:has-text('Take out echo')")
    await ada.until(f"{MICROPHONE}.getSettings().echoCancellation === false")
    await ada.key("Escape")
    await ada.gone("dialog")
    before = await bea.eval(HEARD)
    await bea.until(f"({HEARD}).then((now) => now > {before} + 0.001)", 30)

    await settings(bea)
    assert await bea.axe() == []
    await choose(bea, "Pictures of the others", "low")
    await bea.until(f"({WIDTHS}).then((all) => Math.max(0, ...all) <= 320)", 30)
    await choose(bea, "Pictures of the others", "none")
    await bea.gone(".tile[data-nick=Ada] video")
    # What is on its way when the page no longer wants it still comes; and then nothing.
    count, later = DECODED, "new Promise((go) => setTimeout(go, 1500))"
    await bea.until(f"({count}).then((a) => {later}.then(() => ({count}).then((b) => b === a)))", 30)
    before = await bea.eval(HEARD)
    await bea.until(f"({HEARD}).then((now) => now > {before} + 0.001)", 30)
    await choose(bea, "Pictures of the others", "auto")
    await bea.until(f"({WIDTHS}).then((all) => Math.max(0, ...all) > 320)", 60)
    await bea.key("Escape")
    await sees(bea)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_blurred(party: Party) -> None:
    """Switched on at the door: the picture that is shown comes from the model, and has no sharp edges any more."""
    party.people.expect(r"^warning: (W\d{4} |\[\.WebGL)")  # MediaPipe's own log; WebGL is done in software here
    room = party.meeting()
    ada = await party.open(room)
    await ada.see(".mirror video")
    await ada.until(SHARPNESS % ".mirror video" + " > 60")
    await ada.click("text=Settings")
    await choose(ada, "Background", "strong")
    shown = "document.querySelector('.mirror video').srcObject?.getTracks()[0]"
    await ada.until(f"{shown} instanceof MediaStreamTrackGenerator", 60)
    await ada.until(SHARPNESS % ".mirror video" + " < 50", 30)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_blurred_in_the_meeting(party: Party) -> None:
    """Switched on and off among the others: what they receive has no sharp edges, and then it has again."""
    party.people.expect(r"^warning: (W\d{4} |\[\.WebGL)")
    room = party.meeting()
    bea = await party.guest(room, "Bea", media="none")
    ada = await party.guest(room, "Ada")
    await inside(ada)
    await tile(bea, "Ada")
    received = SHARPNESS % ".tile[data-nick=Ada] video"
    await bea.until(f"{received} > 60", 30)
    await settings(ada)
    await choose(ada, "Background", "strong")
    await ada.until(f"{CAMERA} instanceof MediaStreamTrackGenerator", 60)
    await bea.until(f"{received} < 50", 60)
    await choose(ada, "Background", "off")
    await bea.until(f"{received} > 60", 60)
    assert await ada.eval(f"!({CAMERA} instanceof MediaStreamTrackGenerator)")
    await ada.key("Escape")
    await sees(bea)


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_blurring_is_not_possible(party: Party) -> None:
    """A browser that cannot do it: the page says so, and the camera is not sent as it is."""
    ada = await party.open(party.meeting())
    await ada.see(".mirror video")
    await ada.eval("delete globalThis.VideoFrame")
    await ada.click("text=Settings")
    await choose(ada, "Background", "light")
    await ada.see(".mirror .problem:has-text('This browser cannot blur the background.')")
    await ada.gone(".mirror video")
    await ada.key("Escape")
    assert await ada.axe() == []
    await join(ada, "Ada")
    await inside(ada)
    await ada.see(".toast:has-text('your camera stays off')")
    assert await ada.eval(f"!({CAMERA})")
    await settings(ada)
    await choose(ada, "Background", "off")
    await ada.key("Escape")
    await ada.click("button[aria-label='Turn camera on']")
    await ada.see(".tile[data-nick=Ada] video")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_relay(party: Party) -> None:
    """With a relay the test says that it works."""
    page = await party.open(party.meeting())
    await page.see(".mirror video")
    await page.click("text=Test connection")
    await page.see("text=Works, should the other ways be blocked.", 30)
    assert await page.count(".check__row--good") == 6
    await page.see("text=Your connection is good for meetings.")
