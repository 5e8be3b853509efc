"""Where passwords are checked: is each of these servers there, with a trusted certificate, and ready?

No password is sent; whether people can log in, `chatctl user check-password` says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from chatd.auth.sources import make_passwords, title_of
from chatd.checks import Finding, Grade
from chatd.core.errors import Unavailable
from chatd.directory.file import read_people
from chatd.directory.sql import database_of, read_sql
from chatd.outside.tls import Server, reason_of
from chatd.settings import Settings
from chatd.settings.people import DirectorySource

SUBJECT = "people"


async def check(settings: Settings, reactor: Any) -> AsyncIterator[Finding]:
    """Ask each source of each domain."""
    for domain in settings.domains:
        for directory in domain.directory:
            if directory.kind == "file":
                yield _file(domain.name, directory.path)
            elif directory.kind != "internal":
                yield await _server(domain.name, directory, reactor)
        for source in domain.auth:
            if source.kind == "internal":
                continue
            where = f"{domain.name}: passwords of {title_of(source)}"
            try:
                asked: Deferred[None] = make_passwords(source, reactor).probe()
                await asked.addTimeout(source.timeout_s, reactor)
            except Exception:
                text = f"{where}: {reason_of(Failure())}."
                advice = ("Until that is mended nobody of this domain can log in by this way.",)
                yield Finding(SUBJECT, Grade.ERROR, text, advice)
            else:
                yield Finding(SUBJECT, Grade.OK, f"{where}: ready.")


async def _server(domain: str, source: DirectorySource, reactor: Any) -> Finding:
    """Reads everybody, as the daemon will."""
    try:
        if source.kind == "ldap":
            from chatd.directory.ldap import read_ldap  # only who has an LDAP server needs ldaptor

            title = str(Server.of(source.url, source.plain, source.ca))
            people = await read_ldap(source, domain, reactor)
        else:
            title = str(database_of(source))
            people = await deferToThread(read_sql, source, domain)
    except Exception:
        advice = ("People cannot be found by name until that is mended.",)
        return Finding(SUBJECT, Grade.ERROR, f"{domain}: directory of {title}: {reason_of(Failure())}.", advice)
    if not people:
        advice = (f"Each needs an address of {domain}.",)
        return Finding(SUBJECT, Grade.WARNING, f"{domain}: directory: nobody of this domain is in {title}.", advice)
    return Finding(SUBJECT, Grade.OK, f"{domain}: directory: {len(people)} people in {title}.")


def _file(domain: str, path: Any) -> Finding:
    try:
        people = read_people(path, domain)
    except Unavailable as error:
        return Finding(SUBJECT, Grade.ERROR, f"{domain}: directory: {error}.")
    if not people:
        advice = (f"Each needs an address of {domain}.",)
        return Finding(SUBJECT, Grade.WARNING, f"{domain}: directory: nobody of this domain is in {path}.", advice)
    return Finding(SUBJECT, Grade.OK, f"{domain}: directory: {len(people)} people in {path}.")
