"""A real chatd with bridge processes, for tests with real media clients.

Media are bound to this machine's own address, because clients ignore 127.0.0.1; all else is on loopback.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chatd.core.media import Grants
from chatd.meet.engine.tokens import AccessKey
from tests.bridge.peer import own_address
from tests.daemon import Daemon

PATIENCE_S = 60.0


class MediaDaemon(Daemon):
    """A daemon with `processes` bridge processes. media: more lines for [media], extra: more tables,
    domain_extra: as Daemon's."""

    def __init__(self, folder: Path, *, processes: int = 1, media: str = "", extra: str = "",
                 domain_extra: str = "") -> None:
        super().__init__(
            folder, f'[media]\naddress = "{own_address()}"\nport = 0\nprocesses = {processes}\n{media}\n{extra}\n',
            domain_extra=domain_extra)

    @property
    def url(self) -> str:
        """Where LiveKit's clients connect."""
        return f"ws://127.0.0.1:{self.ports['http']}"

    @property
    def key(self) -> AccessKey:
        """The API key of its bridge, from the secret of the site."""
        secret = (self.folder / "state" / "secret").read_bytes()
        return AccessKey("chatd-bridge", hmac.new(secret, b"media bridge", hashlib.sha256).hexdigest())

    def token(self, identity: str, room: str = "room", ttl_s: float = 600, **grants: Any) -> str:
        """A token to join a room with; grants: of chatd.core.media.Grants."""
        return self.key.access_token(identity, room, Grants(**grants), time.time(), ttl_s, name=identity.title())

    def media(self) -> dict[str, Any]:
        """What it says of its media engine."""
        return dict(self.ctl("status")["result"]["media"])

    def bridges(self) -> list[dict[str, Any]]:
        """Its bridge processes, when all serve."""
        return until(lambda: all(one["up"] for one in self.media()["processes"]) and self.media()["processes"],
                     "the bridge processes serve")

    def children(self) -> list[int]:
        """Its child processes: bridges and the spare one."""
        assert self.process is not None
        pid = self.process.pid
        found = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
        return found


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true, and give it."""
    deadline = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came to that: {what}")
        time.sleep(0.02)


@contextmanager
def running_media(folder: Path, *accounts: str, **options: Any) -> Iterator[MediaDaemon]:
    """A daemon whose bridge processes serve; none of them is left at the end."""
    daemon = MediaDaemon(folder, **options)
    daemon.start()
    children: list[int] = []
    try:
        daemon.add(*accounts)
        daemon.bridges()
        yield daemon
        if daemon.process is not None:
            children = daemon.children()
    finally:
        daemon.stop()
    until(lambda: not any(map(is_running, children)), "no bridge process is left")
    assert os.path.exists(daemon.log)
