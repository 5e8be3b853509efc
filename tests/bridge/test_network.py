"""What networks do to people: slow lines, loss, blocked UDP, another address. One participant sits in a network
namespace of his own (places.py); the others, and the bridge, on this machine. All are unchanged clients.
"""

from __future__ import annotations

import time

import pytest

from tests.bridge.clients.bridge_process import BridgeProcess
from tests.bridge.clients.page import Chromium
from tests.bridge.peer import own_address
from tests.bridge.places import Place
from tests.coturn import SECRET, Coturn


@pytest.fixture(scope="module")
def bridge():
    process = BridgeProcess(http=[own_address(), 0])
    yield process
    assert process.stop() == 0, process.log[-20:]
    assert not [text for text in process.complaints() if not text.startswith("warning")], process.complaints()


@pytest.fixture
def away():
    place = Place()
    yield place
    place.close()


@pytest.fixture
def far(away):
    """A browser in that place."""
    browser = Chromium(prefix=away.prefix, address=own_address())
    yield browser
    browser.stop()


def flow(page, key, seconds):
    """What getStats counted of a track in these seconds."""
    before = page.incoming()[key]
    time.sleep(seconds)
    after = page.incoming()[key]
    return {name: after[name] - before[name] if isinstance(after[name], (int, float)) and name.endswith((
        "Count", "Decoded", "Received", "Lost", "Duration", "Samples")) else after[name] for name in after}


@pytest.mark.long
def test_a_slow_line_gets_a_smooth_picture_of_a_lower_layer_and_the_others_keep_hd(people, away, far, bridge):
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera", width=1280, height=720)
    ann.publish("microphone")
    away.limit(500)
    cat = far.page(bridge, "cat", room=people.room)
    ben.until_seen("ann/camera", 20, size=(1280, 720), timeout_s=40)
    cat.until_decoded("ann/camera", 20, timeout_s=40)
    # The estimate has to find what the line takes.
    cat.until("incoming().then(i => i['ann/camera'].frameWidth < 1280)", 40)
    time.sleep(10)
    seen = ben.frames()["ann/camera"]["frames"]
    slow = flow(cat, "ann/camera", 15)
    assert slow["frameWidth"] in (320, 640)
    assert slow["framesDecoded"] >= 15 * 12
    # A keyframe of the middle layer alone takes such a line a third of a second.
    assert slow["freezeCount"] <= 2 and slow["totalFreezesDuration"] < 1
    fast = ben.frames()["ann/camera"]
    assert (fast["width"], fast["height"]) == (1280, 720) and fast["frames"] - seen > 15 * 12
    sound = cat.until_decoded("ann/microphone", 200)
    assert sound["packetsLost"] <= 0.05 * sound["packetsReceived"]


@pytest.mark.long
def test_five_per_cent_of_loss_are_sent_again(people, away, far, bridge):
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera", width=1280, height=720)
    away.lose(5)
    cat = far.page(bridge, "cat", room=people.room)
    cat.publish("camera", width=640, height=360)
    cat.until_decoded("ann/camera", 20, timeout_s=40)
    ann.until_decoded("cat/camera", 20, timeout_s=40)
    there = flow(cat, "ann/camera", 12)
    assert there["retransmittedPacketsReceived"] > 10 and there["nackCount"] > 3
    assert there["framesDecoded"] >= 12 * 14 and there["totalFreezesDuration"] < 2
    back = ann.until_decoded("cat/camera", 150)
    assert back["totalFreezesDuration"] < 2
    ben.until_seen("cat/camera", 40)


def test_where_udp_is_blocked_media_go_by_tcp(people, away, far, bridge):
    away.block("udp")
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera", width=640, height=360)
    cat = far.page(bridge, "cat", room=people.room)
    cat.publish("camera", width=640, height=360)
    cat.publish("microphone")
    cat.until_smooth("ann/camera", 60, timeout_s=90)
    assert {path["remote"]["protocol"] for path in cat.paths()} == {"tcp"}
    assert {path["remote"]["port"] for path in cat.paths()} == {bridge.media[1]}
    ann.until_decoded("cat/camera", 40)
    ben.until_seen("cat/camera", 20)
    ann.until_decoded("cat/microphone", 200)


@pytest.mark.long
def test_another_address_costs_a_moment_and_nobody_leaves(people, away, far, bridge):
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera", width=640, height=360)
    cat = far.page(bridge, "cat", room=people.room)
    cat.publish("camera", width=640, height=360)
    sid = cat.eval("room.localParticipant.sid")
    cat.until_decoded("ann/camera", 20, timeout_s=40)
    ann.until_decoded("cat/camera", 20, timeout_s=40)
    began = ann.mark()
    away.move()
    cat.wait("Reconnected", timeout_s=40)
    cat.until_decoded("ann/camera", 40)
    ann.until_decoded("cat/camera", 40)
    ben.until_seen("cat/camera", 20)
    assert {path["state"] for path in cat.paths()} == {"connected"}
    # The same participant: the media connection went on (ICE restart), it was not built anew.
    assert cat.eval("room.localParticipant.sid") == sid
    assert not [e for e in ann.events()[began:] if e["event"] in ("ParticipantDisconnected", "TrackUnsubscribed")]


@pytest.mark.long
def test_the_sdk_survives_another_address_too(people, away, bridge):
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera", width=640, height=360)
    cat = people.sdk("cat", prefix=away.prefix)
    cat.publish("camera", width=320, height=180)
    cat.until_seen("ann/camera", 10)
    ben.until_seen("cat/camera", 10)
    sid = cat.state()["own"]["sid"]
    away.move()
    cat.wait("reconnected", timeout_s=60)
    cat.until_seen("ann/camera", 20)
    ben.until_seen("cat/camera", 20)
    ann.until_decoded("cat/camera", 20)
    assert cat.state()["own"]["sid"] == sid


@pytest.mark.long
def test_a_line_that_is_dead_for_ten_seconds_comes_back(people, away, far, bridge):
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera", width=640, height=360)
    cat = far.page(bridge, "cat", room=people.room)
    cat.publish("camera", width=640, height=360)
    cat.until_decoded("ann/camera", 20, timeout_s=40)
    ann.until_decoded("cat/camera", 20, timeout_s=40)
    away.unplug()
    time.sleep(10)
    away.plug()
    cat.until_decoded("ann/camera", 40, timeout_s=40)
    ann.until_decoded("cat/camera", 40, timeout_s=40)
    ben.until_seen("cat/camera", 20)


def test_where_nothing_but_the_turn_server_is_reached_media_go_through_it(people, away, far, tmp_path):
    coturn = Coturn(tmp_path)
    bridge = BridgeProcess(http=[own_address(), 0], turn={"urls": coturn.urls, "secret": SECRET, "ttl_s": 600})
    people.bridge = bridge
    try:
        away.block("udp")
        away.block("tcp", bridge.media[1])
        ann, ben = people.page("ann"), people.sdk("ben")
        ann.publish("camera", width=640, height=360)
        cat = far.page(bridge, "cat", room=people.room)
        cat.publish("camera", width=640, height=360)
        cat.until_smooth("ann/camera", 60, timeout_s=90)
        (path,) = cat.paths()
        assert (path["local"]["candidateType"], path["local"]["relayProtocol"]) == ("relay", "tcp")
        ann.until_decoded("cat/camera", 40)
        ben.until_seen("cat/camera", 20)
        assert coturn.allocations()
    finally:
        people.go()
        status = bridge.stop()
        coturn.stop()
    assert status == 0
