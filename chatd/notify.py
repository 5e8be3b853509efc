"""Tells systemd how the daemon fares: sd_notify(3), by the datagram socket that NOTIFY_SOCKET names.

Without that variable every call does nothing. Nothing here raises: a start must not fail because nobody
listens.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send state, lines such as "READY=1"; returns whether it was sent.

    environ: where NOTIFY_SOCKET is looked up; a leading "@" in it means the abstract name space.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(1.0)
            sock.connect(address)
            sock.sendall(state.encode())
    except OSError:
        return False
    return True


def ready(text: str) -> bool:
    """Say that the daemon serves; also the end of a reload. text: what `systemctl status` shows."""
    return notify(f"READY=1\nSTATUS={text}")


def reloading(monotonic_us: int) -> bool:
    """Say that a reload has begun. monotonic_us: CLOCK_MONOTONIC now, in microseconds."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us}")


def stopping() -> bool:
    """Say that the daemon is on its way out."""
    return notify("STOPPING=1")
