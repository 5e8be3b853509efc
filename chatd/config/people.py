"""What is wrong between the settings of [[domain.auth]] and [[domain.directory]] that are each right alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

from chatd.outside.sql import is_local
from chatd.settings import Domain
from chatd.settings.kinds import Address
from chatd.settings.people import AuthSource, DirectorySource

__all__ = ["Wrong", "check_people", "sources_with_secrets"]

_SCHEMES = {"imap": ("imaps", "imap"), "ldap": ("ldaps", "ldap")}
Wrong = tuple[str, str, str]
"""Key, problem, what would be right."""


def check_people(domains: Iterable[Mapping[str, Any]]) -> Iterator[Wrong]:
    """Give what is wrong. domains: as read from the file so far."""
    domains = list(domains)
    names = {domain.get("name") for domain in domains}
    for number, domain in enumerate(domains):
        for place, source in enumerate(domain.get("auth", ())):
            yield from _check(source, f"domain[{number}].auth[{place}]")
        for place, source in enumerate(domain.get("directory", ())):
            yield from _check_directory(source, f"domain[{number}].directory[{place}]")
            if source.kind == "file" and (source.path is None or source.path.suffix not in (".csv", ".json")):
                where = f"domain[{number}].directory[{place}].path"
                yield where, "no file is given, or one of no known kind", "a path that ends in .csv or .json"
        yield from _check_groups(domain, f"domain[{number}]")
        for name in domain.get("directory_readers", ()):
            if name not in names:
                yield f"domain[{number}].directory_readers", f"{name} is not served here", "the name of a [[domain]]"


def _check(source: AuthSource, where: str) -> Iterator[Wrong]:
    yield from _check_server(source, where)
    if source.kind == "ldap":
        yield from _check_ldap(source, where)
    if source.kind == "sql":
        yield from _check_database(source, where)
        if source.query and not any(word in source.query for word in ("{address}", "{local}")):
            yield f"{where}.query", "it does not say who is meant", "{address} or {local} in it"


def _check_groups(domain: Mapping[str, Any], where: str) -> Iterator[Wrong]:
    groups = domain.get("group", ())
    if (groups or domain.get("groups_by_department")) and not domain.get("directory"):
        key = "group" if groups else "groups_by_department"
        yield f"{where}.{key}", "there is no directory that knows the people", '[[domain.directory]] kind = "internal"'
    names = [group.name for group in groups]
    for place, group in enumerate(groups):
        if not group.name or names.index(group.name) != place:
            yield f"{where}.group[{place}].name", "it is empty, or another group has it", "a name of its own"
        if not (group.members or group.department or group.everybody):
            yield f"{where}.group[{place}].members", "nobody is in it", "members, department or everybody"


def _check_directory(source: DirectorySource, where: str) -> Iterator[Wrong]:
    if source.kind == "ldap":
        yield from _check_server(source, where)
        yield from _check_bind(source, where)
        if not source.base:
            yield f"{where}.base", "it is missing", 'base = "ou=people,dc=example,dc=com"'
    if source.kind == "sql":
        yield from _check_database(source, where)


def _check_server(source: AuthSource | DirectorySource, where: str) -> Iterator[Wrong]:
    schemes = _SCHEMES.get(source.kind)
    scheme = source.url.partition(":")[0]
    if schemes and scheme not in schemes:
        problem = f"it is no address for {source.kind}" if scheme else "it is missing"
        yield f"{where}.url", problem, " or ".join(f"{scheme}://host" for scheme in schemes)
    elif source.plain and schemes:
        host = urlsplit(source.url).hostname or ""
        if scheme not in ("imap", "ldap"):
            yield f"{where}.plain", f"{scheme}: means TLS", f"{scheme[:-1]}: with plain, or TLS without it"
        elif not Address(host, 0).is_loopback:
            yield f"{where}.plain", f"passwords would travel to {host} in the clear", "false, for TLS"


def _check_database(source: AuthSource | DirectorySource, where: str) -> Iterator[Wrong]:
    """Give what is wrong with the settings of a question to a database."""
    if not source.database:
        yield f"{where}.database", "it is missing", '"postgresql://user@host/name", or "sqlite:FILE"'
    elif not is_local(source.database):
        modes = parse_qs(urlsplit(source.database).query).get("sslmode", [])
        if any(mode in ("disable", "allow", "prefer") for mode in modes):
            yield f"{where}.database", "what it tells would travel in the clear", "sslmode=verify-full, or none at all"
    if not source.query:
        yield f"{where}.query", "it is missing", 'a query such as "SELECT ... WHERE address = {address}"'
    if source.database_password and source.database_password_file:
        yield f"{where}.database_password", "database_password_file is given as well", "one of the two"


def _check_bind(source: AuthSource | DirectorySource, where: str) -> Iterator[Wrong]:
    if source.bind_password and source.bind_password_file:
        yield f"{where}.bind_password", "bind_password_file is given as well", "one of the two"
    if source.bind_dn and not (source.bind_password or source.bind_password_file):
        yield f"{where}.bind_password", "it is missing", "the password of bind_dn, or bind_password_file"


def _check_ldap(source: AuthSource, where: str) -> Iterator[Wrong]:
    yield from _check_bind(source, where)
    if bool(source.dn) == bool(source.base):
        yield f"{where}.base", "one of base and dn must be given", "base to search below, or dn without a search"
    elif not any(word in (source.dn or source.filter) for word in ("{address}", "{local}")):
        yield f"{where}.{'dn' if source.dn else 'filter'}", "it does not say who is meant", "{address} or {local} in it"


def sources_with_secrets(domains: Iterable[Domain], read: Callable[[Path | None, str], str]) -> tuple[Domain, ...]:
    """Return the domains with what stands in files of its own. read(file, key): the secret in a file."""

    def filled(source: Any, key: str) -> Any:
        found: dict[str, Any] = {}
        for name in ("bind_password", "database_password"):
            secret = read(getattr(source, f"{name}_file"), f"{key}.{name}_file")
            found |= {name: secret or getattr(source, name), f"{name}_file": None}
        return attrs.evolve(source, **found)

    def all_filled(domain: Domain, number: int, table: str) -> tuple[Any, ...]:
        return tuple(filled(source, f"domain[{number}].{table}[{place}]")
                     for place, source in enumerate(getattr(domain, table)))

    return tuple(
        attrs.evolve(domain, auth=all_filled(domain, number, "auth"), directory=all_filled(domain, number, "directory"))
        for number, domain in enumerate(domains))
