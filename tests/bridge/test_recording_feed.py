"""What a recording takes of a track that was there before it, packet by packet: everything from a keyframe on, which is
asked for at once, and no camera is missed because one of its layers gives none.
"""

from __future__ import annotations

import pytest

from chatd.bridge import rtp
from chatd.bridge.forward import HIGH, Publication
from chatd.bridge.incoming import KEYFRAME_INTERVAL_S
from chatd.bridge.recording.feed import Begin, Feed
from tests.bridge.stage import Stage


def watched(*rids: str, codec: str = "vp8") -> Stage:
    """Nobody but a recording to come wants the track; it flows."""
    stage = Stage(*rids, codec=codec)
    stage.subscription.close()
    for number, rid in enumerate(rids or ("",)):
        stage.begin(rid, number + 1, 65_530)
        stage.picture(rid, is_key=True)
        for _ in range(5):
            stage.picture(rid)
    stage.port.time += 1
    for rid in rids or ("",):
        stage.picture(rid)
    stage.asked()
    return stage


def parts(feed: Feed) -> list[int]:
    """The last byte of every packet, which is its place in its picture; a beginning is -1."""
    return [-1 if isinstance(item, Begin) else item.payload[-1] for item in feed.take()
            if isinstance(item, (Begin, rtp.Packet))]


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_a_track_that_flows_is_asked_for_a_keyframe_at_once_and_recorded_from_its_first_packet(codec: str) -> None:
    stage = watched(codec=codec)
    feed = Feed(stage.publication, stage.port.now())
    assert stage.asked() == [1]
    stage.picture()
    assert parts(feed) == []
    stage.picture(is_key=True)
    stage.picture()
    assert parts(feed) == [-1, 0, 1, 2, 0, 1, 2]


def test_right_after_a_keyframe_for_somebody_else_the_next_is_asked_for_soon_and_until_it_comes() -> None:
    stage = watched()
    stage.publication.layers[0].request_keyframe(stage.port.now())
    stage.picture(is_key=True)
    stage.asked()
    Feed(stage.publication, stage.port.now())
    for most_s in (KEYFRAME_INTERVAL_S, 1.0, 2.0, 3.2, 3.2, 3.2):
        began = stage.port.time
        while not stage.asked():
            stage.picture()
            stage.look()
        assert stage.port.time - began <= most_s


def test_what_is_published_later_is_recorded_from_its_very_first_packet() -> None:
    stage = Stage("q", "f")
    stage.subscription.close()
    feed = Feed(stage.publication, stage.port.now())
    stage.begin("q", 1, 7)
    stage.picture("q", is_key=True)
    assert parts(feed) == [-1, 0, 1, 2]
    stage.begin("f", 2, 9)
    stage.picture("f", is_key=True)
    assert parts(feed) == [-1, 0, 1, 2] and feed.layer is stage.publication.layers[1]


def test_a_smaller_layer_is_recorded_while_the_best_gives_no_keyframe() -> None:
    stage = watched("q", "h", "f")
    feed = Feed(stage.publication, stage.port.now())
    assert stage.asked() == [3]

    def flow(seconds: float, **keys: bool) -> None:
        end = stage.port.time + seconds
        while stage.port.time < end:
            for rid in "qhf":
                stage.picture(rid, is_key=keys.pop(rid, False))
            stage.look()

    flow(0.8)
    assert set(stage.asked()) == {3} and parts(feed) == []
    flow(0.8)
    assert set(stage.asked()) == {1, 2, 3}
    flow(0.1, h=True)
    assert feed.layer is not None and feed.layer.rank == 1 and parts(feed)[:4] == [-1, 0, 1, 2]
    flow(0.5, q=True)
    assert feed.layer.rank == 1, "not down again"
    flow(0.5, f=True)
    assert feed.layer.rank == 2
    assert not any(layer.waiting for layer in stage.publication.layers)


def test_after_a_loss_the_layer_that_is_recorded_is_asked_as_well_as_the_better_one_to_come() -> None:
    stage = watched("q", "f")
    stage.port.time += 2
    stage.picture("q")
    feed = Feed(stage.publication, stage.port.now())
    stage.picture("q", is_key=True)
    for _ in range(30):
        stage.picture("q")
        stage.picture("f")
        stage.look()
    assert feed.layer is not None and feed.awaited is not None
    stage.port.time += 5
    stage.asked()
    feed.request_keyframe(stage.port.now())
    assert sorted(stage.asked()) == [1, 2]


def test_layers_that_nobody_wanted_are_wanted_from_the_moment_a_recording_begins() -> None:
    publication = Publication("video", "vp8", 96)
    told: list[frozenset[int]] = []
    publication.on_wanted = lambda publication: told.append(publication.wanted_ranks())
    feed = Feed(publication, 0.0)
    assert told == [frozenset(range(HIGH + 1))]
    feed.pause()
    assert told[-1] == frozenset()
    feed.resume(1.0)
    assert told[-1] == frozenset(range(HIGH + 1))


def test_a_muted_track_that_is_shown_again_is_asked_for_a_keyframe_at_once() -> None:
    stage = watched()
    feed = Feed(stage.publication, stage.port.now())
    feed.pause()
    stage.picture(is_key=True)
    stage.picture()
    assert parts(feed) == []
    stage.port.time += 1
    stage.asked()
    feed.resume(stage.port.now())
    assert stage.asked() == [1]
    stage.picture()
    stage.picture(is_key=True)
    assert parts(feed) == [-1, 0, 1, 2]


@pytest.mark.parametrize("is_muted", [False, True])
def test_a_stream_that_begins_anew_goes_on_in_the_file(is_muted: bool) -> None:
    stage = watched()
    feed = Feed(stage.publication, stage.port.now())
    stage.picture(is_key=True)
    if is_muted:
        feed.pause()
    stage.begin("", 2, 9, 0x80000000)
    stage.picture()
    stage.look()
    feed.resume(stage.port.now())
    feed.take()
    stage.picture(is_key=True)
    begin, *rest = feed.take()
    assert isinstance(begin, Begin) and begin.ssrc == 2 and len(rest) == 3
