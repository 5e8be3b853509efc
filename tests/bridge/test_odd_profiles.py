"""A publisher whose profile has no number in our own offers: viewers of the older mode are told, and go on."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import models as M
from livekit.protocol import rtc as R

from tests.bridge.clients.raw_signal import Raw, description, own_offer, publish, running, section


async def answered(raw: Raw) -> None:
    """The next offer of the bridge gets its answer."""
    offer = await raw.next("offer")
    text = offer.sdp.replace("actpass", "active")
    await raw.send(answer=R.SessionDescription(type="answer", sdp=text, id=offer.id))


@pytest.mark.parametrize("codec", [
    "H264/90000\na=fmtp:96 packetization-mode=1;profile-level-id=f4001f;x=", "VP9/90000\na=fmtp:96 profile-id=9;x=",
])
def test_a_viewer_in_the_older_mode_is_not_held_up(codec: str) -> None:
    async def scenario() -> None:
        async with running() as server:
            ben = await server.join("ben", single=False)
            await answered(ben)
            eve = await server.join("eve")
            await eve.send(add_track=R.AddTrackRequest(cid="c1", type=M.TrackType.VIDEO))
            track = (await eve.next("track_published")).track
            await eve.send(offer=description(own_offer(section("video", "sendonly", "c1", codec))))
            await eve.next("answer")
            refused = await ben.next("subscription_response")
            assert (refused.track_sid, refused.err) == (track.sid, M.SubscriptionError.SE_CODEC_UNSUPPORTED)
            await answered(ben)
            # Others' tracks still come.
            cat = await server.join("cat")
            sound = await publish(cat)
            await ben.next("offer", lambda offer: list(offer.mid_to_track_id.values()) == [sound.sid])

    asyncio.run(scenario())
