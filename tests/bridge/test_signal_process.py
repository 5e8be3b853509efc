"""The process: settings on standard input, the control pipe, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.bridge.clients.bridge_process import KEY, ROOT, SECRET, BridgeProcess, until
from tests.bridge.clients.sdk import Sdk

GOOD = {"keys": {KEY: SECRET}, "address": "127.0.0.1"}


def start(line: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "chatd.bridge"], input=line, cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("line", "said"), [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[]", "an object is expected"),
    ("{}", "keys are needed"),
    (json.dumps({**GOOD, "prot": 5, "limits": {"rooms": 0, "cats": 1}}), "unknown key 'prot'"),
    (json.dumps({**GOOD, "limits": {"rooms": 0}}), "limits: rooms: a whole number"),
    (json.dumps({**GOOD, "keys": {"a": "short"}}), "shorter than 32"),
    (json.dumps({**GOOD, "port": 70000}), "port: a whole number"),
    (json.dumps({**GOOD, "http": "127.0.0.1:80"}), "http: [host, port]"),
    (json.dumps({**GOOD, "webhooks": {"urls": [], "key": "none"}}), "'none' is none of the keys"),
    (json.dumps({**GOOD, "turn": {"urls": ["turn:x"]}}), "urls and secret are needed"),
    (json.dumps({**GOOD, "log_level": "loud"}), "log_level: one of"),
])
def test_settings_that_cannot_be_used(line: str, said: str) -> None:
    status, out, err = start(line + "\n")
    assert status == 2 and not out
    [record] = [json.loads(text) for text in err.splitlines()]
    assert record["level"] == "error" and said in record["text"]
    assert SECRET not in err


def test_all_mistakes_are_told_at_once() -> None:
    _, _, err = start(json.dumps({"prot": 5, "limits": {"cats": 1}, "log_level": "loud"}) + "\n")
    for said in ("'prot'", "'cats'", "log_level", "keys are needed"):
        assert said in err


def test_an_address_that_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        status, _, err = start(json.dumps({**GOOD, "port": taken.getsockname()[1]}) + "\n")
        assert status == 1 and "cannot listen" in err
    with socket.create_server(("127.0.0.1", 0)) as server:
        status, _, err = start(json.dumps({**GOOD, "http": ["127.0.0.1", server.getsockname()[1]]}) + "\n")
        assert status == 1 and "cannot listen" in err


def test_health_and_commands() -> None:
    bridge = BridgeProcess()
    health = bridge.health()
    assert set(health) >= {"rooms", "participants", "tracks", "connections", "loop_lag_ms", "packets_in", "packets_out",
                           "dropped"}
    bridge.process.stdin.write("nonsense\n[]\n{\"command\": \"dance\"}\n")
    bridge.tell(command="log_level", level="loud")
    until(lambda: sum(e["event"] == "refused" for e in bridge.events) == 4)
    bridge.tell(command="log_level", level="debug")
    ann = Sdk(bridge, "ann")
    bridge.health(lambda h: h["participants"] == 1 and h["rooms"] == 1 and h["connections"] == 1)
    # Nobody new is let in, who is in stays; the end is told when the last has gone.
    bridge.tell(command="drain")
    bridge.health()
    ben = Sdk(bridge, "ben", joins=False)
    with pytest.raises(AssertionError, match="503|no new participants"):
        ben.join()
    ann.publish("microphone")
    bridge.health(lambda h: h["tracks"] == 1)
    assert not [e for e in bridge.events if e["event"] == "drained"]
    ann.leave()
    bridge.wait_for(lambda e: e["event"] == "drained")
    ben.leave()
    bridge.tell(command="stop")
    assert bridge.process.wait(10) == 0
    assert any('"debug"' in line for line in bridge.log)
    # Nothing of a secret or a token in the log, at no level.
    assert not [line for line in bridge.log if SECRET in line or "eyJ" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_politely(number: int) -> None:
    bridge = BridgeProcess()
    ann = Sdk(bridge, "ann")
    os.kill(bridge.pid, number)
    assert bridge.process.wait(10) == 0
    ann.wait("reconnecting")
    ann.stop()
