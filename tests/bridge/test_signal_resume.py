"""Connections that break: the WebSocket is cut, the bridge forgets somebody or is killed, somebody joins twice."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.bridge.clients.bridge_process import BridgeProcess, until
from tests.bridge.conftest import People

COUNTERS = ("packetsLost", "pliCount", "ssrc")
LONGEST_FREEZE_S = 1.0      # what a busy computer does by itself stays below it; a media connection built anew does not
# With the way of the packets their order may change; more questions than these would be for packets thrown away.
MOST_NACKS = 10


def counted(page, key):
    found = page.incoming()[key]
    return {name: found[name] for name in COUNTERS}, found["totalFreezesDuration"]


def nacks(page, key):
    return page.incoming()[key]["nackCount"]


@pytest.mark.parametrize("how", ["reset", "silent"])
def test_a_cut_websocket_is_resumed_and_viewers_see_nothing_of_it(people, how):
    wire = people.wire()
    ann, cat, ben = people.page("ann", url=wire.url), people.sdk("cat", url=wire.url), people.page("ben")
    ann.publish("camera")
    cat.publish("camera", width=320, height=180)
    for who in ("ann", "cat"):
        ben.until_decoded(who + "/camera", 15)
    before = {who: counted(ben, who + "/camera") for who in ("ann", "cat")}
    asked = {who: nacks(ben, who + "/camera") for who in ("ann", "cat")}
    mark, others = ann.mark(), ben.mark()
    assert wire.cut(how) == 2
    ann.wait("Reconnected", after=mark)
    cat.wait("reconnected")
    assert not [e for e in ann.events()[mark:] if e["event"] in ("Disconnected", "Reconnecting")], "no full reconnect"
    for who in ("ann", "cat"):
        ben.until_decoded(who + "/camera", 15)
        (now, frozen_s), (then, frozen_before_s) = counted(ben, who + "/camera"), before[who]
        assert now == then and frozen_s - frozen_before_s < LONGEST_FREEZE_S
        assert nacks(ben, who + "/camera") - asked[who] <= MOST_NACKS
    assert not [e for e in ben.events()[others:] if e["event"] in ("ParticipantDisconnected", "TrackUnsubscribed")]
    # What is new after the cut reaches both, what they send arrives, and once only.
    ben.publish("camera")
    ann.until_decoded("ben/camera", 10)
    cat.until_seen("ben/camera", 10)
    cat.do("data", text="after the cut")
    assert ann.wait("DataReceived", "cat")["args"][1] == "after the cut"
    ann.eval("room.localParticipant.publishData(new TextEncoder().encode('me too'), {reliable: true})")
    assert ben.wait("DataReceived", "ann")["args"][1] == "me too"
    assert len(ben.events("DataReceived")) == 2


def test_ice_restarts_with_every_resume(people):
    wire = people.wire()
    ann = people.page("ann", url=wire.url)
    ann.publish("camera")
    ben = people.sdk("ben")
    for _ in range(2):
        ufrag = ann.eval("connections[0].currentRemoteDescription.sdp.match(/ice-ufrag:(.*)/)[1]")
        mark = ann.mark()
        wire.cut()
        ann.wait("Reconnected", after=mark)
        ann.until("connections[0].currentRemoteDescription.sdp.match(/ice-ufrag:(.*)/)[1] !== x", argument=ufrag)
        ben.until_seen("ann/camera", 10)


@pytest.fixture
def hasty(request):
    """A bridge that waits two seconds only for whoever lost its WebSocket."""
    process = BridgeProcess(limits={"resume_s": 2})
    everybody = People(process, "room", lambda: request.getfixturevalue("chromium"))
    yield everybody
    everybody.go()
    process.stop()


@pytest.mark.long
def test_who_comes_back_too_late_joins_anew_and_publishes_again(hasty):
    wire = hasty.wire()
    ann, cat, ben = hasty.page("ann", url=wire.url), hasty.sdk("cat", url=wire.url), hasty.page("ben")
    ann.publish("camera")
    cat.publish("camera", width=320, height=180)
    first = {who: ben.until("publication(x, 'camera')?.trackSid", argument=who) for who in ("ann", "cat")}
    mark, others = ann.mark(), ben.mark()
    wire.is_open = False
    wire.cut()
    for who in ("ann", "cat"):
        ben.wait("ParticipantDisconnected", who, after=others)
    wire.is_open = True
    # Unknown by now: both are told so (STATE_MISMATCH, RECONNECT), and do it by themselves.
    ann.wait("Reconnected", after=mark, timeout_s=40)
    assert ann.events("Reconnecting")
    cat.wait("reconnected", timeout_s=40)
    for who in ("ann", "cat"):
        ben.until_decoded(who + "/camera", 10)
        assert ben.eval("publication(x, 'camera').trackSid", who) != first[who]
    cat.until_seen("ann/camera", 10)
    ann.until_decoded("cat/camera", 10)


def test_who_vanishes_is_gone_when_its_time_is_over(hasty):
    ann, ben = hasty.sdk("ann"), hasty.sdk("ben")
    ben.publish("microphone")
    ann.until_seen("ben/microphone")
    started = time.monotonic()
    ben.kill()
    ann.wait("participant_disconnected", "ben")
    # Not before: a phone that changes its network is to come back.
    assert time.monotonic() - started > 1.5
    assert ann.state()["others"] == {}


def test_a_second_join_of_an_identity_ends_the_first(people):
    ben = people.sdk("ben")
    first = people.page("ann")
    first.publish("camera")
    ben.until_seen("ann/camera", 5)
    second = people.page("ann")
    assert first.wait("Disconnected")["args"] == [2], "DUPLICATE_IDENTITY"
    second.publish("camera")
    until(lambda: len(ben.state()["others"]) == 1)
    ben.until_seen("ann/camera", 10)
    # The old one does not come back, and its end does not touch the new one.
    assert second.eval("room.state") == "connected" and first.eval("room.state") == "disconnected"


def test_the_bridge_is_killed_and_another_one_starts(request):
    bridge = BridgeProcess()
    host, port = bridge.http
    people = People(bridge, "room", lambda: request.getfixturevalue("chromium"))
    ann, ben, cat = people.page("ann"), people.page("ben"), people.sdk("cat")
    for one in (ann, ben):
        one.publish("camera")
    cat.publish("camera", width=320, height=180)
    ann.until_decoded("ben/camera", 5)
    ann.until_decoded("cat/camera", 5)
    marks = [ann.mark(), ben.mark()]
    bridge.kill()
    again = BridgeProcess(http=[host, port])
    started = time.monotonic()
    for one, mark in zip((ann, ben), marks, strict=True):
        one.wait("Reconnected", after=mark)
    for one, who in ((ann, "ben"), (ben, "ann"), (ann, "cat"), (ben, "cat")):
        one.until_decoded(who + "/camera", 5)
    cat.until_seen("ann/camera", 5)
    assert time.monotonic() - started < 20
    people.go()
    assert again.stop() == 0
    assert not again.complaints()


def test_a_bridge_that_ends_sends_everybody_to_the_next(request):
    bridge = BridgeProcess()
    people = People(bridge, "room", lambda: request.getfixturevalue("chromium"))
    ann, cat = people.page("ann"), people.sdk("cat")
    mark = ann.mark()
    # Its parent goes: standard input ends.
    assert bridge.stop() == 0
    again = BridgeProcess(http=list(bridge.http))
    ann.wait("Reconnected", after=mark)
    cat.wait("reconnected")
    assert until(lambda: "cat" in ann.eval("[...room.remoteParticipants.keys()]"))
    people.go()
    again.stop()


@pytest.mark.long
def test_who_stops_dead_is_shown_as_lost_then_gone_and_comes_back(people):
    """As a laptop whose lid is closed: no packet, no close of anything. ICE consent (RFC 7675) ends it."""
    ann, ben, cat = people.page("ann"), people.sdk("ben"), people.sdk("cat")
    ben.publish("camera", width=320, height=180)
    cat.publish("microphone")
    ann.until_decoded("ben/camera", 10)
    mark = ann.mark()
    os.kill(ben.pid, signal.SIGSTOP)
    ann.wait("ConnectionQualityChanged", "lost", "ben", timeout_s=30, after=mark)
    ann.wait("ParticipantDisconnected", "ben", timeout_s=60, after=mark)
    ann.until_decoded("cat/microphone", 50)
    os.kill(ben.pid, signal.SIGCONT)
    ben.wait("reconnected", timeout_s=60)
    ann.until_decoded("ben/camera", 10, timeout_s=60)
    ben.until_seen("cat/microphone", 50)
