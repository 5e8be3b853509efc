"""A screen for programs with windows: Xvfb, and a session bus for those that want one."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SIZE = (1440, 900)


def has_programs(*names: str) -> bool:
    """Whether Debian's packages for the long tests are installed (tests/debian-packages-long)."""
    return all(any(os.access(f"{folder}/{name}", os.X_OK) for folder in ("/usr/bin", "/usr/games")) for name in names)


@contextmanager
def xvfb() -> Iterator[str]:
    """A display of its own, by its name; it ends with the block."""
    read, write = os.pipe()
    size = "{}x{}x24".format(*SIZE)
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp", "-noreset"], pass_fds=[write],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        yield f":{_line(read, server)}"
    finally:
        os.close(read)
        end(server)


@contextmanager
def screen(home: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who sits in front of a screen of their own; it ends with the block.

    home: an empty folder, in which all that their programs remember is kept.
    """
    with xvfb() as display:
        environment = desktop(home) | {"DISPLAY": display}
        bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address=1", "--nopidfile"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        try:
            assert bus.stdout is not None
            environment["DBUS_SESSION_BUS_ADDRESS"] = _line(bus.stdout.fileno(), bus)
            yield environment
        finally:
            end(bus)


def desktop(home: Path) -> dict[str, str]:
    """The variables of a person whose home is this folder, and who knows no proxies, no keyring and no hardware."""
    home.mkdir(parents=True, exist_ok=True)
    runtime = home / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return {
        "HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"), "XDG_CACHE_HOME": str(home / ".cache"),
        "GTK_A11Y": "none", "NO_AT_BRIDGE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "GSETTINGS_BACKEND": "memory",
    }


@contextmanager
def program(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program on the screen, ended with the block; what it says goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(environment), cwd=environment["HOME"], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends it, if it is still there."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _line(descriptor: int, process: subprocess.Popen[bytes]) -> str:
    said = b""
    while not said.endswith(b"\n"):
        assert select.select([descriptor], [], [], 30)[0], "it does not say where it is"
        more = os.read(descriptor, 1024)
        assert more, f"it has ended: {process.wait()}"
        said += more
    return said.decode().strip()
