"""`make run`'s preparation: certificates and accounts, made once and left alone afterwards."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from tests.daemon import Daemon

ROOT = Path(__file__).resolve().parents[2]


def prepare(config: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the Makefile does."""
    return subprocess.run(
        [sys.executable, "-m", "chatd.demo", str(config)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def write(folder: Path) -> Path:
    """Write the smallest configuration, on ports of its own, with certificates at their default places."""
    ports = Daemon(folder).ports
    listen = "\n".join(f'{name} = ["127.0.0.1:{port}"]' for name, port in ports.items())
    path = folder / "demo.toml"
    path.write_text(f'[server]\nhost = "localhost"\n[[domain]]\nname = "demo.localhost"\n[listen]\n{listen}\n')
    return path


def test_twice(tmp_path: Path) -> None:
    config = write(tmp_path)
    first = prepare(config)
    assert first.returncode == 0, first.stderr
    for local in ("alice", "bob", "carol"):
        assert f"{local}@demo.localhost" in first.stdout
    key = tmp_path / "var/certificates/demo.localhost.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var/demo-accounts.json").stat().st_mode) == 0o600
    before = key.read_bytes()
    second = prepare(config)
    assert second.returncode == 0
    assert second.stdout == first.stdout
    assert key.read_bytes() == before


def test_the_accounts_it_names_are_there_and_a_running_daemon_is_left_alone(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.config = write(tmp_path)
    assert prepare(daemon.config).returncode == 0
    daemon.start()
    try:
        jids = [row["jid"] for row in daemon.ctl("user", "list")["result"]]
        assert jids == ["alice@demo.localhost", "bob@demo.localhost", "carol@demo.localhost"]
        again = prepare(daemon.config)
        assert again.returncode == 1
        assert "runs already" in again.stderr
        checked = daemon.ctl("check", "--offline")["result"]
        assert [finding for finding in checked if finding["grade"] == "error"] == []
    finally:
        daemon.stop()


def test_a_bad_configuration(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[server]\n")
    done = prepare(path)
    assert done.returncode == 1
    assert "server.host" in done.stderr
