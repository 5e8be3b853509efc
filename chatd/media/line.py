"""The settings line of a bridge process, from the daemon's settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatd.settings import Media, Turn

__all__ = ["bridge_level", "settings_line"]


def bridge_level(level: str) -> str:
    """Return what a level of [log] is called by the bridge."""
    return {"warn": "warning"}.get(level, level)


def settings_line(
    number: int, media: Media, turn: Turn, key: str, secret: str, *,
    announce: Sequence[str], recordings: Path, webhook: str, log_level: str,
) -> bytes:
    """Return the line for process `number`.

    key, secret: the API key it shares with the daemon. announce: addresses told to clients. webhook: where events are
    posted. log_level: the daemon's.
    """
    relays = [url for url in turn.urls if url.startswith("turn")]
    line: dict[str, Any] = {
        "address": media.address,
        "port": media.port + number if media.port else 0,
        "announce": list(announce),
        "http": ["127.0.0.1", 0],
        "keys": {key: secret},
        "webhooks": {"urls": [webhook], "key": key},
        "turn": {"urls": relays, "secret": turn.secret, "ttl_s": turn.ttl_s} if relays else None,
        "recordings": str(recordings),
        "limits": {"participants": media.room_participants, "connections": media.process_participants},
        "log_level": bridge_level(log_level),
    }
    return json.dumps(line).encode("ascii")
