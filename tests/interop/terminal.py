"""A program in a pseudo-terminal, driven by what a person would type and see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

PATIENCE_S = 60.0
#: What moves the cursor, colours or sets the terminal: all that is between the words.
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78HMc]|\x1b\][^\x07]*\x07"
                      rb"|[\x00-\x08\x0e-\x1f]")


class Terminal:
    """A program in a pseudo-terminal: what is typed into it and what it shows."""

    def __init__(self, command: list[str], home: Path, term: str = "xterm") -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": term, "LANG": "C.UTF-8",
                       "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=home, env=environment,
                                        start_new_session=True)
        os.close(slave)
        self._master = master
        self._seen = b""

    def type(self, line: str) -> None:
        """A line and Enter."""
        os.write(self._master, line.encode() + b"\r")

    def enter(self, line: str) -> None:
        """The same for a program that takes what comes in one piece for pasted, where people may not paste: the first
        letter, the rest, and Enter, each when the one before is shown."""
        while select.select([self._master], [], [], 0)[0]:
            os.read(self._master, 65536)
        self._seen = b""
        for part in (line[0], line[1:]):
            os.write(self._master, part.encode())
            self.see(re.escape(part.rpartition(" ")[2]))
        os.write(self._master, b"\r")

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
