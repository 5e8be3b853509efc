"""Recordings of rooms in which things end, or are called something odd, at the wrong moment: without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from indoors import Place
from livekit.protocol import egress as E
from livekit.protocol import models as M

from chatd.bridge.egresses import Egresses
from chatd.bridge.egressjob import Job, Plan, Status
from chatd.bridge.forward import Publication


def recorded(folder: Path, place: Place, plan: Plan, meanwhile: Callable[[], object],
             then: Callable[[Job], object] = lambda job: None) -> E.EgressInfo:
    """Begin to record; `meanwhile`: while the disk is asked; `then`: when it records. Gives what became of it."""

    async def run() -> E.EgressInfo:
        egresses = Egresses(folder, place.rooms.limits, lambda: place.now)
        egresses.tracks.mkdir(parents=True)
        beginning = asyncio.create_task(egresses.begin(
            place.room, plan, "room_composite", E.RoomCompositeEgressRequest(room_name="room")))
        await asyncio.sleep(0)
        assert not beginning.done()
        meanwhile()
        job = await beginning
        then(job)
        async with asyncio.timeout(30):
            while not job.is_over:
                await asyncio.sleep(0.05)
        await egresses.close()
        return job.info

    return asyncio.run(run())


def published(place: Place, participant: Any, **more: Any) -> Any:
    track = place.publishes(participant, **more)
    track.encodings[0].publication = Publication("video", "vp8", 96, 97)
    return track


@pytest.mark.parametrize("what", ["room", "participant", "track"])
def test_what_ends_while_its_recording_begins_is_not_waited_for(tmp_path: Path, what: str) -> None:
    place = Place()
    alice, bob = place.joins("alice"), place.joins("bob")
    track = published(place, alice)
    published(place, bob)
    plan = Plan(str(tmp_path / "meeting.webm"), identity="alice" if what == "participant" else None,
                tracks=[track.sid] if what == "track" else None)
    ends = {"room": lambda: place.rooms.delete("room"), "track": lambda: alice.unpublish(track),
            "participant": lambda: place.room.remove(alice, M.DisconnectReason.CLIENT_INITIATED)}
    info = recorded(tmp_path, place, plan, ends[what])
    assert info.status == Status.EGRESS_FAILED and info.error == "nothing was recorded"
    assert not place.room.is_recording


def test_what_is_published_or_shown_while_a_recording_begins_is_recorded(tmp_path: Path) -> None:
    place = Place()
    alice, bob = place.joins("alice"), place.joins("bob")
    before, muted = published(place, alice), published(place, alice, cid="2", muted=True)
    late: list[Any] = []

    def meanwhile() -> None:
        late.append(published(place, bob))
        alice.set_muted(muted, False)

    def then(job: Job) -> None:
        late.append(published(place, bob, cid="2"))
        # As in life: the codec is known, and so the publication, when a track is announced.
        job._look()
        for track in (before, muted, *late):
            (feed,) = track.publication.subscriptions
            assert not feed.is_paused, track.sid
        job.stop("stopped")

    info = recorded(tmp_path, place, Plan(str(tmp_path / "meeting.webm")), meanwhile, then)
    assert info.error == "nothing was recorded" and len(late) == 2


def test_a_track_from_a_source_that_nobody_knows_ends_no_recording(tmp_path: Path) -> None:
    place = Place()
    alice = place.joins("alice")
    published(place, alice, source=99)
    seen: list[int] = []

    def then(job: Job) -> None:
        seen.append(job.info.status)
        job.stop("stopped")

    info = recorded(tmp_path, place, Plan(str(tmp_path / "meeting.webm")), lambda: None, then)
    assert seen and info.error == "nothing was recorded"
