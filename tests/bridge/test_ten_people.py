"""A meeting of ten: three real clients (two browsers, one SDK), and seven that replay pre-encoded 720p simulcast
(clients/replayers.py).
"""

from __future__ import annotations

import time

import pytest

from tests.bridge.clients.replayers import Replayers

CROWD = ["dan", "eve", "fay", "gus", "hal", "ida", "jon"]


@pytest.mark.long
def test_ten_people_for_two_minutes_without_a_freeze(people, bridge):
    crowd = Replayers(bridge, CROWD, people.room)
    try:
        watchers = {"ann", "ben", "cat"}
        ann, ben = (people.page(who, {"adaptiveStream": True, "dynacast": True}) for who in ("ann", "ben"))
        cat = people.sdk("cat")
        for one in (ann, ben, cat):
            one.publish("camera", width=320, height=180)
            one.publish("microphone")
        for who in CROWD:
            if who != "eve":
                cat.do("quality", sid=cat.state()["others"][who]["tracks"]["camera"]["sid"], quality=0)
        for page in (ann, ben):
            for who in (*CROWD, *watchers - {page.identity}):
                page.until_decoded(who + "/camera", 10, timeout_s=60)
        # One is looked at large, the others below; all stay in sight.
        ann.eval("document.querySelectorAll('video').forEach(v => { v.style.cssText = 'width:150px;height:84px'; })")
        ann.eval("Object.assign(tile('dan/camera').style, {width: '960px', height: '540px'})")
        ann.until_decoded("dan/camera", 10, width=1280, timeout_s=30)
        time.sleep(5)
        before = {page: page.incoming() for page in (ann, ben)}
        cat.do("forget_gaps")
        time.sleep(120)
        for page in (ann, ben):
            after = page.incoming()
            for who in (*CROWD, *watchers - {page.identity}):
                then, now = before[page][who + "/camera"], after[who + "/camera"]
                assert now["freezeCount"] == then["freezeCount"], (page.identity, who, then, now)
                frames = now["framesDecoded"] - then["framesDecoded"]
                assert frames > 120 * (20 if who in CROWD else 10), (who, then, now)
                assert now["packetsLost"] - then["packetsLost"] <= 5
                assert now["frameWidth"] == (1280 if (page, who) == (ann, "dan") else 320)
        seen = cat.frames()
        for who in (*CROWD, "ann", "ben"):
            assert seen[who + "/camera"]["gap_s"] < 0.5, (who, seen)
            assert seen[who + "/camera"]["frames"] > 120 * (20 if who in CROWD else 10)
            assert seen[who + "/camera"]["width"] == (1280 if who == "eve" else 320)
        health = bridge.health(lambda h: h["participants"] == 10)
        assert health["loop_lag_ms"] < 200
    finally:
        counted = crowd.leave()
    # Nine pictures and nine voices to each of seven.
    assert counted["received"] > 7 * 120 * 9 * (20 + 40)
