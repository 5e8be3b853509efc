"""What is built and installed: the wheel has all the daemon needs, the lock files fit setup.cfg and name no
host.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pinned(name: str) -> dict[str, str]:
    """Return version by normal name in a lock file."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\;]+)", (ROOT / name).read_text(), re.M)
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


def required(*extras: str) -> set[str]:
    """Return the packages that setup.cfg asks for, with these extras."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    lines = parser["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += parser["options.extras_require"][extra].splitlines()
    names = [re.match(r"[A-Za-z0-9_.-]+", line.strip()) for line in lines if not line.strip().startswith(("#", "%"))]
    return {re.sub(r"[-_.]+", "-", name.group()).lower() for name in names if name}


def test_the_lock_files_have_every_requirement() -> None:
    assert required("postgresql", "media", "ui") <= set(pinned("requirements.lock"))
    assert required("postgresql", "media", "ui", "dev") <= set(pinned("requirements-dev.lock"))


def test_both_lock_files_agree() -> None:
    run, dev = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert {name: dev.get(name) for name in run} == run


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "chatd/web/ui/package-lock.json"])
def test_no_lock_file_names_a_host_to_fetch_from(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r'"resolved": *"https?:|--(extra-)?index-url|--find-links|@ https?:', text)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_file_of_a_lock_has_a_digest(name: str) -> None:
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "==" in line]
    assert lines
    assert all("--hash=sha256:" in line for line in lines)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the clone, as `pip install .` does, without a node on the PATH."""
    folder = tmp_path_factory.mktemp("wheel")
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    for program in ("sh", "env", "uname"):
        (bin_dir / program).symlink_to(f"/usr/bin/{program}")
    environment = {**os.environ, "PATH": str(bin_dir)}
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)],
        env=environment,
        check=True,
        timeout=600,
    )
    (found,) = folder.glob("chatd-*.whl")
    return found


@pytest.mark.long
def test_the_wheel_has_program_schema_panel_and_plugin(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in ("chatd/tap.py", "twisted/plugins/chatd_plugin.py", "chatd/web/static/index.html"):
        assert name in names
    assert any(re.match(r"chatd/store/schema/.*\.sql$", name) for name in names)
    assert any(name.startswith("chatd/web/static/") and "converse" in name for name in names)
    tracked = subprocess.run(["git", "ls-files", "chatd"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    missing = [name for name in tracked.splitlines() if name not in names and not name.startswith("chatd/web/ui/")]
    assert missing == []
    strange = [name for name in names if not name.startswith(("chatd/", "chatd-", "twisted/plugins/chatd_plugin.py"))]
    assert strange == []
    assert not [name for name in names if name.startswith("chatd/web/ui/") or "node_modules" in name]


@pytest.mark.long
def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """twistd finds the plugin and chatctl starts, with the libraries of this environment."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv" / "lib").glob("python3*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    import twisted

    (site / "libraries.pth").write_text(f"{Path(twisted.__file__).parents[1]}\n")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(python), *words], capture_output=True, text=True, cwd=tmp_path, env=clean, check=False
        )
        return done.stdout + done.stderr

    assert str(site) in run("-c", "import chatd; print(chatd.__file__)")
    twistd = "import sys; sys.argv = ['twistd', '--help']; from twisted.scripts.twistd import run; run()"
    assert re.search(r"^ +chatd +chat for", run("-c", twistd), re.M)
    assert "chatctl 0." in run("-m", "chatd.ctl", "--version")
