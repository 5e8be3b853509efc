"""The settings that say who people are: [[domain.auth]], where passwords are checked, and [[domain.directory]], where
the people of a domain are known by name. As in chatd.settings, of which this is a part.
"""

from __future__ import annotations

from pathlib import Path

import attrs
from attrs import frozen

from chatd.settings.kinds import Choice, FilePath, Flag, Secret, ServerAddress, Template, Text, Whole, setting
from chatd.settings.kinds_people import Attributes, DatabaseURL, Members, Query

ADDRESS = ("address", "local", "domain")
"""The parts of an address that templates may name."""
DETAILS = ("address", "name", "title", "department", "phone", "photo")
"""What a directory may know of people."""


@frozen(kw_only=True)
class AuthSource:
    """[[domain.auth]]: one place where the passwords of a domain are checked; several are asked in order."""

    kind: str = setting(
        attrs.NOTHING, Choice(("internal", "imap", "ldap", "sql")), "Who knows the passwords.",
    )
    url: str = setting("", ServerAddress(("imaps", "imap", "ldaps", "ldap")), "Where that server is.", secret=True)
    ca: Path | None = setting(
        None, FilePath("/etc/chatd/our-ca.pem"), "PEM file: who may sign its certificate; else who this system trusts."
    )
    plain: bool = setting(False, Flag(), "Without TLS; only to a server on this machine.")
    login: str = setting(
        "{address}", Template(ADDRESS, "{local}"), "What the server gets as user name; LDAP: what is looked for."
    )
    timeout_s: int = setting(10, Whole(1, 60), "Until an answer must be there.")
    connections: int = setting(10, Whole(1, 200), "To that server at a time.")
    cache_s: int = setting(
        300, Whole(0, 86400), "So long a right password is not asked for again; 0 asks each time."
    )
    base: str = setting("", Text("ou=people,dc=example,dc=com"), "LDAP: below it people are searched.")
    filter: str = setting(
        "(mail={address})", Template(ADDRESS, "(&(objectClass=person)(mail={address}))"), "LDAP: finds one person."
    )
    dn: str = setting(
        "", Template(ADDRESS, "uid={local},ou=people,dc=example,dc=com"), "LDAP: the person's DN, without a search."
    )
    bind_dn: str = setting(
        "", Text("cn=chatd,dc=example,dc=com"), "LDAP: who searches; without it, nobody in particular."
    )
    bind_password: str = setting("", Secret(), "LDAP: the password of bind_dn.", secret=True)
    bind_password_file: Path | None = setting(
        None, FilePath("/etc/chatd/ldap-password"), "LDAP: a file that holds it instead."
    )
    database: str = setting("", DatabaseURL(), "SQL: the database that has the user table.", secret=True)
    database_password_file: Path | None = setting(
        None, FilePath("/etc/chatd/database-password"), "SQL: a file that holds its password, instead of one in it."
    )
    database_password: str = setting("", Secret(), "SQL: its password, instead of one in it.", secret=True)
    query: str = setting(
        "", Query(ADDRESS, "SELECT password FROM users WHERE address = {address}"), "SQL: gives the hash of one person."
    )


@frozen(kw_only=True)
class DirectorySource:
    """[[domain.directory]]: one place that knows the people of a domain; several are joined."""

    kind: str = setting(attrs.NOTHING, Choice(("internal", "file", "ldap", "sql")), "Who knows the people.")
    path: Path | None = setting(
        None, FilePath("/etc/chatd/people.csv"), "The file: CSV or JSON; read again when it changes."
    )
    refresh_s: int = setting(900, Whole(10, 86400), "LDAP, SQL: after so long everybody is read again.")
    timeout_s: int = setting(30, Whole(1, 600), "LDAP, SQL: until an answer must be there.")
    url: str = setting("", ServerAddress(("ldaps", "ldap")), "LDAP: where that server is.", secret=True)
    ca: Path | None = setting(
        None, FilePath("/etc/chatd/our-ca.pem"), "PEM file: who may sign its certificate; else who this system trusts."
    )
    plain: bool = setting(False, Flag(), "LDAP: without TLS; only to a server on this machine.")
    base: str = setting("", Text("ou=people,dc=example,dc=com"), "LDAP: below it everybody is.")
    filter: str = setting(
        "(mail=*@{domain})", Template(("domain",), "(&(objectClass=person)(mail=*@{domain}))"), "LDAP: who is listed."
    )
    attributes: dict[str, tuple[str, ...]] = setting(
        {}, Attributes(DETAILS), "LDAP: which attributes hold what, where it is not as usual."
    )
    bind_dn: str = setting(
        "", Text("cn=chatd,dc=example,dc=com"), "LDAP: who searches; without it, nobody in particular."
    )
    bind_password: str = setting("", Secret(), "LDAP: the password of bind_dn.", secret=True)
    bind_password_file: Path | None = setting(
        None, FilePath("/etc/chatd/ldap-password"), "LDAP: a file that holds it instead."
    )
    database: str = setting("", DatabaseURL(), "SQL: the database that has the people.", secret=True)
    database_password_file: Path | None = setting(
        None, FilePath("/etc/chatd/database-password"), "SQL: a file that holds its password, instead of one in it."
    )
    database_password: str = setting("", Secret(), "SQL: its password, instead of one in it.", secret=True)
    query: str = setting(
        "", Query(("domain",), "SELECT address, name FROM people WHERE domain = {domain}"), "SQL: gives everybody."
    )


@frozen(kw_only=True)
class OrganisationGroup:
    """[[domain.group]]: a group of people who have each other in their contact lists without asking."""

    name: str = setting(attrs.NOTHING, Text("Support"), "What the group is called.")
    members: tuple[str, ...] = setting((), Members(), "Who is in it, by address.")
    department: str = setting("", Text("Sales"), "Everybody whose department in the directory is this one.")
    everybody: bool = setting(False, Flag(), "All people of the directory.")
