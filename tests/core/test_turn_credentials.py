"""Addresses of STUN and TURN servers, and credentials as coturn checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from chatd.core.turn import IceServer, credentials


@pytest.mark.parametrize(("url", "server"), [
    ("stun:a.example", IceServer("stun", "a.example", 3478, "udp")),
    ("stuns:a.example", IceServer("stuns", "a.example", 5349, "tcp")),
    ("turn:a.example", IceServer("turn", "a.example", 3478, "udp")),
    ("turn:a.example:80?transport=tcp", IceServer("turn", "a.example", 80, "tcp")),
    ("turns:a.example", IceServer("turns", "a.example", 5349, "tcp")),
    ("turns:a.example:443?transport=udp", IceServer("turns", "a.example", 443, "udp")),
    ("turn:192.0.2.7:3478", IceServer("turn", "192.0.2.7", 3478, "udp")),
    ("turn:[2001:db8::7]:3479?transport=tcp", IceServer("turn", "2001:db8::7", 3479, "tcp")),
    ("turn:[2001:db8::7]", IceServer("turn", "2001:db8::7", 3478, "udp")),
])
def test_addresses(url: str, server: IceServer) -> None:
    assert IceServer.parse(url) == server
    assert server.is_relay is url.startswith("turn")


def test_credentials() -> None:
    found = credentials("swordfish", "alice@example.com", 1_800_000_000.7, 3600)
    assert found.username == "1800003600:alice@example.com" and found.expires == 1_800_003_600
    mac = hmac.new(b"swordfish", found.username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(found.password) == mac
    assert found.password not in repr(found)


def test_a_long_name_fits_into_a_username() -> None:
    """STUN has 513 bytes for it (RFC 5389 15.3)."""
    names = ["ä" * 1000 + "@example.com", "ö" * 1000 + "@example.com"]
    users = [credentials("s", name, 0, 60).username for name in names]
    assert all(len(user.encode()) < 513 for user in users) and len(set(users)) == 2
