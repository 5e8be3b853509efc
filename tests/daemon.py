"""A real chatd as its own process, for tests with real clients: configuration, certificate, accounts, start, kill.

`twistd -n chatd` runs in a folder of the test's own on free ports; it is ready when it says so by sd_notify, as it
would tell systemd.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatd.ctl.client import ask
from chatd.selfsigned import write_pair

ROOT = Path(__file__).resolve().parent.parent
PORTS = ("c2s", "c2s_tls", "https", "http", "metrics")
DOMAIN = "chat.example"
OTHER = "other.example"
HOST = "xmpp.example"
PASSWORD = "Correct-Horse 7"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, from below those that the system gives to connections: else one of those
    could take a port between our look and the daemon's. Each process of a test run has ports of its own."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    this = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found: list[int] = []
    while len(found) < count:
        # Not `random`'s own: tests that set its seed would have everybody choose the same.
        port = secrets.randbelow(22_000 // processes) * processes + 10_000 + this
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


class Daemon:
    """One chatd.  `ports` by the names in PORTS; `extra` is TOML put behind what is written here, `domain_extra` behind
    the table of DOMAIN.  There are no bridge processes unless `extra` has a table [media]."""

    def __init__(self, folder: Path, extra: str = "", store_url: str = "", domain_extra: str = "") -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.config = folder / "chatd.toml"
        self.log = folder / "log"
        self.certificate = folder / "certificate.pem"
        write_pair(self.certificate, folder / "key.pem", [HOST, DOMAIN, OTHER, "localhost"], datetime.now(UTC))
        listen = "\n".join(f'{name} = ["127.0.0.1:{port}"]' for name, port in self.ports.items())
        domains = "\n".join(f'[[domain]]\nname = "{name}"\ncertificate = "certificate.pem"\nkey = "key.pem"\n{more}\n'
                            for name, more in ((DOMAIN, domain_extra), (OTHER, "")))
        media = "" if "[media]" in extra else '[media]\nengine = "off"\n'
        store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
        self.config.write_text(
            f'[server]\nhost = "{HOST}"\nstate_dir = "state"\n{domains}\n[listen]\n{listen}\n{store}\n'
            f"[auth]\nscram_iterations = 4096\n{extra}\n{media}")
        self.process: subprocess.Popen[bytes] | None = None

    # -- life
    def start(self, within_s: float = 30) -> None:
        """Starts it and returns when it serves; raises AssertionError with its log where it does not."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            address = str(self.folder / "notify")
            Path(address).unlink(missing_ok=True)
            ready.bind(address)
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "chatd",
                     "--config", str(self.config)],
                    cwd=self.folder, stdout=log, stderr=log,
                    env={**os.environ, "NOTIFY_SOCKET": address, "PYTHONPATH": str(ROOT)})
            deadline = time.monotonic() + within_s
            while time.monotonic() < deadline:
                assert self.process.poll() is None, self.log.read_text()[-4000:]
                if select.select([ready], [], [], 0.1)[0] and b"READY=1" in ready.recv(4096):
                    return
        self.kill()
        raise AssertionError("not ready in time:\n" + self.log.read_text()[-4000:])

    def stop(self) -> None:
        """An orderly end."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reload(self) -> None:
        """SIGHUP."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    # -- administration
    def ctl(self, *words: str, stdin: str = "") -> Any:
        """chatctl --json; gives the parsed answer."""
        done = subprocess.run(
            [sys.executable, "-m", "chatd.ctl", "--config", str(self.config), "--json", *words],
            input=stdin.encode(), capture_output=True, cwd=ROOT, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def add(self, *addresses: str, password: str = PASSWORD) -> None:
        """Makes accounts, all with one password: as chatctl does, but without starting Python for each."""
        for address in addresses:
            ask(self.folder / "state" / "chatctl.sock", "user add", {"jid": address, "password": password})

    def tls(self) -> ssl.SSLContext:
        """A client's context that trusts the certificate."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False
        return context


@contextmanager
def running(folder: Path, *accounts: str, **options: Any) -> Iterator[Daemon]:
    """A daemon with these accounts, ended at the end; its log is shown where a test fails."""
    daemon = Daemon(folder, **options)
    daemon.start()
    try:
        daemon.add(*accounts)
        yield daemon
    finally:
        daemon.stop()
