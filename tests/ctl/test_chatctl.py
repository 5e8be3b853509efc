"""chatctl against a real daemon in its own process: accounts, status, reload, check, start and end."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from chatd.selfsigned import self_signed
from tests.daemon import DOMAIN, HOST, Daemon, running

ROOT = Path(__file__).resolve().parents[2]
ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("chatctl"), ALICE) as daemon:
        yield daemon


def chatctl(daemon: Daemon, *words: str, stdin: str = "", json_: bool = False) -> subprocess.CompletedProcess[str]:
    """Run chatctl as a person would."""
    command = [
        sys.executable,
        "-m",
        "chatd.ctl",
        "--config",
        str(daemon.config),
        *(["--json"] if json_ else []),
        *words,
    ]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def wait_for_log(daemon: Daemon, text: str, behind: int = 0) -> str:
    """Return the log from `behind` on as soon as it holds text."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = daemon.log.read_text()[behind:]
        if text in found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{text!r} is not in the log:\n{daemon.log.read_text()[-3000:]}")


class TestAccounts:
    def test_add_show_list_delete(self, daemon: Daemon) -> None:
        john = f"john@{DOMAIN}"
        done = chatctl(daemon, "user", "add", john, stdin="swordfish\n")
        assert (done.returncode, done.stdout) == (0, f"{john} can log in.\n")
        assert john in chatctl(daemon, "user", "list").stdout
        shown = json.loads(chatctl(daemon, "user", "show", john, json_=True).stdout)
        assert shown["ok"] is True
        assert shown["result"]["jid"] == john
        assert chatctl(daemon, "user", "disable", john).returncode == 0
        assert "disabled" in chatctl(daemon, "user", "list", DOMAIN).stdout
        assert chatctl(daemon, "user", "enable", john).returncode == 0
        assert chatctl(daemon, "user", "delete", john).returncode == 2
        assert chatctl(daemon, "user", "delete", john, "--yes").returncode == 0
        gone = chatctl(daemon, "user", "show", john)
        assert gone.returncode == 1
        assert gone.stderr == f"chatctl: There is no account {john}.\n"
        assert "swordfish" not in daemon.log.read_text()

    def test_refusals_in_json_have_a_word(self, daemon: Daemon) -> None:
        done = chatctl(daemon, "user", "add", ALICE, stdin="x\n", json_=True)
        assert done.returncode == 1
        answer = json.loads(done.stdout)
        assert (answer["ok"], answer["error"]) == (False, "conflict")

    def test_an_empty_password_is_refused_before_anything_is_sent(self, daemon: Daemon) -> None:
        done = chatctl(daemon, "user", "add", f"nobody@{DOMAIN}", stdin="\n")
        assert done.returncode == 2
        assert "must not be empty" in done.stderr

    def test_a_password_is_typed_twice_and_not_shown(self, daemon: Daemon) -> None:
        for second, code in (("other", 2), ("secret one", 0)):
            master, slave = pty.openpty()
            process = subprocess.Popen(
                [sys.executable, "-m", "chatd.ctl", "--config", str(daemon.config), "user", "passwd", ALICE],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=ROOT,
                start_new_session=True,
            )
            os.close(slave)
            shown = b""
            for prompt, typed in ((b"Password for", "secret one"), (b"again", second)):
                shown += read_until(master, prompt)
                os.write(master, typed.encode() + b"\n")
            assert process.wait(30) == code
            os.close(master)
            assert b"secret one" not in shown


def read_until(descriptor: int, text: bytes) -> bytes:
    """Return what a terminal shows up to text."""
    found = b""
    while text not in found:
        assert select.select([descriptor], [], [], 20)[0], found
        found += os.read(descriptor, 4096)
    return found


class TestRunningDaemon:
    def test_status(self, daemon: Daemon) -> None:
        status = daemon.ctl("status")["result"]
        assert status["host"] == HOST
        assert set(status["listening"]) == {f"127.0.0.1:{port}" for port in daemon.ports.values()}
        assert status["sessions"] == 0

    def test_the_socket_is_for_its_owner_only(self, daemon: Daemon) -> None:
        folder = daemon.folder / "state"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "chatctl.sock").stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600

    def test_check_of_a_running_daemon(self, daemon: Daemon) -> None:
        found = daemon.ctl("check", "--offline")["result"]
        assert [finding for finding in found if finding["grade"] == "error"] == []
        ports = [finding["text"] for finding in found if finding["subject"] == "ports"]
        assert len(ports) == len(daemon.ports)
        assert all(text.endswith("the daemon listens there.") for text in ports)

    def test_help_and_an_unknown_command(self, daemon: Daemon) -> None:
        assert "user add" in chatctl(daemon, "help").stdout
        assert chatctl(daemon, "do", "fly", "high=3").returncode == 1

    def test_healthz_and_metrics(self, daemon: Daemon) -> None:
        with urlopen(f"http://127.0.0.1:{daemon.ports['http']}/healthz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        with urlopen(f"http://127.0.0.1:{daemon.ports['metrics']}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        for name in ("chatd_info", "chatd_sessions", "chatd_log_ins_total", "process_resident_memory_bytes"):
            assert f"\n{name}" in text

    def test_every_tls_port_shows_the_certificate(self, daemon: Daemon) -> None:
        for name in ("c2s_tls", "https"):
            assert served_serial(daemon, name)


def served_serial(daemon: Daemon, port: str) -> str:
    """Return the serial number of the certificate a port shows."""
    context = ssl.create_default_context(cafile=str(daemon.certificate))
    address = ("127.0.0.1", daemon.ports[port])
    with socket.create_connection(address, 10) as sock, context.wrap_socket(sock, server_hostname=DOMAIN) as tls:
        certificate: Any = tls.getpeercert()
        return str(certificate["serialNumber"])


class TestReload:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Iterator[Daemon]:
        with running(tmp_path) as daemon:
            yield daemon

    def test_what_changed_and_what_waits(self, own: Daemon) -> None:
        text = own.config.read_text()
        assert own.ctl("reload")["result"] == {"changed": [], "after_a_restart": []}
        own.config.write_text(text + "[limits]\ndepth = 32\n[log]\nlevel = 'debug'\n[archive]\nretention_days = 7\n")
        found = own.ctl("reload")["result"]
        assert found == {
            "changed": ["limits.depth", "log.level", "archive.retention_days"],
            "after_a_restart": [],
        }
        own.config.write_text(text + "[store]\npool = 2\n")
        assert own.ctl("reload")["result"]["after_a_restart"] == ["store.pool"]

    def test_a_new_certificate_for_the_next_connection_while_the_old_goes_on(self, own: Daemon) -> None:
        before = served_serial(own, "https")
        context = ssl.create_default_context(cafile=str(own.certificate))
        with socket.create_connection(("127.0.0.1", own.ports["https"]), 10) as sock:
            with context.wrap_socket(sock, server_hostname=DOMAIN) as open_before:
                certificate, key = self_signed([HOST, DOMAIN, "other.example"], datetime.now(UTC))
                own.certificate.write_bytes(certificate)
                (own.folder / "key.pem").write_bytes(key)
                own.ctl("reload")
                assert served_serial(own, "https") != before
                assert served_serial(own, "c2s_tls") != before
                open_before.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert open_before.recv(100).startswith(b"HTTP/1.1 200")

    def test_mistakes_change_nothing(self, own: Daemon) -> None:
        text = own.config.read_text()
        before = served_serial(own, "https")
        own.config.write_text(text.replace("[listen]", "[listne]\n[listen]") + "[limits]\ndepth = 1\n")
        done = chatctl(own, "status")
        assert done.returncode == 2
        assert "listne" in done.stderr and "limits.depth" in done.stderr
        size = len(own.log.read_text())
        own.reload()
        told = wait_for_log(own, "Everything stays as it was", size)
        assert "listne" in told and "limits.depth" in told
        own.config.write_text(text)
        (own.folder / "key.pem").write_bytes(self_signed([DOMAIN], datetime.now(UTC))[1])
        done = chatctl(own, "reload")
        assert done.returncode == 1
        assert "does not belong" in done.stderr
        assert served_serial(own, "https") == before

    def test_sighup_reopens_the_log_file(self, own: Daemon) -> None:
        log_file = own.folder / "chatd.log"
        own.config.write_text(own.config.read_text() + f"[log]\nfile = '{log_file}'\nformat = 'json'\n")
        size = len(own.log.read_text())
        own.reload()
        own.ctl("status")
        deadline = time.monotonic() + 10
        while not log_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        log_file.rename(own.folder / "chatd.log.1")
        own.ctl("reload")
        lines = [json.loads(line) for line in log_file.read_text().splitlines()]
        assert any("Reloaded" in line["text"] for line in lines)
        assert "Reloaded" not in own.log.read_text()[size:]

    def test_another_module_option(self, own: Daemon) -> None:
        own.config.write_text(own.config.read_text() + "[modules.pong]\nx = 1\n")
        done = chatctl(own, "reload")
        assert done.returncode == 1
        assert "modules.pong" in done.stderr


class TestStartAndEnd:
    def start(self, daemon: Daemon, **environment: str) -> subprocess.CompletedProcess[str]:
        twistd = str(Path(sys.executable).parent / "twistd")
        return subprocess.run(
            [twistd, "-n", "--pidfile=", "chatd", "--config", str(daemon.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=daemon.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )

    def test_a_bad_configuration_lists_every_mistake(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path, extra="[limits]\ndepth = 1\nstanza_byte = 3\n")
        done = self.start(daemon)
        assert done.returncode == 1
        assert "2 mistakes" in done.stderr
        assert "limits.depth" in done.stderr and "limits.stanza_byte" in done.stderr

    def test_options_of_modules_are_checked_as_well(self, tmp_path: Path) -> None:
        done = self.start(Daemon(tmp_path, extra="[modules.pong]\nx = 1\n"))
        assert done.returncode == 1
        assert "modules.pong: there is no such module" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path)
        with socket.socket() as other:
            other.bind(("127.0.0.1", daemon.ports["http"]))
            other.listen(1)
            done = self.start(daemon)
        assert done.returncode == 1
        assert str(daemon.ports["http"]) in done.stderr
        assert "Traceback" not in done.stderr

    def test_no_certificate(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path)
        daemon.certificate.unlink()
        done = self.start(daemon)
        assert done.returncode == 1
        assert "certificate.pem" in done.stderr
        assert "Traceback" not in done.stderr

    def test_chatctl_without_a_daemon(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path)
        done = chatctl(daemon, "status")
        assert done.returncode == 3
        assert "does not run" in done.stderr
        checked = chatctl(daemon, "check", "--offline")
        assert checked.returncode == 0
        assert checked.stdout.count(": free.") == len(daemon.ports)

    def test_a_socket_left_behind_by_a_killed_daemon(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path)
        daemon.start()
        daemon.kill()
        assert (tmp_path / "state" / "chatctl.sock").exists()
        assert chatctl(daemon, "status").returncode == 3
        daemon.start()
        try:
            assert chatctl(daemon, "status").returncode == 0
        finally:
            daemon.stop()

    def test_systemd_is_told_of_start_reload_and_end(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path)
        address = str(tmp_path / "systemd")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(address)
            systemd.settimeout(20)
            process = subprocess.Popen(
                [
                    str(Path(sys.executable).parent / "twistd"),
                    "-n",
                    "--pidfile=",
                    "chatd",
                    "--config",
                    str(daemon.config),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=tmp_path,
                env={**os.environ, "NOTIFY_SOCKET": address, "PYTHONPATH": str(ROOT)},
            )
            try:
                ready = systemd.recv(4096).decode()
                process.send_signal(signal.SIGHUP)
                reloading, again = systemd.recv(4096).decode(), systemd.recv(4096).decode()
                process.send_signal(signal.SIGTERM)
                stopping = systemd.recv(4096).decode()
                code = process.wait(20)
            finally:
                process.kill()
                process.wait()
        assert ready.startswith("READY=1\nSTATUS=chatd ")
        assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert again.startswith("READY=1")
        assert stopping == "STOPPING=1"
        assert code == -signal.SIGTERM or code == 0

    def test_it_detaches_and_logs_to_the_state_folder(self, tmp_path: Path) -> None:
        daemon = Daemon(tmp_path)
        pidfile = tmp_path / "chatd.pid"
        subprocess.run(
            [
                str(Path(sys.executable).parent / "twistd"),
                f"--pidfile={pidfile}",
                "chatd",
                "--config",
                str(daemon.config),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=60,
            check=True,
        )
        deadline = time.monotonic() + 20
        while chatctl(daemon, "status").returncode and time.monotonic() < deadline:
            time.sleep(0.05)
        number = int(pidfile.read_text())
        try:
            assert chatctl(daemon, "status").returncode == 0
            assert "serves" in (tmp_path / "state" / "chatd.log").read_text()
        finally:
            os.kill(number, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while pidfile.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
        assert not pidfile.exists()


def test_check_warns_of_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    certificate, key = self_signed([HOST, DOMAIN, "other.example"], datetime.now(UTC) - timedelta(days=390))
    daemon.certificate.write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    done = chatctl(daemon, "check", "--offline")
    assert done.returncode == 0
    assert "expires on" in done.stdout
