"""Questions to a database of the organisation: SQLite, PostgreSQL (psycopg) or MySQL and MariaDB (PyMySQL).

One connection a question, read only: log-ins are remembered for minutes and directories read every few, so a pool would
gain nothing and would have to find out about restarts. All of it blocks; call it in a thread.

A query names its values as {address}, {local} and {domain}. They are bound by the driver and never part of the text.
Over a network PostgreSQL and MySQL are reached by TLS only, with the certificate verified (RFC 9525), unless the
address itself says how (sslmode=...).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from chatd.core.errors import Unavailable

__all__ = ["SCHEMES", "Database", "is_local"]

SCHEMES: Final = ("sqlite", "postgresql", "mysql")
_VALUE: Final = re.compile(r"\{(\w+)\}")
_STEPS: Final = 10_000          # of SQLite's machine, after which is looked whether the time is over


def is_local(url: str) -> bool:
    """Is the database on this machine: a file, a Unix socket, or a loopback address?"""
    parts = urlsplit(url)
    host = parts.hostname or (parse_qs(parts.query).get("host") or [""])[0]
    if parts.scheme == "sqlite" or not host or host == "localhost" or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@attrs.frozen
class Database:
    """One database. url: sqlite:FILE, postgresql://USER:PASSWORD@HOST/NAME, mysql://USER:PASSWORD@HOST/NAME.
    password: instead of one in url. ca: PEM file of who may sign its certificate. timeout_s: for each question."""

    url: str = attrs.field(repr=False)
    password: str = attrs.field(default="", repr=False)
    ca: Path | None = None
    timeout_s: int = 10

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        if parts.scheme == "sqlite":
            return self.url
        host = parts.hostname or (parse_qs(parts.query).get("host") or ["localhost"])[0]
        return f"{parts.scheme}://{host}{parts.path}"

    def rows(self, query: str, values: Mapping[str, str], most: int) -> list[dict[str, Any]]:
        """The first `most` rows by column names in small letters. Raises Unavailable, whatever goes wrong."""
        ask: Callable[[str, Mapping[str, str], int], list[dict[str, Any]]]
        ask = getattr(self, f"_ask_{urlsplit(self.url).scheme}")
        try:
            return ask(query, values, most)
        except Unavailable:
            raise
        except ImportError as error:
            raise Unavailable(f"the program for it is not installed ({error})") from None
        except Exception as error:      # each driver has exceptions of its own, and they tell no secrets
            raise Unavailable(" ".join(str(error).split())[:300] or type(error).__name__) from None

    def _ask_sqlite(self, query: str, values: Mapping[str, str], most: int) -> list[dict[str, Any]]:
        path = Path(self.url.partition(":")[2]).absolute()
        if not path.exists():
            raise Unavailable(f"there is no {path}")
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=self.timeout_s)) as connection:
            connection.set_authorizer(_only_reading)
            left = [self.timeout_s * 5_000]         # some million steps a second: far more than a question takes
            connection.set_progress_handler(lambda: left.__setitem__(0, left[0] - 1) or left[0] <= 0, _STEPS)
            return _named(connection.execute(_VALUE.sub(r":\1", query), dict(values)), most)

    def _ask_postgresql(self, query: str, values: Mapping[str, str], most: int) -> list[dict[str, Any]]:
        import psycopg

        more: dict[str, Any] = {"password": self.password} if self.password else {}
        if not is_local(self.url) and "sslmode" not in parse_qs(urlsplit(self.url).query):
            more |= {"sslmode": "verify-full", "sslrootcert": str(self.ca or "system")}
        # A network that is gone is noticed by the kernel, not after hours: the thread waits for it.
        more |= {"tcp_user_timeout": self.timeout_s * 1000, "keepalives_idle": self.timeout_s, "keepalives_interval": 5,
                 "keepalives_count": 2}
        with psycopg.connect(self.url, connect_timeout=self.timeout_s, autocommit=True, **more) as connection:
            connection.execute("SELECT set_config('statement_timeout', %s, false), "
                               "set_config('default_transaction_read_only', 'on', false)", [f"{self.timeout_s}s"])
            return _named(connection.execute(_pyformat(query), dict(values)), most)  # type: ignore[arg-type]

    def _ask_mysql(self, query: str, values: Mapping[str, str], most: int) -> list[dict[str, Any]]:
        import pymysql

        parts = urlsplit(self.url)
        asked = {name: found[0] for name, found in parse_qs(parts.query).items()}
        more: dict[str, Any] = {"unix_socket": asked["host"]} if asked.get("host", "").startswith("/") else {
            "host": parts.hostname or "127.0.0.1", "port": parts.port or 3306}
        if not is_local(self.url):
            more |= {"ssl_ca": str(self.ca) if self.ca else _system_ca(), "ssl_verify_cert": True,
                     "ssl_verify_identity": True}
        with closing(pymysql.connect(
                user=unquote(parts.username or ""), password=self.password or unquote(parts.password or ""),
                database=unquote(parts.path.strip("/")), charset="utf8mb4", connect_timeout=self.timeout_s,
                read_timeout=self.timeout_s, write_timeout=self.timeout_s, local_infile=False, **more)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("START TRANSACTION READ ONLY")
                cursor.execute(_pyformat(query), dict(values))
                return _named(cursor, most)


def _pyformat(query: str) -> str:
    """The query for drivers that mark values by %(name)s."""
    return _VALUE.sub(r"%(\1)s", query.replace("%", "%%"))


def _named(cursor: Any, most: int) -> list[dict[str, Any]]:
    if not cursor.description:
        raise Unavailable("the query gives no rows")
    names = [str(column[0]).lower() for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(most)]


def _only_reading(action: int, *_: Any) -> int:
    allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _system_ca() -> str:
    import ssl

    return ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
