"""A real coturn as its own process, with a shared secret as [media.turn] wants it.

It listens, and relays, on this machine's own address, because clients ignore 127.0.0.1.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.bridge.peer import own_address
from tests.daemon import free_ports

SECRET = "correct horse battery staple"
REALM = "turn.example"


class Coturn:
    """One coturn. `urls`: what stands in [media.turn]; more: lines for its configuration."""

    def __init__(self, folder: Path, more: str = "") -> None:
        program = shutil.which("turnserver")
        assert program, "turnserver is missing: apt-get install coturn (tests/debian-packages)"
        self.host = own_address()
        (self.port, relay) = free_ports(2)
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "turnserver.conf"
        self.config.write_text(
            f"listening-ip={self.host}\nrelay-ip={self.host}\nlistening-port={self.port}\n"
            f"min-port={relay}\nmax-port={relay + 200}\nuse-auth-secret\nstatic-auth-secret={SECRET}\nrealm={REALM}\n"
            f"no-tls\nno-dtls\nno-cli\nno-software-attribute\nallow-loopback-peers\nfingerprint\n"
            f"userdb={folder / 'turndb'}\npidfile={folder / 'pid'}\nlog-file=stdout\nsimple-log\nverbose\n{more}\n")
        self.log = folder / "coturn.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, "-c", str(self.config)], cwd=folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1):
                return True
        except OSError:
            return False

    @property
    def urls(self) -> list[str]:
        return [f"turn:{self.host}:{self.port}?transport={transport}" for transport in ("udp", "tcp")]

    def allocations(self) -> int:
        """How many relays it has given so far."""
        return self.log.read_text("utf-8", "replace").count("ALLOCATE processed, success")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
