"""Real Prosody and real ejabberd as other domains: private instances on loopback that ask the test's own DNS.

Both read /etc/resolv.conf and know port 53 alone, so they run in a mount namespace with another resolv.conf, and the
DNS listens on an address of its own (`dns_address`), which takes root (`missing` says what is not there).  Both show a
certificate of the test's authority and trust it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemon import PASSWORD, free_ports
from tests.integration.abroad import Authority, Names

PROSODY = """\
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
run_as_root = true
daemonize = false
log = {{ {{ levels = {{ min = "debug" }}, to = "file", filename = "{folder}/prosody.log" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
s2s_ports = {{ {starttls} }}
s2s_direct_tls_ports = {{ {direct} }}
ssl = {{ certificate = "{certificate}", key = "{key}", cafile = "{authority}" }}
s2s_secure_auth = {secure}
authentication = "internal_hashed"
c2s_require_encryption = true
{more}
modules_enabled = {{
    "roster", "saslauth", "tls", "dialback", "s2s_bidi", "disco", "carbons", "smacks", "private", "vcard", "version",
    "ping", "offline", "mam"
}}
modules_disabled = {{ "posix", "http", "net_multiplex" }}
VirtualHost "{domain}"
Component "conference.{domain}" "muc"
    restrict_room_creation = false
    muc_room_locking = false
"""

EJABBERD = """\
hosts: ["{domain}"]
loglevel: debug
log_rotate_count: 0
certfiles: ["{folder}/pair.pem"]
ca_file: "{authority}"
acme: {{auto: false}}
s2s_use_starttls: required
s2s_cafile: "{authority}"
s2s_dns_timeout: 5
s2s_max_retry_delay: 1
listen:
  -
    port: {c2s}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: true
    starttls_required: true
  -
    port: {s2s}
    ip: "127.0.0.1"
    module: ejabberd_s2s_in
    tls: {direct}
    max_stanza_size: 262144
auth_method: internal
auth_password_format: scram
disable_sasl_mechanisms: ["X-OAUTH2"]
access_rules: {{c2s: {{allow: all}}}}
modules:
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_muc:
    default_room_options: {{persistent: true}}
  mod_mam: {{db_type: mnesia, default: always}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_private: {{}}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_stream_mgmt: {{}}
  mod_vcard: {{search: false}}
  mod_version: {{}}
"""


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


class Foreigner:
    """A server that is not ours; looks to tests.integration.slix.Client like a Daemon.

    names: what its certificate is for, None for the domain and what is below it. wants_client_usage: it takes no
    certificate that is for TLS servers alone, and goes on with dialback. is_direct: other servers begin with TLS there
    (XEP-0368), and in no other way.
    """

    wants_client_usage = is_direct = False

    def __init__(self, folder: Path, domain: str, authority: Authority, dns: Names, names: list[str] | None = None,
                 signed_by: Authority | None = None, days: float = 10) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.domain = domain
        self.authority = authority
        self.dns = dns
        c2s, s2s = free_ports(2)
        self.ports = {"c2s": c2s, "s2s": s2s}
        self.pair = (signed_by or authority).issue(
            folder, names or [domain, f"*.{domain}"], days, server_only=False)
        self.certificate = (signed_by or authority).file
        self.process: subprocess.Popen[bytes] | None = None
        dns.serve(domain, 0 if self.is_direct else s2s, s2s if self.is_direct else 0)

    @classmethod
    def missing(cls) -> str:
        """What keeps it from running here; nothing if it can."""
        raise NotImplementedError

    def prepare(self, accounts: tuple[str, ...]) -> None:
        """Before the first start."""

    def command(self) -> list[str]:
        """In the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Besides our own."""
        return {}

    def start(self) -> None:
        """Until both ports listen."""
        (self.folder / "resolv.conf").write_text(f"nameserver {self.dns.address[0]}\noptions timeout:1\n")
        script = ('mount --make-rprivate / && mount --bind "$1" "$(readlink -f /etc/resolv.conf)" '
                  '&& shift && exec "$@"')
        command = ["unshare", "-m", "sh", "-c", script, "sh", str(self.folder / "resolv.conf"), *self.command()]
        with (self.folder / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **self.environment()}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + 60
        while not all(_listens(port) for port in self.ports.values()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = (self.folder / "output.log").read_text(errors="replace")
                raise AssertionError(f"not started:\n{said[-3000:]}")
            time.sleep(0.1)

    def stop(self, hard: bool = False) -> None:
        """Ends what `start` started, all of its session."""
        if self.process is not None:
            group = os.getpgid(self.process.pid) if self.process.poll() is None else None
            if group is not None:
                os.killpg(group, signal.SIGKILL if hard else signal.SIGTERM)
                try:
                    self.process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(group, signal.SIGKILL)
                    self.process.wait()
            self.process = None


class Prosody(Foreigner):
    """Debian's prosody. secure: it wants certificates that prove names, dialback is not enough. more: its settings
    besides."""

    secure = False
    more = ""

    @classmethod
    def missing(cls) -> str:
        return _missing("prosody")

    def prepare(self, accounts: tuple[str, ...]) -> None:
        certificate, key = self.pair
        port = self.ports["s2s"]
        (self.folder / "prosody.cfg.lua").write_text(PROSODY.format(
            folder=self.folder, domain=self.domain, certificate=certificate, key=key, authority=self.authority.file,
            secure=str(self.secure).lower(), more=self.more,
            starttls="" if self.is_direct else port, direct=port if self.is_direct else "", **self.ports))
        folder = self.folder / "data" / self.domain.replace(".", "%2e") / "accounts"
        folder.mkdir(parents=True)
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), b"salt-of-tests", 4096)
        client, server = (hmac.digest(salted, word, "sha1") for word in (b"Client Key", b"Server Key"))
        for name in accounts:
            (folder / f"{name}.dat").write_text(
                'return { ["iteration_count"] = 4096; ["salt"] = "salt-of-tests"; '
                f'["stored_key"] = "{hashlib.sha1(client).hexdigest()}"; ["server_key"] = "{server.hex()}"; }};\n')

    def command(self) -> list[str]:
        return [_program("prosody") or "", "-F", "--config", str(self.folder / "prosody.cfg.lua")]


class StrictProsody(Prosody):
    """One that wants certificates, and TLS from the start."""

    secure = is_direct = True


class PlainProsody(Prosody):
    """One that has no TLS for other servers."""

    more = "s2s_require_encryption = false\ns2s_allow_encryption = false\n"


class Ejabberd(Foreigner):
    """Debian's ejabberd."""

    wants_client_usage = True

    @classmethod
    def missing(cls) -> str:
        return _missing("ejabberdctl", "erl")

    def prepare(self, accounts: tuple[str, ...]) -> None:
        certificate, key = self.pair
        (self.folder / "pair.pem").write_text(certificate.read_text() + key.read_text())
        (self.folder / "ejabberd.yml").write_text(EJABBERD.format(
            folder=self.folder, domain=self.domain, authority=self.authority.file,
            direct=str(self.is_direct).lower(), **self.ports))
        (self.folder / "mnesia").mkdir(exist_ok=True)
        self._accounts = accounts

    def command(self) -> list[str]:
        names = ",".join(f'<<"{name}">>' for name in self._accounts)
        create = (
            "spawn(fun() -> Wait = fun W() -> case lists:keymember(ejabberd, 1, application:which_applications()) of "
            "true -> ok; false -> timer:sleep(100), W() end end, Wait(), lists:foreach(fun(N) -> "
            f'ejabberd_auth:try_register(N, <<"{self.domain}">>, <<"{PASSWORD}">>) end, [{names}]), '
            f'file:write_file("{self.folder}/ready", <<"x">>) end).')
        return [_program("erl") or "", "+K", "true", "-noinput", "-mnesia", "dir", f'"{self.folder}/mnesia"', "-s",
                "ejabberd", "-eval", create]

    def start(self) -> None:
        (self.folder / "ready").unlink(missing_ok=True)
        super().start()
        deadline = time.monotonic() + 60
        while not (self.folder / "ready").exists():
            assert time.monotonic() < deadline, "ejabberd made no accounts"
            time.sleep(0.1)

    def environment(self) -> dict[str, str]:
        return {"ERL_LIBS": f"/usr/lib/{os.uname().machine}-linux-gnu",
                "EJABBERD_CONFIG_PATH": f"{self.folder}/ejabberd.yml",
                "EJABBERD_LOG_PATH": f"{self.folder}/ejabberd.log",
                "ERL_CRASH_DUMP_BYTES": "0", "HOME": str(self.folder)}


class DirectEjabberd(Ejabberd):
    """With TLS from the start."""

    is_direct = True


def _missing(*programs: str) -> str:
    absent = [name for name in (*programs, "unshare") if _program(name) is None]
    if absent:
        return f"{', '.join(absent)} is needed"
    return "" if os.geteuid() == 0 else "a mount namespace takes root"


def dns_address() -> tuple[str, int]:
    """Where nobody else serves names."""
    return f"127.53.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}", 53


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def abroad(server: Foreigner, accounts: tuple[str, ...] = ("juliet", "nurse")) -> Iterator[Foreigner]:
    """It runs."""
    server.prepare(accounts)
    server.start()
    try:
        yield server
    finally:
        server.stop()
