"""Who gets which layer, and who is asked to send which: adaptive stream, qualities, dynacast, speakers, qualities of
connections, with unchanged clients.
"""

from __future__ import annotations

import pytest

from tests.bridge.clients.bridge_process import until


def video(page):
    """The layers that a page sends: rid -> outbound-rtp."""
    return {layer["rid"]: layer for layer in page.outgoing() if layer["kind"] == "video"}


@pytest.fixture
def hd(people):
    """A publisher of three layers."""
    ann = people.page("ann", {"dynacast": True})
    ann.publish("camera", width=1280, height=720, fps=10)
    return ann


@pytest.mark.long
def test_qualities_by_hand(people, hd):
    ben, cat = people.page("ben"), people.sdk("cat")
    ben.until_decoded("ann/camera", 5, width=1280)
    for quality, width in (("LOW", 320), ("HIGH", 1280), ("MEDIUM", 640), ("LOW", 320), ("MEDIUM", 640)):
        ben.eval("publication('ann', 'camera').setVideoQuality(LK.VideoQuality[x])", quality)
        ben.until_smooth("ann/camera", 10, width=width)
    # The other viewer has what it had, all the time.
    cat.until_seen("ann/camera", 5, size=(1280, 720))
    ben.eval("publication('ann', 'camera').setEnabled(false)")
    stopped = until(lambda: ben.incoming()["ann/camera"]["packetsReceived"])
    ben.eval("new Promise(done => setTimeout(done, 800))")
    still = ben.incoming()["ann/camera"]["packetsReceived"]
    ben.eval("new Promise(done => setTimeout(done, 500))")
    assert ben.incoming()["ann/camera"]["packetsReceived"] == still >= stopped
    ben.eval("publication('ann', 'camera').setEnabled(true)")
    ben.until_decoded("ann/camera", 10)
    ben.eval("publication('ann', 'camera').setSubscribed(false)")
    ben.wait("TrackUnsubscribed", "ann")
    mark = ben.mark()
    ben.eval("publication('ann', 'camera').setSubscribed(true)")
    ben.wait("TrackSubscribed", "ann", after=mark)
    ben.until_decoded("ann/camera", 10)
    sid = cat.state()["others"]["ann"]["tracks"]["camera"]["sid"]
    cat.do("quality", sid=sid, quality=0)
    cat.until_seen("ann/camera", 5, size=(320, 180))
    cat.do("subscribe", sid=sid, wanted=False)
    cat.wait("track_unsubscribed", sid)


def test_adaptive_stream_follows_the_size_of_the_tile(people, hd):
    ben, cat = people.page("ben", {"adaptiveStream": True}), people.page("cat")
    ben.until("tile('ann/camera')")
    for size, width in (("1280px", 1280), ("300px", 320), ("600px", 640)):
        ben.eval("tile('ann/camera').style.cssText = `width:${x};height:calc(${x} * 9 / 16)`", size)
        ben.until_smooth("ann/camera", 8, width=width)
    # Not to be seen: nothing is sent; seen again: at once a keyframe.
    ben.eval("tile('ann/camera').style.display = 'none'")
    counted = {"packetsReceived": -1}

    def still():
        before = counted["packetsReceived"]
        counted.update(ben.incoming()["ann/camera"])
        ben.eval("new Promise(done => setTimeout(done, 500))")
        return counted["packetsReceived"] == before

    until(still)
    ben.eval("tile('ann/camera').style.display = ''")
    assert ben.until_decoded("ann/camera", 8, width=640)["keyFramesDecoded"] >= 0
    assert cat.until_decoded("ann/camera", 5, width=1280)["packetsLost"] == 0


def test_dynacast_switches_layers_off_that_nobody_wants_and_on_at_once(people, hd):
    ben, cat = people.page("ben"), people.page("cat")
    for one in (ben, cat):
        one.until_decoded("ann/camera", 5, width=1280)
    assert all(layer["active"] for layer in video(hd).values())
    for one in (ben, cat):
        one.eval("publication('ann', 'camera').setVideoQuality(LK.VideoQuality.LOW)")
        one.until_decoded("ann/camera", 5, width=320)
    # After a while, so that a tile that is made large again costs no keyframe.
    hd.until("outgoing().then(all => all.filter(one => one.kind === 'video' && one.active).length === 1)")
    assert [rid for rid, layer in video(hd).items() if layer["active"]] == ["q"]
    ben.eval("publication('ann', 'camera').setVideoQuality(LK.VideoQuality.HIGH)")
    ben.until_decoded("ann/camera", 5, width=1280)
    assert all(layer["active"] for layer in video(hd).values())
    cat.until_decoded("ann/camera", 5, width=320)
    # Nobody at all.
    for one in (ben, cat):
        one.eval("publication('ann', 'camera').setSubscribed(false)")
    hd.until("outgoing().then(all => all.every(one => one.kind !== 'video' || !one.active))")
    dan = people.page("dan")
    dan.until_decoded("ann/camera", 5)


def test_who_speaks(people):
    ann, ben, cat = people.page("ann"), people.sdk("ben"), people.sdk("cat")
    cat.publish("microphone")
    ann.wait("ActiveSpeakersChanged", "cat")
    ben.wait_for(lambda e: e["event"] == "active_speakers_changed" and e["args"] == [["cat"]])
    level = ann.until("room.remoteParticipants.get('cat').audioLevel")
    assert 0.1 < level <= 1
    events = len(ben.events)
    cat.do("mute", source="microphone")
    ben.wait_for(lambda e: e["event"] == "active_speakers_changed" and e["args"] == [[]], after=events)
    ann.until("room.activeSpeakers.length === 0")
    # Somebody who comes while another speaks is told.
    cat.do("mute", source="microphone", muted=False)
    ann.until("room.activeSpeakers.length === 1")
    dan = people.page("dan")
    dan.until("room.activeSpeakers[0]?.identity === 'cat'")


def test_connection_quality_of_everybody(people):
    ann, ben, cat = people.page("ann"), people.page("ben"), people.sdk("cat")
    cat.publish("microphone")
    for one in (ann, ben):
        for who in ("ann", "ben", "cat"):
            one.until("""(x === room.localParticipant.identity ? room.localParticipant : room.remoteParticipants.get(x))
                .connectionQuality === 'excellent'""", argument=who)
