"""A desk with a screen, for clients with windows: they find servers by a DNS of the test's own, trust one authority,
and are driven as a screen reader's user drives them (sitting.py).

Needs root: a mount namespace in which /etc/resolv.conf and the list of authorities are others, and in it a user
namespace, because some of the programs do not run as root.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.daemon import DOMAIN, HOST, Daemon
from tests.integration.abroad import Names
from tests.interop.files import keeping_files
from tests.interop.screen import desktop, end, has_programs, xvfb

PATIENCE_S = 60.0
PYTHON = "/usr/bin/python3"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_PRIVATE = ('mount --make-rprivate / && mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && '
            f'mount --bind "$2" "$(readlink -f {AUTHORITIES})" && shift 2 && '
            'exec unshare --user --map-user=1000 --map-group=1000 -- "$@"')
#: What the session's own services say is not for us.
_SESSION = """exec dbus-run-session -- sh -c 'exec "$@" >&3 3>&-' sh "$@" 3>&1 >&2"""
_count = itertools.count()


def missing(*programs: str) -> str:
    """What keeps a desk from being set up here; nothing if it can be."""
    if os.geteuid() != 0:
        return "only root has name spaces"
    if not has_programs("Xvfb", "openbox", "xdotool", "import", "dbus-run-session", *programs):
        return "tests/debian-packages-long"
    looked = subprocess.run([PYTHON, "-c", "import gi"], capture_output=True)
    return "tests/debian-packages-long" if looked.returncode else ""


@contextmanager
def names_of(daemon: Daemon, address: str = "", host: str = "127.0.0.1") -> Iterator[Names]:
    """A DNS in which the daemon is the server of its domain, by STARTTLS and direct TLS; host: where it is.

    It has an address of its own because programs ask for names at port 53 alone.
    """
    number = (os.getpid() * 16 + next(_count)) % 60_000
    with Names((address or f"127.53.{number // 250}.{number % 250 + 1}", 53)) as names:
        names.srv[f"_xmpp-client._tcp.{DOMAIN}"] = [(daemon.ports["c2s"], HOST)]
        names.srv[f"_xmpps-client._tcp.{DOMAIN}"] = [(daemon.ports["c2s_tls"], HOST)]
        names.addresses[HOST] = host
        yield names


class Desk:
    """What is done at it; `home` is where its programs remember things. Selectors: see sitting.py."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, environment: dict[str, str]) -> None:
        self._process = process
        self.home = home
        self.environment = environment

    def ask(self, do: str, **request: Any) -> Any:
        """A request; AssertionError with what is on the screen where it cannot be done."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request.setdefault("patience_s", PATIENCE_S)
        self._process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S + request["patience_s"])
        assert ready, f"no answer: {do} {request}"
        line = self._process.stdout.readline()
        assert line, "nobody sits there any more"
        said = json.loads(line)
        assert "error" not in said, said["error"]
        return said["result"]

    def start(self, *command: str) -> None:
        """A program; what it says goes to a file of its name beside the home."""
        self.ask("start", command=list(command), log=str(self.home.parent / f"{self.home.name}-{command[0]}.log"))

    def end(self, program: str) -> None:
        """An orderly end."""
        self.ask("end", program=program)

    def log(self, program: str) -> str:
        """What it has said so far."""
        return (self.home.parent / f"{self.home.name}-{program}.log").read_text("utf-8", "replace")

    def see(self, name: str, role: str = "label", **more: Any) -> dict[str, Any]:
        """Waits until something of this name is shown."""
        return dict(self.ask("find", name=name, role=role, **more))

    def reads(self, text: str) -> None:
        """Waits until this is shown, inside of whatever text."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(text in one["name"] or text in one["text"] for one in self.ask("all")):
            assert time.monotonic() < deadline, f"{text!r} is not shown; what is:\n{self.ask('tree')}"
            time.sleep(0.2)

    def press(self, name: str, role: str = "label|.*button|.*menu item", **more: Any) -> None:
        """A button, an entry of a menu or of a list, as soon as it can be pressed."""
        self.ask("press", name=name, role=role, enabled=True, **more)

    def fill(self, value: str, role: str = "text|entry|password text", **more: Any) -> None:
        """A field."""
        self.ask("fill", value=value, role=role, **more)

    def type(self, text: str) -> None:
        """Key by key, where the focus is."""
        self.ask("type", value=text)

    def key(self, key: str) -> None:
        """One key, by its X name."""
        self.ask("key", key=key)

    def focused(self, name: str = ".*", role: str = "text", **more: Any) -> None:
        """Waits until what is typed goes there."""
        self.see(name, role, focused=True, **more)

    def focus(self, name: str = ".*", role: str = "text", **more: Any) -> None:
        """Puts the cursor there."""
        self.ask("focus", name=name, role=role, **more)
        self.focused(name, role, **more)

    def choose(self, file: Path, **chooser: Any) -> None:
        """A file, by its path, in the window that asks for one."""
        # Window managers leave windows in the back that come without a click or a key.
        self.ask("activate", title=self.see(chooser["name"], chooser["role"])["name"])
        self.focused(role=".*", within=chooser)
        # The first letter opens the field for a path.
        self.type("/")
        self.focused(within=chooser)
        self.type(str(file).removeprefix("/"))
        self.key("Return")

    def size(self, width: int, height: int) -> None:
        """Of the window in front."""
        self.ask("size", width=width, height=height)

    def picture(self, file: Path) -> None:
        """The window in front, without its frame, in the format of the file's ending."""
        window = subprocess.run(["xdotool", "getactivewindow"], env=self.environment, check=True, capture_output=True)
        subprocess.run(["import", "-window", window.stdout.decode().strip(), str(file)], env=self.environment,
                       check=True, timeout=60)


@contextmanager
def desk(home: Path, names: Names, authority: Path, prefix: Sequence[str] = ()) -> Iterator[Desk]:
    """A desk with a window manager; its programs end with the block. prefix: a command that runs others, in a network
    of their own for instance."""
    resolver = home.parent / f"{home.name}-resolv.conf"
    with xvfb() as display:
        # Without the two that switch it off, programs tell screen readers what they show.
        environment = {name: value for name, value in desktop(home).items() if name not in ("GTK_A11Y", "NO_AT_BRIDGE")}
        environment |= {"DISPLAY": display, "GSK_RENDERER": "cairo"}
        resolver.write_text(f"nameserver {names.address[0]}\noptions timeout:1\n")
        command = [*prefix, "unshare", "--mount", "sh", "-c", _PRIVATE, "sh", str(resolver), str(authority),
                   "sh", "-c", _SESSION, "sh", PYTHON, str(Path(__file__).with_name("sitting.py"))]
        with (home.parent / f"{home.name}-sitting.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, cwd=home, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=log)
        try:
            made = Desk(process, home, environment)
            made.start("openbox")
            # Out of the way: programs show more where the mouse is.
            made.ask("mouse", x=1439, y=899)
            yield made
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                end(process)


@contextmanager
def reachable(folder: Path, *accounts: str) -> Iterator[tuple[Daemon, Names]]:
    """A daemon that keeps files, and the DNS in which it is found."""
    with keeping_files(folder, *accounts) as daemon, names_of(daemon) as names:
        yield daemon, names
