"""What a receiver needs to show a first picture, packet by packet: everything from a keyframe's first packet on, in
numbers, times, payload types and header extensions that it can follow; and a keyframe asked for until it has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from chatd.bridge import incoming, rtcp, rtp
from chatd.bridge.codecchoice import own_codec
from chatd.bridge.forward import HIGH, LOW, Subscription
from chatd.bridge.incoming import KEYFRAME_INTERVAL_S
from chatd.bridge.subscriptions import Entry
from tests.bridge.stage import Quick, Stage

CODECS = ("vp8", "vp9", "h264", "av1")
# As a structure of three spatial layers is long: more than one-byte headers hold.
STRUCTURE = bytes.fromhex("80000180") + bytes(range(1, 40))
OWN_IDS = {rtp.ABS_SEND_TIME: 2, rtp.DEPENDENCY_DESCRIPTOR: 6, rtp.VIDEO_ORIENTATION: 4}


@pytest.fixture(params=[False, True], ids=["carefully", "quickly"])
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways out of the bridge: `Subscription.send`, and the hot path of `Layer._fan_out`."""
    if request.param:
        monkeypatch.setattr(incoming, "protect", Quick.sealed)
    return bool(request.param)


def whole(packets: list[rtp.Packet]) -> Iterator[list[rtp.Packet]]:
    """Pictures, each of which has to end with its marker."""
    found: list[rtp.Packet] = []
    for packet in packets:
        assert not found or packet.timestamp == found[0].timestamp, "a picture without its end"
        found.append(packet)
        if packet.marker:
            yield found
            found = []
    assert not found, "a picture without its end"


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_is_the_first_that_is_sent_and_all_of_it(codec: str, quick: bool) -> None:
    stage = Stage(codec=codec, is_quick=quick)
    stage.begin("", 1, 65_530, 0xFFFFF000)
    for _ in range(5):
        stage.picture()
    # The bridge misses the beginning of one: the rest of it is of no use to anybody.
    stage.picture(is_key=True, lose=(0,))
    stage.picture()
    assert not stage.viewer.sent
    stage.picture(is_key=True)
    for _ in range(30):
        stage.picture()
    pictures = list(whole(stage.viewer.sent))
    assert [[packet.payload[-1] for packet in picture] for picture in pictures] == [[0, 1, 2]] * 31
    assert set(stage.gaps()) == {1} and set(stage.steps()) == {0, 3600}
    assert {packet.payload_type for packet in stage.viewer.sent} == {100}
    assert {packet.ssrc for packet in stage.viewer.sent} == {stage.subscription.ssrc}
    assert stage.viewer.sent[0].sequence < 0x8000, "SRTP's rollover counter begins at 0 on both sides"


def test_an_h264_keyframe_is_sent_with_its_parameter_sets() -> None:
    stage = Stage(codec="h264")
    stage.begin("", 1, 1)
    # An IDR slice alone: no decoder can begin with it.
    layer = stage.publication.layers[0]
    layer.receive(rtp.Packet(96, True, 1, 0, 1, {}, b"\x65\x88\x84"), stage.port.time)
    assert not stage.viewer.sent and stage.subscription in layer.waiting
    stage.numbers[""] = (2, 3600)
    stage.picture(is_key=True)
    assert stage.viewer.sent[0].payload[0] == 0x78 and stage.viewer.sent[0].payload[3] & 31 == 7


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_whose_beginning_comes_late_is_asked_for_again(codec: str) -> None:
    """What follows it was not sent, so beginning with it would send a picture with a hole."""
    stage = Stage(codec=codec)
    stage.begin("", 1, 100)
    (lost,) = stage.picture(is_key=True, lose=(0,))
    stage.picture()
    stage.asked()
    stage.late(lost)
    assert not stage.viewer.sent
    stage.port.time += KEYFRAME_INTERVAL_S
    stage.look()
    assert stage.asked() == [1]
    stage.picture(is_key=True)
    assert len(list(whole(stage.viewer.sent))) == 1


def test_padding_before_and_inside_a_keyframe_leaves_no_hole(quick: bool) -> None:
    stage = Stage(is_quick=quick)
    stage.begin("", 1, 100)
    for _ in range(3):
        stage.padding()
    stage.picture(is_key=True)
    stage.padding()
    stage.picture()
    stage.padding()
    stage.padding()
    stage.picture()
    assert len(list(whole(stage.viewer.sent))) == 3 and set(stage.gaps()) == {1}


def test_a_change_of_layers_in_the_middle_of_a_picture_begins_with_the_new_one(quick: bool) -> None:
    stage = Stage("q", "f", is_quick=quick)
    stage.begin("q", 1, 100, 0x7FFFF000)
    stage.begin("f", 2, 40_000, 0xFFFFF000)
    stage.picture("q", is_key=True)
    stage.picture("f", is_key=True)
    assert stage.subscription.rank == 1
    stage.picture("f")
    stage.subscription.set_quality(LOW)
    before = len(stage.viewer.sent)
    (end,) = stage.picture("f", lose=(2,))
    stage.picture("q", is_key=True)
    assert stage.subscription.rank == 0
    stage.late(end, "f")
    stage.picture("q")
    after = stage.viewer.sent[before:]
    assert [packet.payload[-1] for packet in after] == [0, 1, 0, 1, 2, 0, 1, 2], "its end is of the other layer"
    assert [packet.marker for packet in after] == [False, False, False, False, True, False, False, True]
    assert set(stage.gaps()) == {1}
    assert all(0 <= step < 9000 for step in stage.steps()), stage.steps()


@pytest.mark.parametrize("timestamp", [0, 77, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF])
@pytest.mark.parametrize("way", ["layer", "pause", "pause and another ssrc", "pause and other numbers", "another ssrc"])
def test_timestamps_never_jump(way: str, timestamp: int, quick: bool) -> None:
    """A receiver takes what is older than what it has shown, or hours ahead, for something that it need not show."""
    stage = Stage("q", "f", is_quick=quick)
    stage.begin("q", 1, 100, 5_000_000)
    stage.picture("q", is_key=True)
    for _ in range(5):
        stage.picture("q")
    if way.startswith("pause"):
        stage.subscription.pause()
    stage.picture("q")
    if way == "layer":
        stage.begin("f", 2, 100, timestamp)
    elif way.endswith("another ssrc"):
        stage.begin("q", 3, 120, timestamp)
    elif way.endswith("other numbers"):
        stage.numbers["q"] = (50_000, timestamp)
    # A new stream's first packets may come while nobody looks.
    stage.picture("f" if way == "layer" else "q")
    stage.subscription.resume()
    stage.picture("f" if way == "layer" else "q", is_key=True)
    for _ in range(5):
        stage.picture("f" if way == "layer" else "q")
    # One picture of the first stream came while nobody looked, unless nobody paused.
    assert len(list(whole(stage.viewer.sent))) == 13 - way.startswith("pause")
    assert set(stage.gaps()) == {1}
    assert all(0 <= step < 90_000 for step in stage.steps()), stage.steps()


def test_nothing_of_before_a_restart_is_sent_again_for_what_came_after_it() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    stage.picture(is_key=True)
    stage.picture()
    asked = stage.viewer.sent[4].sequence
    stage.subscription.pause()
    stage.begin("", 2, 100, 9)
    for _ in range(4):
        stage.picture()
    stage.subscription.resume()
    stage.picture(is_key=True)
    stage.viewer.sent.clear()
    stage.viewer.line = SimpleNamespace(estimator=SimpleNamespace(  # type: ignore[attr-defined]
        available=lambda now: None, round_trip_s=0.05))
    stage.subscription.repeats.answer([asked], stage.port.time)
    assert not stage.viewer.sent, "that number is another packet's now"


@pytest.mark.parametrize("ids", [OWN_IDS, {rtp.ABS_SEND_TIME: 2}, {}], ids=["all", "some", "none"])
def test_a_receiver_gets_the_header_extensions_that_it_knows_and_no_others(ids: dict[str, int], quick: bool) -> None:
    stage = Stage(codec="av1", ids=ids, is_quick=quick)
    stage.passed_on = [(12, rtp.DEPENDENCY_DESCRIPTOR), (13, rtp.VIDEO_ORIENTATION)]
    stage.begin("", 1, 100)
    stage.picture(is_key=True, extensions={12: STRUCTURE, 13: b"\1", 9: b"of one hop"})
    first = stage.viewer.sent[0].extensions
    assert first.keys() == set(ids.values())
    if rtp.DEPENDENCY_DESCRIPTOR in ids:
        # Without the structure nothing that follows can be taken apart.
        assert first[6] == STRUCTURE and first[4] == b"\1"
    assert [packet.extensions.keys() for packet in stage.viewer.sent[1:]] == [
        {2} if rtp.ABS_SEND_TIME in ids else set()] * 2


def test_retransmissions_go_on_their_own_ssrc_with_their_own_payload_type_and_numbers() -> None:
    stage = Stage(rtx_payload_type=101, ssrc=7, rtx_ssrc=8)
    stage.viewer.line = SimpleNamespace(estimator=SimpleNamespace(  # type: ignore[attr-defined]
        available=lambda now: None, round_trip_s=0.05))
    stage.begin("", 1, 65_534)
    stage.picture(is_key=True)
    first = stage.viewer.sent[0]
    stage.subscription.repeats.answer([first.sequence], stage.port.time)
    again = stage.viewer.sent[-1]
    assert (again.ssrc, again.payload_type) == (8, 101)
    inner = rtp.unwrap_rtx(again, 100, 7)
    assert inner is not None
    assert (inner.sequence, inner.timestamp, inner.marker, inner.payload) == (
        first.sequence, first.timestamp, first.marker, first.payload)


# -- keyframes are asked for


def test_whoever_is_bound_gets_a_keyframe_asked_for_at_once_and_until_it_comes() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    stage.picture(is_key=True)
    for _ in range(20):
        stage.picture()
    stage.asked()
    late = Subscription(stage.publication, stage.viewer, 102)  # type: ignore[arg-type]
    assert stage.asked() == [1]
    for _ in range(10):
        stage.port.time += 3.2
        stage.picture()
        stage.look()
        assert stage.asked() == [1], "nobody else needs it, and it has not come"
    stage.viewer.sent.clear()
    stage.picture(is_key=True)
    assert len([packet for packet in stage.viewer.sent if packet.ssrc == late.ssrc]) == 3
    stage.port.time += 10
    stage.picture()
    stage.look()
    assert stage.asked() == []


def test_a_receiver_that_shows_nothing_is_heard_as_long_as_it_asks() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    stage.picture(is_key=True)
    stage.asked()
    asked = 0
    for _ in range(100):
        # Every 200 ms, as WebRTC does while it cannot decode; the publisher answers each time.
        for _ in range(5):
            stage.picture()
        stage.subscription.request_keyframe()
        stage.look()
        if stage.asked():
            asked += 1
            stage.picture(is_key=True)
    assert 8 <= asked <= 16, "in 20 s: at first often, then so seldom that the others' pictures stay good"


def test_whoever_asks_now_and_then_is_answered_at_once() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    stage.picture(is_key=True)
    for _ in range(20):
        stage.port.time += 5
        stage.picture()
        stage.asked()
        stage.subscription.request_keyframe()
        assert stage.asked() == [1]
        stage.picture(is_key=True)


def test_one_that_asks_too_often_does_not_keep_another_waiting() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    stage.picture(is_key=True)
    for _ in range(50):
        stage.subscription.request_keyframe()
        for _ in range(5):
            stage.picture()
        stage.look()
        if stage.asked():
            stage.picture(is_key=True)
    stage.port.time += KEYFRAME_INTERVAL_S
    Subscription(stage.publication, stage.viewer, 102)  # type: ignore[arg-type]
    assert stage.asked() == [1]


def held(stage: Stage) -> Entry:
    """A viewer of the older mode: it gets the track in an offer that it has not answered yet."""
    stage.subscription.close()
    info = SimpleNamespace(muted=False)
    track: Any = SimpleNamespace(kind="video", info=info)
    entry = Entry(track)
    encoding: Any = SimpleNamespace(publication=stage.publication)
    entry.bind(stage.viewer, "1", encoding, own_codec("video/VP8"), is_held=True)  # type: ignore[arg-type]
    return entry


def test_before_an_older_client_has_answered_nothing_is_sent_and_then_with_its_numbers() -> None:
    stage = Stage()
    stage.begin("", 1, 100)
    entry = held(stage)
    stage.picture(is_key=True)
    stage.picture()
    stage.asked()
    assert not stage.viewer.sent
    stage.port.time += KEYFRAME_INTERVAL_S
    entry.renumber(SimpleNamespace(payload_type=120, rtx=121))  # type: ignore[arg-type]
    assert stage.asked() == [1], "the keyframe of before was for others"
    stage.picture()
    assert not stage.viewer.sent
    stage.picture(is_key=True)
    assert {packet.payload_type for packet in stage.viewer.sent} == {120}


def test_an_answer_right_after_a_keyframe_gets_the_next_one_soon() -> None:
    stage = Stage()
    other = Subscription(stage.publication, stage.viewer, 102)  # type: ignore[arg-type]
    stage.begin("", 1, 100)
    entry = held(stage)
    stage.picture(is_key=True)
    assert other.layer is not None and stage.asked()
    entry.renumber(own_codec("video/VP8"))
    stage.look()
    waited = 0.0
    while not stage.asked():
        stage.picture()
        stage.look()
        waited += 0.04
        assert waited <= KEYFRAME_INTERVAL_S
    stage.picture(is_key=True)
    assert entry.media is not None and entry.media.layer is not None


def test_a_muted_track_that_is_shown_again_begins_with_a_keyframe() -> None:
    stage = Stage("q", "f")
    stage.begin("q", 1, 100)
    stage.begin("f", 2, 100)
    stage.picture("q", is_key=True)
    stage.picture("f", is_key=True)
    stage.subscription.pause()
    for _ in range(30):
        stage.picture("q")
        stage.picture("f")
    stage.viewer.sent.clear()
    stage.asked()
    stage.subscription.resume()
    assert stage.asked() == [2]
    stage.picture("f")
    assert not stage.viewer.sent
    stage.picture("f", is_key=True)
    assert len(list(whole(stage.viewer.sent))) == 1
    assert stage.subscription.wanted == HIGH


@pytest.mark.parametrize("item", [rtcp.pli, rtcp.fir])
def test_both_ways_to_ask_are_understood(item: Any) -> None:
    data = item(5, 77, 3) if item is rtcp.fir else item(5, 77)
    (found,), is_whole = rtcp.parse(data)
    assert is_whole and isinstance(found, rtcp.KeyframeRequest) and found.media == 77
