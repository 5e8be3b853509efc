"""Pictures that the bridge has paused, because the line has no room for them: tiles and screen readers say so."""

from __future__ import annotations

import base64

import pytest
import pytest_twisted
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from tests.bridge.peer import own_address
from tests.bridge.places import Place
from tests.browser.harness import Browser, Page
from tests.browser.party import Party, inside, join, sees, tile
from tests.browser.people import Person
from tests.browser.test_meeting_stage import box, says

pytestmark = pytest.mark.long  # real media in several browsers

SLOW = "Your connection is too slow for it at the moment."
# Keeps what the media server says, and lets a test say more in its name.
SIGNALS = """(() => {
    const Real = WebSocket;
    globalThis.__signals = [];
    globalThis.WebSocket = class extends Real {
        constructor(url, ...more) {
            super(url, ...more);
            if (!String(url).includes('/rtc')) return;
            const say = (data) => this.dispatchEvent(new MessageEvent('message', { data }));
            globalThis.__say = (text) => say(Uint8Array.fromBase64(text).buffer);
            this.addEventListener('message', ({ data }) => {
                if (data instanceof ArrayBuffer) __signals.push(new Uint8Array(data).toBase64());
            });
        }
    };
})()"""


async def tell(page: Page, video: tuple[str, str], state: R.StreamState) -> None:
    """What the bridge says of a video: the participant's and the track's SID."""
    info = R.StreamStateInfo(participant_sid=video[0], track_sid=video[1], state=state)
    said = R.SignalResponse(stream_state_update=R.StreamStateUpdate(stream_states=[info]))
    data = base64.b64encode(said.SerializeToString()).decode()
    await page.eval(f"__say('{data}')")


async def videos_of(page: Page) -> set[tuple[str, str]]:
    """The videos of all others."""
    said = [R.SignalResponse.FromString(base64.b64decode(one)) for one in await page.eval("__signals")]
    own = next(one.join.participant.sid for one in said if one.HasField("join"))
    everybody = [person for one in said for person in (*one.join.other_participants, *one.update.participants)]
    return {(person.sid, track.sid) for person in everybody for track in person.tracks
            if person.sid != own and track.type == M.TrackType.VIDEO}


async def paused(page: Page, name: str, *, is_large: bool = True) -> None:
    """Wait until the tile says why there is no picture; a large one in full."""
    words = f".tile[data-nick='{name}'] .paused__words"
    await page.see(words, 60)
    assert SLOW in await page.eval(f"document.querySelector({words!r}).textContent")
    why = await box(page, f"{words} .paused__why")
    assert (why["width"] > 100) is is_large


@pytest_twisted.ensureDeferred
async def test_told(party: Party) -> None:
    """On a large tile in a sentence, on a small one by a sign; the picture below is kept, and is back at once."""
    room = party.meeting()
    await party.guest(room, "Bea", width=400, height=300)
    page = await party.open(room)
    await page.see("form.card")
    await page.eval(SIGNALS)
    await join(page, "Ada")
    await inside(page)
    await tile(page, "Bea")
    [video] = await videos_of(page)
    await tell(page, video, R.StreamState.PAUSED)
    await paused(page, "Bea")
    await says(page, "Paused, because your connection is slow: Bea.")
    assert await page.count(".tile[data-nick=Bea] video") == 1, "what is not shown is not wanted: it would not return"
    assert await page.axe() == []
    await page.call("setViewportSize", {"width": 390, "height": 844})
    await paused(page, "Bea")
    await page.call("setViewportSize", {"width": 200, "height": 320})
    await paused(page, "Bea", is_large=False)
    await page.call("setViewportSize", {"width": 1280, "height": 800})
    await tell(page, video, R.StreamState.ACTIVE)
    await page.gone(".paused")
    await says(page, "All pictures are shown again.")


@pytest_twisted.ensureDeferred
async def test_a_narrow_line(away: Place, far: Browser, party: Party) -> None:
    """Hardly room for the sound: she is told that it is her line; the others are not. With more line it is back."""
    party.people.expect(".")
    room = party.meeting()
    line = party.people.link(own_address())
    ada = await far.page(f"https://{line.host}:{line.port}/meet/{room.partition('@')[0]}", media="granted", https=True)
    party.people.persons.append(Person(ada, ""))
    await join(ada, "Ada")
    await inside(ada)
    bea, alice = await party.guest(room, "Bea"), await party.alice(room)
    for page, name in ((ada, "Bea"), (ada, "Alice"), (alice, "Bea"), (bea, "Alice")):
        await tile(page, name)
    away.limit(80)
    await ada.see(".paused__words", 90)
    assert SLOW in await ada.eval("document.querySelector('.paused__words').textContent")
    assert await alice.count(".paused") == 0
    away.limit(20_000)
    await ada.gone(".paused", 90)
    await sees(ada)
