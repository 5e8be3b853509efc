"""`chatctl room ...` as a person types it, against a real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.ctl.output import text_of
from tests.daemon import DOMAIN, Daemon, running

ROOT = Path(__file__).resolve().parents[2]
ALICE = f"alice@{DOMAIN}"
ROOM = f"attic@conference.{DOMAIN}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("rooms"), ALICE) as daemon:
        yield daemon


def chatctl(daemon: Daemon, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chatd.ctl", "--config", str(daemon.config), *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_a_room_from_its_making_to_its_end(daemon: Daemon) -> None:
    assert chatctl(daemon, "room", "list").stdout == "There are none.\n"
    made = chatctl(daemon, "room", "create", ROOM, ALICE, "roomname=The attic", "membersonly=true", "roomsecret=-",
                   stdin="sesame\n")
    assert (made.returncode, made.stdout) == (0, f"{ROOM} is ready; its owner is {ALICE}.\n")
    listed = chatctl(daemon, "room", "list", DOMAIN).stdout
    assert listed.splitlines()[0].split() == ["ROOM", "OCCUPANTS", "KIND", "NAME"]
    assert listed.splitlines()[1].split() == [ROOM, "0", "members", "only", "The", "attic"]
    settings = chatctl(daemon, "--json", "room", "config", ROOM, "maxhistoryfetch=5")
    result = json.loads(settings.stdout)["result"]
    assert (result["maxhistoryfetch"], result["roomsecret"], result["membersonly"]) == (5, "set", True)
    assert "sesame" not in daemon.log.read_text() + listed + settings.stdout
    changed = chatctl(daemon, "room", "affiliation", ROOM, f"bob@{DOMAIN}", "member", "--reason", "a friend")
    assert changed.stdout == f"bob@{DOMAIN} is member in {ROOM}.\n"
    assert "a friend" in chatctl(daemon, "room", "affiliation", ROOM).stdout
    shown = chatctl(daemon, "room", "show", ROOM).stdout
    assert ALICE in shown and "members" in shown
    assert chatctl(daemon, "room", "occupants", ROOM).stdout == "There are none.\n"
    assert chatctl(daemon, "room", "destroy", ROOM).returncode == 2
    gone = chatctl(daemon, "room", "destroy", ROOM, "--yes", "--reason", "dust")
    assert (gone.returncode, gone.stdout) == (0, f"{ROOM} is gone; occupants put out: 0.\n")
    again = chatctl(daemon, "room", "show", ROOM)
    assert (again.returncode, again.stderr) == (1, f"chatctl: There is no room {ROOM}.\n")


def test_wrong_use(daemon: Daemon) -> None:
    for words in (["room"], ["room", "show"], ["room", "create", ROOM, ALICE, "membersonly"],
                  ["room", "create", ROOM, ALICE, "=true"]):
        assert chatctl(daemon, *words).returncode == 2, words
    assert chatctl(daemon, "room", "create", ROOM, ALICE, "colour=red").returncode == 1
    assert chatctl(daemon, "room", "kick", ROOM, "bob").returncode == 1


def test_what_strangers_wrote_does_nothing_to_a_terminal() -> None:
    rows = [{"room": ROOM, "occupants": 2, "kind": [], "name": "\x9b2J\x1b]0;gone\x07 \u202ecave\n"}]
    shown = text_of("room list", rows)
    assert shown.count("\n") == 2 and all(letter.isprintable() or letter == "\n" for letter in shown)
    assert "2J" in shown and "cave" in shown
