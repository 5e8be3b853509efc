"""From [[domain.auth]] to checkers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from chatd.auth.imap import ImapPasswords
from chatd.auth.outside import InOrder, OutsideChecker, Passwords
from chatd.auth.remembered import Remembered
from chatd.auth.sql import SqlPasswords
from chatd.outside.sql import Database
from chatd.outside.tls import Server
from chatd.settings import Domain, Settings
from chatd.settings.people import AuthSource

__all__ = ["make_checkers", "make_passwords", "title_of"]


def make_checkers(settings: Settings, internal: Any, reactor: Any,
                  in_thread: Callable[..., Deferred[Any]]) -> Mapping[str, Any]:
    """An IAccountChecker for each domain. internal: the one for chatd's own accounts."""
    return {domain.name: _checker(domain, settings, internal, reactor, in_thread) for domain in settings.domains}


def _checker(domain: Domain, settings: Settings, internal: Any, reactor: Any,
             in_thread: Callable[..., Deferred[Any]]) -> Any:
    if all(source.kind == "internal" for source in domain.auth):
        return internal
    iterations = settings.auth.scram_iterations if domain.scram else 0
    checkers = []
    for source in domain.auth:
        if source.kind == "internal":
            checkers.append(internal)
            continue
        remembered = Remembered(source.cache_s, reactor.seconds, in_thread, iterations)
        checkers.append(OutsideChecker(
            title_of(source), make_passwords(source, reactor), source.login, remembered, source.connections,
            source.timeout_s, reactor, has_verifiers=domain.scram and source.cache_s > 0))
    return InOrder(checkers)


def make_passwords(source: AuthSource, reactor: Any) -> Passwords:
    """What asks this source; ValueError for the internal one."""
    if source.kind == "imap":
        return ImapPasswords(Server.of(source.url, source.plain, source.ca), reactor, source.timeout_s)
    if source.kind == "ldap":
        from chatd.auth.ldap import LdapPasswords  # only who has an LDAP server needs ldaptor

        return LdapPasswords(Server.of(source.url, source.plain, source.ca), source, reactor)
    if source.kind == "sql":
        return SqlPasswords(_database(source), source, reactor)
    raise ValueError(source.kind)


def title_of(source: AuthSource) -> str:
    """The source in a few words; nothing secret."""
    if source.kind == "sql":
        return str(_database(source))
    return str(Server.of(source.url, source.plain, source.ca))


def _database(source: AuthSource) -> Database:
    return Database(source.database, source.database_password, source.ca, source.timeout_s)
