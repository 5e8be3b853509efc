"""profanity, an XMPP client for terminals built on another library than our tests (libstrophe): log-in over 5222 with
STARTTLS, and a chat both ways with slixmpp.

It runs in a pseudo-terminal, in a home of its own, and is driven by what a person would type and see.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon import DOMAIN, OTHER, PASSWORD, Daemon, running
from tests.dovecot import mail_server
from tests.integration.slix import Client

PROFANITY = shutil.which("profanity") or "/usr/bin/profanity"
PATIENCE_S = 30.0
PAT, SAM = f"pat@{DOMAIN}", f"sam@{DOMAIN}"
#: What moves the cursor, colours or sets the terminal: all that is between the words.
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78HMc]|\x1b\][^\x07]*\x07"
                      rb"|[\x00-\x08\x0e-\x1f]")


class Terminal:
    """A program in a pseudo-terminal: what is typed into it and what it shows."""

    def __init__(self, command: list[str], home: Path) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8",
                       "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=home, env=environment,
                                        start_new_session=True)
        os.close(slave)
        self._master = master
        self._seen = b""

    def type(self, line: str) -> None:
        """A line and Enter."""
        os.write(self._master, line.encode() + b"\r")

    def see(self, pattern: str, within_s: float = PATIENCE_S) -> str:
        """Waits until this is shown behind what was waited for before; gives what matched."""
        deadline = time.monotonic() + within_s
        while True:
            shown = _CONTROL.sub(b"", self._seen).decode("utf-8", "replace")
            found = re.search(pattern, shown)
            if found:
                self._seen = shown[found.end():].encode()
                return found.group()
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._master], [], [], left)[0]:
                raise AssertionError(f"{pattern!r} is not shown; what is:\n{shown[-3000:]}")
            try:
                self._seen += os.read(self._master, 65536)
            except OSError:
                raise AssertionError(f"it has ended before it showed {pattern!r}:\n{shown[-3000:]}") from None

    def end(self) -> None:
        """Ends it, if it is still there."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self._master)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, two people."""
    with running(Path(tmp_path_factory.mktemp("chatd")), PAT, SAM) as daemon:
        yield daemon


@contextmanager
def profanity(daemon: Daemon, tmp_path: Path, address: str, password: str) -> Iterator[Terminal]:
    """profanity with an account, not yet connected."""
    config, data = tmp_path / ".config/profanity", tmp_path / ".local/share/profanity"
    for folder in (config, data):
        folder.mkdir(parents=True)
    (config / "profrc").write_text("[ui]\nsplash=false\nbeep=false\n[notifications]\nmessage=false\n")
    (data / "accounts").write_text(
        f"[{address}]\nenabled=true\njid={address}\nserver=127.0.0.1\nport={daemon.ports['c2s']}\npassword={password}\n"
        "resource=terminal\ntls.policy=trust\nauth.policy=default\npresence.login=online\n")
    terminal = Terminal([PROFANITY, "--log=DEBUG"], tmp_path)
    try:
        yield terminal
    finally:
        terminal.end()


@pytest.fixture
def terminal(daemon: Daemon, tmp_path: Path) -> Iterator[Terminal]:
    """One with an account of ours."""
    with profanity(daemon, tmp_path, PAT, PASSWORD) as terminal:
        yield terminal


def test_log_in_with_the_mail_password(tmp_path: Path) -> None:
    """The mail server knows the password; there is no account before."""
    ann = f"ann@{OTHER}"
    home, folder = tmp_path / "home", tmp_path / "chatd"
    home.mkdir()
    folder.mkdir()
    with mail_server({ann: "pw-ann"}) as mail:
        extra = f'[[domain.auth]]\nkind = "imap"\nurl = "imaps://localhost:{mail.imaps}"\nca = "{mail.certificate}"\n'
        with running(folder, extra=extra) as daemon, profanity(daemon, home, ann, "pw-ann") as terminal:
            terminal.type(f"/connect {ann}")
            terminal.see("logged in successfully")
            assert daemon.ctl("user", "list", OTHER)["result"][0]["jid"] == ann
            terminal.type("/quit")
            terminal.process.wait(20)


def test_chat(daemon: Daemon, terminal: Terminal) -> None:
    """Log-in, presence, a message each way, and the end."""

    async def run() -> None:
        loop = asyncio.get_running_loop()

        async def see(pattern: str) -> str:
            return await loop.run_in_executor(None, terminal.see, pattern)

        async with Client(daemon, SAM) as sam:
            terminal.type(f"/connect {PAT}")
            await see("logged in successfully")
            sam.send_presence_subscription(pto=PAT, ptype="subscribe")
            await see(f"authorization request from {SAM}")
            terminal.type(f"/sub allow {SAM}")
            await sam.presence_of(f"{PAT}/terminal")
            terminal.type(f"/sub request {SAM}")
            await sam.presence_of(PAT, "subscribe")
            sam.send_presence_subscription(pto=PAT, ptype="subscribed")
            terminal.type(f"/msg {SAM} hello-from-a-terminal")
            got = await sam.text("hello-from-a-terminal")
            assert got["from"].full == f"{PAT}/terminal"
            sam.send_message(mto=got["from"], mbody="hello-from-slixmpp", mtype="chat")
            await see("hello-from-slixmpp")
            terminal.type("/quit")
            await sam.presence_of(f"{PAT}/terminal", "unavailable")

    asyncio.run(asyncio.wait_for(run(), 120))
    assert terminal.process.wait(20) == 0
