"""Prosody from Debian's package: as it comes, and with the garbage collector set for speed."""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar

from bench.servers.base import Server, count_rows, debian_version, program_path

CONFIGURATION = """\
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
plugin_paths = {{}}
run_as_root = true
daemonize = false
log = {{ {{ levels = {{ min = "warn" }}, to = "file", filename = "{folder}/prosody.log" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{}}
s2s_ports = {{}}
c2s_direct_tls_ports = {{ {port} }}
c2s_direct_tls_ssl = {{ certificate = "{certificate}", key = "{key}" }}
ssl = {{ certificate = "{certificate}", key = "{key}" }}
authentication = "internal_hashed"
{gc}
modules_enabled = {{
    "roster", "saslauth", "tls", "disco", "carbons", "smacks", "csi", "blocklist", "private", "vcard",
    "version", "uptime", "time", "ping", "lastactivity", "offline", {mam}
}}
modules_disabled = {{ "s2s", "posix", "http", "net_multiplex" }}
default_archive_policy = true
storage = {{ archive = "sql", muc_log = "sql" }}
sql = {{ driver = "SQLite3", database = "archive.sqlite" }}
VirtualHost "{domain}"
Component "conference.{domain}" "muc"
    modules_enabled = {{ {muc_mam} }}
    muc_room_default_history_length = 20
    max_history_messages = 20
"""


class Prosody(Server):
    """Prosody, garbage collector as it comes."""

    name = "prosody"
    title = "Prosody"
    program = "prosody"
    debian_packages = ("prosody", "lua-dbi-sqlite3")
    gc: ClassVar[str] = ""

    @classmethod
    def missing(cls) -> str | None:
        """See Server."""
        return None if program_path("prosody") else "prosody is not installed"

    @classmethod
    def version(cls) -> str:
        """See Server."""
        return f"Prosody {debian_version('prosody')}"

    def write_accounts(self) -> None:
        """Write Prosody's own account files: one salt for all, so one PBKDF2."""
        salt = "bench-salt-bench"
        salted = hashlib.pbkdf2_hmac("sha1", self.site.password.encode(), salt.encode(), self.site.iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha1")
        content = (
            "return {\n"
            f'\t["iteration_count"] = {self.site.iterations};\n'
            f'\t["salt"] = "{salt}";\n'
            f'\t["stored_key"] = "{hashlib.sha1(client_key).hexdigest()}";\n'
            f'\t["server_key"] = "{hmac.digest(salted, b"Server Key", "sha1").hex()}";\n'
            "};\n"
        )
        accounts = self.folder / "data" / self.site.domain.replace(".", "%2e") / "accounts"
        accounts.mkdir(parents=True)
        for number in range(self.site.accounts):
            (accounts / f"u{number:05d}.dat").write_text(content)

    def configure(self) -> None:
        """See Server."""
        (self.folder / "prosody.cfg.lua").write_text(
            CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                certificate=self.site.certificate,
                key=self.site.key,
                gc=self.gc,
                mam='"mam"' if self.archive else "",
                muc_mam='"muc_mam"' if self.archive else "",
                domain=self.site.domain,
            )
        )

    def command(self, first: bool) -> list[str]:
        """See Server."""
        return [program_path("prosody") or "prosody", "-F", "--config", str(self.folder / "prosody.cfg.lua")]

    def archived_rows(self) -> int:
        """See Server."""
        return count_rows(self.folder / "data" / "archive.sqlite", "prosodyarchive", "store = 'archive'")

    def archived_rows_of_rooms(self) -> int:
        """See Server."""
        return count_rows(self.folder / "data" / "archive.sqlite", "prosodyarchive", "store = 'muc_log'")


class ProsodyTuned(Prosody):
    """Prosody with the garbage collector set for speed, at the price of memory.

    Of six settings tried (incremental and generational, several thresholds) the one that took the least
    CPU a message.
    """

    name = "prosody-tuned"
    title = "Prosody, tuned GC"
    gc = 'gc = { mode = "incremental", threshold = 200 }'
