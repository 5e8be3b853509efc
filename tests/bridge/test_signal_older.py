"""The older mode, two peer connections (/rtc): SDKs that know nothing else, together with those of the newer mode."""

from __future__ import annotations

from tests.bridge.clients.bridge_process import until

OLD = {"singlePeerConnection": False}


def test_older_clients_among_newer(people):
    ann, ben = people.page("ann", OLD), people.page("ben")
    cat, dan = people.sdk("cat", single=False), people.sdk("dan")
    assert ann.until("connections.length") >= 1
    ann.publish("camera")
    ann.publish("tone")
    ben.publish("camera")
    cat.publish("camera", width=320, height=180)
    cat.publish("microphone")
    dan.publish("microphone", frequency=800)
    for page, other in ((ann, "ben"), (ben, "ann")):
        page.until_smooth(other + "/camera", 15)
        page.until_smooth("cat/camera", 15, width=320)
        page.until_decoded("cat/microphone", 100)
        page.until_decoded("dan/microphone", 100)
    for one in (cat, dan):
        one.until_seen("ann/camera", 10, size=(640, 360))
        one.until_seen("ben/camera", 10)
        assert one.until_seen("ann/screen_share_audio", 50)["level"] > 0.05
    cat.until_seen("dan/microphone", 50)
    # Data both ways, reliable and lossy.
    until(lambda: len(cat.state()["others"]) == 3)
    for reliable in (True, False):
        text = f"older {reliable}"
        cat.do("data", text=text, reliable=reliable)
        ann.wait("DataReceived", text)
        ben.wait("DataReceived", text)
        dan.wait_for(lambda e, text=text: e["event"] == "data" and e["text"] == text)
        text = f"newer {reliable}"
        dan.do("data", text=text, reliable=reliable)
        ann.wait("DataReceived", text)
        cat.wait_for(lambda e, text=text: e["event"] == "data" and e["text"] == text)
    assert ann.warnings() == []


def test_layers_mute_and_sections_used_again(people):
    ann, ben, cat = people.page("ann", OLD), people.page("ben", OLD), people.sdk("cat", single=False)
    ann.publish("camera")
    cat.publish("microphone")
    ben.until_decoded("ann/camera", 5, width=640)
    for quality, width in (("LOW", 320), ("HIGH", 640)):
        ben.eval("publication('ann', 'camera').setVideoQuality(LK.VideoQuality[x])", quality)
        ben.until_decoded("ann/camera", 8, width=width)
    cat.until_seen("ann/camera", 5)
    # Chromium keeps the first track id of a section that is used again: the stream has to name the track.
    for _ in range(3):
        mark = ben.mark()
        ann.eval("room.localParticipant.unpublishTrack(publication('ann', 'camera').track)")
        ben.wait("TrackUnsubscribed", "ann", after=mark)
        new = ann.publish("camera")
        ben.wait("TrackSubscribed", new, after=mark)
        ben.until_decoded("ann/camera", 5)
        cat.until_seen("ann/camera", 5)
    ben.eval("publication('cat', 'microphone').setSubscribed(false)")
    ben.wait("TrackUnsubscribed", "cat")
    mark = ben.mark()
    ben.eval("publication('cat', 'microphone').setSubscribed(true)")
    ben.wait("TrackSubscribed", "cat", after=mark)
    ben.until_decoded("cat/microphone", 50)
    sections = ben.eval("connections.map(c => c.currentRemoteDescription?.sdp.match(/^m=/mg)?.length ?? 0)")
    assert max(sections) <= 3, sections
    assert [text for text in ben.warnings() if "could not find" in text] == []


def test_a_resume_restarts_ice_on_both_connections(people):
    wire = people.wire()
    ann, cat = people.page("ann", OLD, url=wire.url), people.sdk("cat", single=False, url=wire.url)
    ben = people.page("ben")
    ann.publish("camera")
    cat.publish("camera", width=320, height=180)
    ben.publish("camera")
    for who in ("ann", "cat"):
        ben.until_decoded(who + "/camera", 5)
    ann.until_decoded("cat/camera", 5)
    lost = {who: ben.incoming()[who + "/camera"]["packetsLost"] for who in ("ann", "cat")}
    mark, others = ann.mark(), ben.mark()
    ufrags = "connections.map(c => c.currentRemoteDescription.sdp.match(/ice-ufrag:(.*)/)[1])"
    before = ann.eval(ufrags)
    assert wire.cut() == 2
    ann.wait("Reconnected", after=mark)
    cat.wait("reconnected")
    ann.until(ufrags + ".every((one, n) => one !== x[n])", argument=before)
    for who in ("ann", "cat"):
        ben.until_decoded(who + "/camera", 10)
        assert ben.incoming()[who + "/camera"]["packetsLost"] == lost[who]
    ann.until_decoded("ben/camera", 10)
    cat.until_seen("ben/camera", 10)
    assert not [e for e in ben.events()[others:] if e["event"] in ("ParticipantDisconnected", "TrackUnsubscribed")]
    assert not [e for e in ann.events()[mark:] if e["event"] == "Reconnecting"]


def test_the_codecs(people):
    ann, ben = people.page("ann", {"dynacast": True, **OLD}), people.page("ben", OLD)
    cat = people.sdk("cat", single=False)
    for codec in ("vp9", "h264", "av1"):
        if not ann.eval("RTCRtpSender.getCapabilities('video').codecs.some(c => c.mimeType.toLowerCase() === x)",
                        "video/" + codec):
            continue
        ann.publish("camera", videoCodec=codec, backupCodec=False)
        assert ben.until_decoded("ann/camera", 8)["codec"].lower() == "video/" + codec
        cat.until_seen("ann/camera", 5)
        ann.eval("room.localParticipant.unpublishTrack(publication('ann', 'camera').track)")
        cat.until_still("ann/camera")
