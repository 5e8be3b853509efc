"""A meeting is recorded by the real bridge: everybody sees it, the link appears, and what it opens plays."""

from __future__ import annotations

import io
import time
import urllib.parse
from collections.abc import Iterator

import av
import pytest

from tests.daemon import DOMAIN
from tests.integration.test_meet_media_live import SMALL, Attendee
from tests.integration.visitors import MEET, Visitor, fetch, host, make, page, ticket
from tests.media_daemon import MediaDaemon, running_media
from tests.raw import CLIENT

JOHN = f"john@{DOMAIN}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One that records."""
    with running_media(tmp_path_factory.mktemp("chatd"), JOHN, extra="[modules.meet]\nrecording = true") as made:
        yield made


def test_record_link_play(daemon: MediaDaemon) -> None:
    """Start, see it, stop, wait for the link, fetch it, play it; nobody else fetches it."""
    with host(daemon) as owner:
        room = make(owner, "Weekly review")
        john_visitor = page(daemon, owner, room, "John")
        ada_visitor = Visitor(daemon, timeout_s=60).come()
        assert ada_visitor.enter(room, "Ada") == ""
        john, ada = Attendee(daemon, john_visitor, room), Attendee(daemon, ada_visitor, room)
        for one in (john, ada):
            one.media.publish("microphone")
            one.media.publish("camera", **SMALL)
        john.media.until_seen(f"{ada.identity}/camera", 5)
        assert ada_visitor.command(room, "record on='true'/>") == "forbidden"
        assert john_visitor.command(room, "record on='true'/>") == ""
        ada_visitor.until_told("meeting", recording="on")
        began = time.monotonic()
        assert fetch(daemon, f"/api/v1/meetings/{room.partition('@')[0]}")[2]["recording"] == "on"
        with Visitor(daemon) as late:
            assert late.come().enter(room, "Late") == ""
            assert any(one.find(f"{MEET}meeting[@recording='on']") is not None for one in late.seen)
        john.media.until_seen(f"{ada.identity}/camera", 30)
        assert john_visitor.command(room, "record on='false'/>") == ""
        lasted = time.monotonic() - began
        ada_visitor.until_told("meeting", recording="off")
        while True:
            said = ada_visitor.until("message")
            recorded = said.find(MEET + "recorded")
            if recorded is not None:
                break
        link = recorded.attrib["url"]
        assert link in (said.findtext(CLIENT + "body") or "") and said.attrib["from"] == room
        path = urllib.parse.urlsplit(link).path
        assert fetch(daemon, path)[0] == 404, "the link alone opens nothing"
        answer = ada_visitor.ask("get", "<recordings xmlns='urn:chatd:meet:0'/>", room)
        assert answer.find(f"{CLIENT}error/*") is not None
        [entry] = john_visitor.learn(room, "recordings")
        assert entry.attrib["state"] == "ready" and entry.attrib["url"].startswith(link)
        parts = urllib.parse.urlsplit(entry.attrib["url"])
        address = f"{parts.path}?{parts.query}"
        status, headers, data = fetch(daemon, address)
        assert status == 200 and headers["content-type"] == "video/webm" and len(data) == int(entry.attrib["bytes"])
        assert fetch(daemon, address, headers={"Range": "bytes=100-199"})[2] == data[100:200]
        assert fetch(daemon, address[:-2])[0] == 404
        _plays(data, lasted)
        assert john_visitor.command(room, f"forget id='{entry.attrib['id']}'/>") == ""
        assert fetch(daemon, address)[0] == 404 and not list((daemon.folder / "state" / "recordings").rglob("*.webm"))
        for one in (john, ada):
            one.close()


@pytest.mark.long
def test_what_was_recorded_survives_a_kill(daemon: MediaDaemon) -> None:
    """kill -9 of the daemon while it runs: what there is becomes a file, and the link appears in the chat."""
    owner = host(daemon)
    room = make(owner)
    paper = ticket(owner)
    john = Attendee(daemon, page(daemon, owner, room, "John"), room)
    john.media.publish("microphone")
    john.media.publish("camera", **SMALL)
    ada_visitor = Visitor(daemon).come()
    assert ada_visitor.enter(room, "Ada") == ""
    ada = Attendee(daemon, ada_visitor, room)
    assert john.visitor.command(room, "record on='true'/>") == ""
    john.visitor.until_told("meeting", recording="on")
    ada.media.until_seen(f"{john.identity}/camera", 60)
    daemon.kill()
    for one in (john, ada):
        one.close()
    daemon.start()
    daemon.bridges()
    with Visitor(daemon, timeout_s=90).come(paper) as visitor:
        assert visitor.enter(room, "John") == ""
        end = time.monotonic() + 60
        while all(one.find(MEET + "recorded") is None for one in visitor.seen):
            assert time.monotonic() < end, "no word of the recording"
            visitor.read()
        [entry] = visitor.learn(room, "recordings")
        parts = urllib.parse.urlsplit(entry.attrib["url"])
        status, _, data = fetch(daemon, f"{parts.path}?{parts.query}")
        assert status == 200
        with av.open(io.BytesIO(data)) as file:
            assert len(list(file.decode(video=0))) > 5


def _plays(data: bytes, lasted: float) -> None:
    """Picture and sound from beginning to end."""
    with av.open(io.BytesIO(data)) as file:
        assert {stream.type for stream in file.streams} == {"video", "audio"}
        pictures = [frame.time for frame in file.decode(video=0)]
    assert pictures == sorted(pictures) and len(pictures) > 10
    # It begins when the first packets come, and ends when the last have come.
    assert 0.3 * lasted < pictures[-1] - pictures[0] < lasted + 5
