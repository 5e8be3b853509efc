"""What must be there before measuring: Debian's packages, the compiled load generator, descriptors."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "loadgen"
NEEDED = ("gcc", "libc6-dev", "libssl-dev", "openssl")
POLICY = Path("/usr/sbin/policy-rc.d")


class NotReady(Exception):
    """Something is missing; the text says what to do."""


def missing_packages(wanted: Iterable[str]) -> list[str]:
    """Those of the Debian packages that are not installed."""
    return [name for name in wanted if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout == "installed"


def install(packages: list[str]) -> None:
    """Install Debian packages without starting their services. Raises NotReady without root."""
    if os.geteuid() != 0:
        raise NotReady(f"as root: apt-get install --no-install-recommends {' '.join(packages)}")
    with _no_services():
        subprocess.run(["apt-get", "update", "-q"], check=True)
        subprocess.run(
            ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
            check=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Debian's way to say that installing shall start nothing: a policy-rc.d that answers 101."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def build(target: Path) -> None:
    """Compile the load generator, if its sources are newer than `target`. Raises NotReady."""
    sources = sorted(SOURCES.glob("*.[ch]"))
    if target.exists() and all(source.stat().st_mtime < target.stat().st_mtime for source in sources):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_suffix(".new")
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-o", str(made)]
    command += [str(source) for source in sources if source.suffix == ".c"]
    try:
        subprocess.run([*command, "-lssl", "-lcrypto", "-lm"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotReady(f"the load generator does not compile: {error}") from error
    made.rename(target)


def allow_descriptors(wanted: int) -> None:
    """Raise the limit of open files for us and our children. Raises NotReady if it may not be raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise NotReady(f"{wanted} open files are needed, but ulimit -H -n is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
