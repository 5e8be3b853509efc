"""Settings of a bridge process: one JSON object, given by the parent on standard input (secrets are never in argv).

`parse(line)` gives `Settings` or raises `SettingsError` with all that is wrong; unknown keys are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs


class SettingsError(Exception):
    """The line cannot be used; the text says why."""


@attrs.frozen
class Limits:
    """What a process, a room and a participant may use. All are whole numbers above 0.

    Those per second or minute and their bursts are of one participant (flood.py, data.py), but
    `all_data_bytes_per_second`. `data_bytes`: delivered to others, each time counted. `metadata_bytes` holds for
    metadata, and for all attributes together; `message_bytes` for one WebSocket message; `change_bytes_per_second` for
    what others are told of it; `resume_s`: how long a participant whose WebSocket is lost is kept. `recordings` run at
    a time, each up to `recording_s` and `recording_bytes`, while `recording_free_bytes` are left on the disk;
    `compositions` of all processes that share a folder of recordings run at a time.
    """

    rooms: int = 1000
    participants: int = 200
    connections: int = 5000
    tracks: int = 16
    subscriptions: int = 300
    messages_per_second: int = 100
    message_burst: int = 500
    message_bytes: int = 1 << 20
    message_bytes_per_second: int = 1 << 20
    message_burst_bytes: int = 16 << 20
    descriptions_per_second: int = 10
    description_burst: int = 100
    change_bytes_per_second: int = 128 << 10
    change_burst_bytes: int = 2 << 20
    joins_per_minute: int = 60
    join_burst: int = 30
    data_bytes_per_second: int = 4 << 20
    data_burst_bytes: int = 16 << 20
    all_data_bytes_per_second: int = 12 << 20
    data_messages_per_second: int = 500
    data_message_burst: int = 2000
    metadata_bytes: int = 65536
    resume_s: int = 20
    empty_timeout_s: int = 300
    departure_timeout_s: int = 20
    recordings: int = 20
    recording_s: int = 12 * 3600
    recording_bytes: int = 50 << 30
    recording_free_bytes: int = 1 << 30
    compositions: int = 1


@attrs.frozen
class Webhooks:
    """Where events are posted, and the API key that signs them."""

    urls: tuple[str, ...]
    key: str


@attrs.frozen
class Turn:
    """A TURN server with a shared secret (coturn's static-auth-secret); clients get credentials for `ttl_s`."""

    urls: tuple[str, ...]
    secret: str
    ttl_s: int = 86400


@attrs.frozen
class Settings:
    """`address`, `port` (0: any): where media arrives, by UDP and TCP; `announce`: addresses told to clients;
    `http`: host and port of signalling and API; `keys`: API key -> secret.
    """

    keys: dict[str, str]
    address: str = "0.0.0.0"
    port: int = 0
    announce: tuple[str, ...] = ()
    http: tuple[str, int] = ("127.0.0.1", 0)
    webhooks: Webhooks | None = None
    turn: Turn | None = None
    recordings: Path | None = None
    limits: Limits = Limits()
    log_level: str = "info"


LEVELS = ("debug", "info", "warning", "error")


class _Reader:
    """Takes values out of a JSON object and collects what is wrong."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def fields(self, value: Any, where: str, **kinds: Any) -> dict[str, Any]:
        """The object's known keys, each checked by a function that gives the value or raises ValueError."""
        if not isinstance(value, dict):
            self.mistakes.append("%s: an object is expected" % where)
            return {}
        found = {}
        for key, entry in value.items():
            if key not in kinds:
                self.mistakes.append("%s: unknown key %r" % (where, key))
                continue
            try:
                found[key] = kinds[key](entry)
            except ValueError as error:
                self.mistakes.append("%s: %s: %s" % (where, key, error))
        return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text is expected")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of texts is expected")
    return tuple(_text(entry) for entry in value)


def _whole(least: int, most: int) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError("a whole number from %d to %d is expected" % (least, most))
        return value

    return check


def _address(value: Any) -> tuple[str, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("[host, port] is expected")
    return _text(value[0]), _whole(0, 65535)(value[1])


def _keys(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise ValueError("at least one API key and its secret are expected")
    for key, secret in value.items():
        _text(key)
        if len(_text(secret)) < 32:
            # RFC 7518 3.2: a key for HS256 has at least 256 bits.
            raise ValueError("the secret of %s is shorter than 32 characters" % key)
    return dict(value)


def _level(value: Any) -> str:
    if value not in LEVELS:
        raise ValueError("one of %s is expected" % ", ".join(LEVELS))
    return str(value)


def parse(line: str | bytes) -> Settings:
    """Read the settings line; SettingsError names every mistake."""
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise SettingsError("not JSON: %s" % error) from None
    reader = _Reader()

    def limits(value: Any) -> Limits:
        number = _whole(1, 1 << 40)
        return Limits(**reader.fields(value, "limits", **{field.name: number for field in attrs.fields(Limits)}))

    def webhooks(value: Any) -> Webhooks | None:
        if value is None:
            return None
        found = reader.fields(value, "webhooks", urls=_texts, key=_text)
        if len(found) != 2:
            reader.mistakes.append("webhooks: urls and key are needed")
            return None
        return Webhooks(**found)

    def turn(value: Any) -> Turn | None:
        if value is None:
            return None
        found = reader.fields(value, "turn", urls=_texts, secret=_text, ttl_s=_whole(60, 10_000_000))
        if not {"urls", "secret"} <= set(found):
            reader.mistakes.append("turn: urls and secret are needed")
            return None
        return Turn(**found)

    found = reader.fields(
        raw, "settings", address=_text, port=_whole(0, 65535), announce=_texts, http=_address, keys=_keys,
        webhooks=webhooks, turn=turn, limits=limits, log_level=_level,
        recordings=lambda value: None if value is None else Path(_text(value)))
    if "keys" not in found:
        reader.mistakes.append("settings: keys are needed")
    hooks = found.get("webhooks")
    if hooks is not None and "keys" in found and hooks.key not in found["keys"]:
        reader.mistakes.append("webhooks: key %r is none of the keys" % hooks.key)
    if reader.mistakes:
        raise SettingsError("; ".join(reader.mistakes))
    return Settings(**found)
