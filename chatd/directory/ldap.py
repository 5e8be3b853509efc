"""People from an LDAP server: everybody below a base that a filter finds, read page by page (RFC 2696).

Decoding an entry takes ldaptor a quarter of a millisecond, so pages are small and each is followed by a pause: reading
50,000 people takes a minute or two, in which nobody waits longer for the reactor than usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.task import deferLater

from chatd.core.people import PHOTOS_MOST, Person, make_person
from chatd.outside.ldap import connect, filter_text
from chatd.outside.tls import Server
from chatd.settings.people import DETAILS, DirectorySource

__all__ = ["read_ldap"]

_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "address": ("mail",), "name": ("displayName", "cn"), "title": ("title",),
    "department": ("department", "departmentNumber", "ou"), "phone": ("telephoneNumber", "mobile"),
    "photo": ("thumbnailPhoto", "jpegPhoto"),
}
_PAGE: Final = 40
_PAUSE_S: Final = 0.02
_MOST: Final = 500_000


async def read_ldap(source: DirectorySource, domain: str, reactor: Any) -> list[Person]:
    """The people of a domain. Raises whatever keeps it from being asked; a part of them is never given for all."""
    names = {**_USUAL, **source.attributes}
    wanted = sorted({attribute for found in names.values() for attribute in found})
    people: list[Person] = []
    photos = 0
    server = Server.of(source.url, source.plain, source.ca)
    with await connect(server, reactor, source.timeout_s) as connection:
        await connection.bind_as(source.bind_dn, source.bind_password).addTimeout(source.timeout_s, reactor)
        cookie, filter_ = b"", source.filter.format(domain=filter_text(domain))
        while True:
            asked = connection.page(source.base, filter_, wanted, _PAGE, cookie)
            entries, cookie = await asked.addTimeout(source.timeout_s, reactor)
            for entry in entries:
                person = _person(entry, names, domain, has_photo=photos < PHOTOS_MOST)
                if person is not None:
                    people.append(person)
                    photos += len(person.photo)
            if not cookie or len(people) >= _MOST:
                return people
            await deferLater(reactor, _PAUSE_S)


def _person(entry: Mapping[str, list[bytes]], names: Mapping[str, tuple[str, ...]], domain: str,
            has_photo: bool) -> Person | None:
    """The first address that is of the domain counts."""
    details: dict[str, object] = {}
    for detail in DETAILS:
        values = [value for name in names[detail] for value in entry.get(name.lower(), ())]
        if detail == "photo":
            details[detail] = values[0] if values and has_photo else None
        elif detail != "address":
            details[detail] = values[0].decode("utf-8", "replace") if values else None
    for name in names["address"]:
        for value in entry.get(name.lower(), ()):
            person = make_person({**details, "address": value.decode("utf-8", "replace")}, domain)
            if person is not None:
                return person
    return None
