"""chatd from this checkout, as `twistd chatd` runs it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from bench.servers.base import ROOT, Server, ServerFailed, count_rows

CONFIGURATION = """\
[server]
host = "{domain}"
state_dir = "{folder}/state"

[[domain]]
name = "{domain}"
certificate = "{certificate}"
key = "{key}"

[listen]
c2s = []
c2s_tls = ["127.0.0.1:{port}"]
https = []
http = []
metrics = []

# The other servers run without limits of this kind, and all the load comes from one address.
[limits]
connections_per_address = 1000000
stanzas_per_second = 1000000
stanzas_burst = 1000000
bytes_per_second = 1000000000
bytes_burst = 1000000000

[modules.muc]
deliveries = 1000000

[log]
level = "warn"

[archive]
default = "{archive}"

[media]
engine = "off"
"""


class Chatd(Server):
    """chatd on SQLite, with its default durability: a commit is on the disk."""

    name = "chatd"
    title = "chatd"
    program = "chatd"

    @classmethod
    def missing(cls) -> str | None:
        """See Server."""
        if importlib.util.find_spec("chatd") is None or importlib.util.find_spec("chatd.tap") is None:
            return "this checkout has no chatd.tap"
        if not cls._twistd().exists():
            return f"{cls._twistd()} is missing: `make setup` makes it"
        return None

    @classmethod
    def version(cls) -> str:
        """See Server. The heading of the report names the commit."""
        return "chatd of that commit"

    @staticmethod
    def _twistd() -> Path:
        return Path(sys.executable).parent / "twistd"

    @property
    def _configuration(self) -> Path:
        return self.folder / "chatd.toml"

    def write_accounts(self) -> None:
        """Create the accounts through chatd's own store."""
        self.configure()
        command = [sys.executable, "-m", "bench.servers.chatd_accounts", str(self._configuration)]
        command += [str(self.site.accounts), self.site.password, str(self.site.iterations)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"the accounts could not be created: {done.stderr[-2000:]}")

    def configure(self) -> None:
        """See Server."""
        self._configuration.write_text(
            CONFIGURATION.format(
                domain=self.site.domain,
                folder=self.folder,
                certificate=self.site.certificate,
                key=self.site.key,
                port=self.port or 5223,
                archive="always" if self.archive else "never",
            )
        )

    def command(self, first: bool) -> list[str]:
        """See Server."""
        return [str(self._twistd()), "-n", "--pidfile=", "chatd", "--config", str(self._configuration)]

    def environment(self) -> dict[str, str]:
        """See Server. There twistd finds the plug-in, and everybody chatd."""
        return {"PYTHONPATH": f"{self.site.checkout}:{ROOT}"}

    def room_form(self) -> str:
        """See Server. Whether a room has an archive is a setting of the room."""
        return f"{super().room_form()} muc#roomconfig_enablearchiving={int(self.archive)}"

    def archived_rows(self) -> int:
        """See Server."""
        return count_rows(self.folder / "state" / "chatd.sqlite", "archive", "account > 0")

    def archived_rows_of_rooms(self) -> int:
        """See Server."""
        return count_rows(self.folder / "state" / "chatd.sqlite", "archive", "account < 0")
