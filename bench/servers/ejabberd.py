"""ejabberd from Debian's package, started by `erl` as `ejabberdctl foreground` does, without distribution."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.servers.base import Server, count_rows, debian_version, program_path

CONFIGURATION = """\
hosts: ["{domain}"]
loglevel: warning
log_rotate_count: 0
certfiles: ["{folder}/bench.pem"]
acme: {{auto: false}}
define_macro:
  'TLS_OPTIONS': [no_sslv3, no_tlsv1, no_tlsv1_1, cipher_server_preference, no_compression]
c2s_ciphers: "HIGH:!aNULL:!eNULL:!3DES:@STRENGTH"
c2s_protocol_options: 'TLS_OPTIONS'
listen:
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    access: c2s
    backlog: 256
    tls: true
    protocol_options: 'TLS_OPTIONS'
auth_method: internal
auth_password_format: scram
auth_scram_hash: sha
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
access_rules: {{c2s: {{allow: all}}}}
sql_type: sqlite
sql_database: "{folder}/archive.sqlite"
modules:
  mod_blocking: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_muc:
    history_size: 20
    default_room_options: {{mam: {room_mam}}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
  mod_time: {{}}
  mod_vcard: {{search: false}}
  mod_version: {{}}
{mam}
"""

# Run once, inside the node: wait for ejabberd, create the accounts, leave a file as a sign.
CREATE = """\
spawn(fun() ->
  Wait = fun W() -> case lists:keymember(ejabberd, 1, application:which_applications()) of
                      true -> ok; false -> timer:sleep(200), W() end end,
  Wait(),
  lists:foreach(fun(N) ->
    ok = ejabberd_auth:try_register(iolist_to_binary(io_lib:format("u~5..0B", [N])),
                                    <<"{domain}">>, <<"{password}">>)
  end, lists:seq(0, {last})),
  file:write_file("{sign}", <<"done">>)
end)."""


class Ejabberd(Server):
    """ejabberd: accounts and rosters in Mnesia, the archive in SQLite."""

    name = "ejabberd"
    title = "ejabberd"
    program = "ejabberd"
    debian_packages = ("ejabberd", "erlang-p1-sqlite3")

    @classmethod
    def missing(cls) -> str | None:
        """See Server."""
        return None if program_path("ejabberdctl") and program_path("erl") else "ejabberd is not installed"

    @classmethod
    def version(cls) -> str:
        """See Server."""
        return f"ejabberd {debian_version('ejabberd')}"

    def configure(self) -> None:
        """See Server."""
        pem = self.site.certificate.read_text() + self.site.key.read_text()
        (self.folder / "bench.pem").write_text(pem)
        (self.folder / "inetrc").write_text('{lookup,["file","native"]}.\n')
        mam = "  mod_mam: {db_type: sql, default: always}" if self.archive else ""
        (self.folder / "ejabberd.yml").write_text(
            CONFIGURATION.format(
                domain=self.site.domain,
                folder=self.folder,
                port=self.port,
                mam=mam,
                room_mam="true" if self.archive else "false",
            )
        )

    def command(self, first: bool) -> list[str]:
        """See Server. The emulator's options are those of Debian's ejabberdctl."""
        command = [
            program_path("erl") or "erl",
            *("+K", "true", "+P", "250000", "-noinput"),
            *("-mnesia", "dir", f'"{self.folder}/mnesia"', "-s", "ejabberd"),
        ]
        if first:
            create = CREATE.format(
                domain=self.site.domain,
                password=self.site.password,
                last=self.site.accounts - 1,
                sign=self._sign,
            )
            command += ["-eval", re.sub(r"\s+", " ", create)]
        return command

    def environment(self) -> dict[str, str]:
        """See Server."""
        (self.folder / "mnesia").mkdir(exist_ok=True)
        libraries = "/usr/lib/" + os.uname().machine + "-linux-gnu"
        return {
            "ERL_LIBS": libraries,
            "EJABBERD_CONFIG_PATH": f"{self.folder}/ejabberd.yml",
            "EJABBERD_LOG_PATH": f"{self.folder}/ejabberd.log",
            "ERL_INETRC": f"{self.folder}/inetrc",
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_MAX_PORTS": "32000",
            "ERL_MAX_ETS_TABLES": "1400",
            "HOME": str(self.folder),
        }

    @property
    def _sign(self) -> Path:
        return self.folder / "accounts-created"

    def is_prepared(self) -> bool:
        """See Server."""
        return self._sign.exists()

    def archived_rows(self) -> int:
        """See Server."""
        return count_rows(self.folder / "archive.sqlite", "archive", "kind = 'chat'")

    def archived_rows_of_rooms(self) -> int:
        """See Server."""
        return count_rows(self.folder / "archive.sqlite", "archive", "kind = 'groupchat'")
