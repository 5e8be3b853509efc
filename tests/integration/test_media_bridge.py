"""The daemon with real bridge processes and real clients: meetings go through its web server, survive a bridge that
dies, and end with the daemon."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge.clients.line_process import Failed
from tests.bridge.clients.page import Chromium
from tests.bridge.clients.sdk import Sdk
from tests.daemon import DOMAIN
from tests.integration.slix import Client
from tests.media_daemon import MediaDaemon, is_running, running_media, until

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
SMALL = {"width": 320, "height": 180}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    with running_media(tmp_path_factory.mktemp("chatd"), ALICE, BOB, processes=2,
                       extra='[log]\nlevel = "debug"') as made:
        yield made


def metric(daemon: MediaDaemon, name: str) -> float:
    """The sum of a figure over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.ports['metrics']}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.partition(" ")[0].partition("{")[0] == name)


def rooms_on(daemon: MediaDaemon) -> list[int]:
    return [one["rooms"] for one in daemon.media()["processes"]]


def test_a_meeting_through_the_daemon(daemon: MediaDaemon) -> None:
    """Three participants, each sees the others; the figures tell of it, the log does not tell their tokens."""
    people = [Sdk(daemon, name, "three") for name in ("ann", "ben", "cat")]  # type: ignore[arg-type]
    for one in people:
        one.publish("camera", **SMALL)
    for one in people:
        for other in people:
            if one is not other:
                one.until_seen(f"{other.identity}/camera", 10)
    assert daemon.media()["connections"] == 3
    until(lambda: metric(daemon, "chatd_bridge_participants") == 3, "the health line tells of three")
    assert metric(daemon, "chatd_bridge_up") == 2 and metric(daemon, "chatd_tunnels") == 3
    until(lambda: metric(daemon, "chatd_bridge_packets_out_total") > 100, "packets are counted")
    assert sorted(rooms_on(daemon)) == [0, 1], "a room is in one process"
    for one in people:
        one.leave()
    until(lambda: daemon.media()["connections"] == 0, "the connections are gone")
    log = daemon.log.read_text()
    for one in people:
        token = one._join["token"]
        assert token not in log and token.split(".")[2] not in log
    for pid in [os.getpid(), *daemon.children()]:
        assert daemon.key.secret.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert daemon.key.secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert daemon.key.secret not in log


def test_two_processes_share_the_rooms(daemon: MediaDaemon) -> None:
    people = [Sdk(daemon, f"p{number}", f"room {number}") for number in range(6)]  # type: ignore[arg-type]
    until(lambda: sum(rooms_on(daemon)) >= 6, "the health lines tell of six rooms")
    assert all(rooms_on(daemon)), "with these six names both have some"
    one = Sdk(daemon, "guest", "room 3")  # type: ignore[arg-type]
    people[3].wait("participant_connected", "guest")
    for person in [one, *people]:
        person.leave()


@pytest.mark.parametrize(("token", "text"), [
    ("", "token"),
    ("a.b.c", "invalid token"),
    ("another key", "not signed by this server"),
    ("expired", "expired"),
])
def test_bad_tokens_are_refused_in_words(daemon: MediaDaemon, token: str, text: str) -> None:
    made = {
        "another key": lambda: daemon.token("eve")[:-6] + "AAAAAA",
        "expired": lambda: daemon.token("eve", ttl_s=-100),
    }.get(token, lambda: token)()
    eve = Sdk(daemon, "eve", token=made or "none", joins=False)  # type: ignore[arg-type]
    with pytest.raises(Failed, match=r"(?i)401|unauthorized|" + text):
        eve.join()
    eve.leave()


def test_a_reload_reaches_the_bridge(daemon: MediaDaemon) -> None:
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('level = "debug"', 'level = "warn"'))
    try:
        assert "log.level" in daemon.ctl("reload")["result"]["changed"]
        assert visit(daemon, "quiet") == []
    finally:
        daemon.config.write_text(text)
        daemon.ctl("reload")
    assert visit(daemon, "loud") != []


def visit(daemon: MediaDaemon, room: str) -> list[str]:
    """What the bridge logs while somebody comes and goes."""
    before = daemon.log.stat().st_size
    eve = Sdk(daemon, "eve", room)  # type: ignore[arg-type]
    eve.leave()
    until(lambda: daemon.media()["connections"] == 0, "she has gone")
    return [line for line in daemon.log.read_bytes()[before:].decode().splitlines() if " chatd.bridge" in line]


def test_a_killed_bridge(daemon: MediaDaemon) -> None:
    """kill -9: chat goes on, another process is there within a moment, clients come back by themselves."""
    asyncio.run(_killed(daemon))


async def _killed(daemon: MediaDaemon) -> None:
    people = [await asyncio.to_thread(Sdk, daemon, name, "killed") for name in ("ann", "ben", "cat")]
    for one in people:
        await asyncio.to_thread(one.publish, "camera", **SMALL)
    await asyncio.to_thread(people[0].until_seen, "cat/camera", 10)
    await asyncio.to_thread(until, lambda: len(daemon.children()) == 3, "the spare process is there")
    number = next(one["process"] for one in daemon.media()["processes"] if one["participants"])
    before = daemon.media()["processes"][number]
    async with Client(daemon, ALICE) as alice, Client(daemon, BOB) as bob:
        marks = [len(one.events) for one in people]
        os.kill(before["pid"], signal.SIGKILL)
        killed = time.monotonic()

        async def chat() -> float:
            """Messages all the while; gives the longest that one took."""
            longest = 0.0
            for count in range(20):
                sent = time.monotonic()
                alice.send_message(mto=bob.boundjid.bare, mbody=f"message {count}", mtype="chat")
                await bob.text(f"message {count}")
                longest = max(longest, time.monotonic() - sent)
            return longest

        talk = asyncio.ensure_future(chat())

        def replaced() -> bool:
            process = daemon.media()["processes"][number]
            return process["up"] and process["pid"] != before["pid"]

        await asyncio.to_thread(until, replaced, "another process serves", 10)
        up_s = time.monotonic() - killed
        for one, mark in zip(people, marks, strict=True):
            await asyncio.to_thread(one.wait, "reconnected", timeout_s=30, after=mark)
        for one in people:
            for other in people:
                if one is not other:
                    await asyncio.to_thread(one.until_seen, f"{other.identity}/camera", 3, 30)
        seen_s = time.monotonic() - killed
        longest = await talk
    print(f"\nanother process after {up_s:.2f} s, everybody seen again after {seen_s:.2f} s, chat {longest:.3f} s")
    assert longest < 5
    assert [one["restarts"] for one in daemon.media()["processes"]][number] == before["restarts"] + 1
    assert daemon.media()["processes"][1 - number]["restarts"] == 0, "the other one was left alone"
    for one in people:
        await asyncio.to_thread(one.leave)


@pytest.mark.long
def test_a_bridge_that_hangs(daemon: MediaDaemon) -> None:
    """Stopped, it gives no sign of life: after ten seconds it is killed and replaced."""
    number, before = 0, daemon.bridges()[0]
    os.kill(before["pid"], signal.SIGSTOP)
    until(lambda: daemon.media()["processes"][number]["restarts"] == before["restarts"] + 1, "it is given up")
    assert daemon.bridges()[number]["pid"] != before["pid"] and not is_running(before["pid"])
    assert "bridge 0 is killed: it gave no sign of life for 10 s" in daemon.log.read_text()


def test_nothing_is_left_after_sigterm(tmp_path: Path) -> None:
    with running_media(tmp_path, processes=2) as daemon:
        ann = Sdk(daemon, "ann")  # type: ignore[arg-type]
        until(lambda: len(daemon.children()) == 3, "two processes and the spare one")
        children = daemon.children()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        ann.wait("reconnecting")
        daemon.process.wait(20)
        assert not any(map(is_running, children))
        daemon.process = None
        ann.leave()


def test_bridges_end_with_a_killed_daemon(tmp_path: Path) -> None:
    """And a token made before is good for the daemon after."""
    with running_media(tmp_path, processes=2, media="spare = false") as daemon:
        token = daemon.token("ann")
        children = daemon.children()
        assert len(children) == 2
        daemon.kill()
        until(lambda: not any(map(is_running, children)), "they notice that the daemon is gone")
        daemon.start()
        daemon.bridges()
        ann = Sdk(daemon, "ann", token=token)  # type: ignore[arg-type]
        assert ann.state()["connection"] == 1
        ann.leave()


def test_settings_that_a_bridge_refuses(tmp_path: Path) -> None:
    """An address this machine does not have: chat serves, the reason is told in one line."""
    daemon = MediaDaemon(tmp_path, media="spare = false")
    daemon.config.write_text(re.sub(r"(?m)^address = .*$", 'address = "192.0.2.1"', daemon.config.read_text()))
    daemon.start()
    try:
        trouble = until(lambda: daemon.media()["processes"][0]["trouble"], "it is told")
        assert trouble.startswith("ended: cannot listen: ") and "Cannot assign requested address" in trouble
        lines = [line for line in daemon.log.read_text().splitlines() if "started again" in line]
        assert len(lines) <= 3 and "Traceback" not in daemon.log.read_text()
        daemon.add(ALICE)
    finally:
        daemon.stop()


def test_a_browser_through_the_daemons_tls(daemon: MediaDaemon) -> None:
    """livekit-client joins over wss, hears why it is refused, and pages of other origins are kept out."""
    chromium = Chromium("--ignore-certificate-errors")
    try:
        url = f"wss://localhost:{daemon.ports['https']}"
        ben = Sdk(daemon, "ben", "browser")  # type: ignore[arg-type]
        ben.publish("camera", **SMALL)
        ann = chromium.page(None, "ann", url=url, token=daemon.token("ann", "browser"))
        ann.publish("camera")
        ann.until_decoded("ben/camera", 20)
        ben.until_seen("ann/camera", 10)
        refused = {
            "expired": (url, daemon.token("eve", "browser", ttl_s=-100)),
            "invalid token": (url, "a.b.c"),
            "http.origins": (url.replace("localhost", "127.0.0.1"), daemon.token("eve", "browser")),
        }
        for text, (address, token) in refused.items():
            with pytest.raises(Failed, match=text):
                chromium.page(None, "eve", url=address, token=token)
        assert set(ben.state()["others"]) == {"ann"}
        ben.leave()
    finally:
        chromium.stop()
