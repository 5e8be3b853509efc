"""A call between unchanged clients: livekit-client in Chromium and the Python SDK, through `python -m chatd.bridge`."""

from __future__ import annotations

import pytest

from tests.bridge.clients.bridge_process import until


@pytest.mark.long       # what is proved of SDKs here, other tests need as well
def test_three_sdk_participants_hear_and_see_each_other(people):
    everybody = [people.sdk(name) for name in ("ann", "ben", "cat")]
    for one in everybody:
        one.publish("camera", width=320, height=180)
        one.publish("microphone")
    for one in everybody:
        for other in everybody:
            if one is not other:
                one.until_seen(other.identity + "/camera", 20)
                assert one.until_seen(other.identity + "/microphone", 100)["level"] > 0.1
        one.until_smooth(other.identity + "/camera" for other in everybody if other is not one)
    tracks = everybody[0].state()["others"]["ben"]["tracks"]
    assert tracks["camera"]["mime_type"] == "video/VP8" and tracks["microphone"]["mime_type"] == "audio/opus"


def test_two_browsers_and_an_sdk_participant(people):
    cat = people.sdk("cat")
    cat.publish("camera", width=640, height=360)
    cat.publish("microphone")
    pages = [people.page("ann"), people.page("ben")]
    pages[0].publish("camera", width=1280, height=720)
    pages[1].publish("camera")
    for page in pages:
        page.publish("microphone")
    for page in pages:
        for who in {"ann", "ben", "cat"} - {page.identity}:
            width = 1280 if who == "ann" else 640
            page.until_smooth(who + "/camera", 40, width=width)

            def is_heard(page=page, key=who + "/microphone"):
                sound = page.until_decoded(key, 300)
                # Silence is not sent (DTX) and made up by the receiver; that is no fault.
                made_up = sound["concealedSamples"] - sound["silentConcealedSamples"]
                return made_up < 0.2 * sound["totalSamplesReceived"]

            until(is_heard, 60)
        assert page.warnings() == []
    for who, size in (("ann", (1280, 720)), ("ben", (640, 360))):
        cat.until_seen(who + "/camera", 20, size=size)
        cat.until_seen(who + "/microphone", 100)
    # Simulcast: three layers are sent, one is received.
    layers = {layer["rid"] for layer in pages[0].outgoing() if layer["kind"] == "video"}
    assert layers == {"q", "h", "f"}
