"""People from a database: one query, whose columns are called address, name, title, department, phone, photo."""

from __future__ import annotations

from typing import Final

from chatd.core.errors import Unavailable
from chatd.core.people import PHOTOS_MOST, Person, make_person
from chatd.outside.sql import Database
from chatd.settings.people import DirectorySource

__all__ = ["database_of", "read_sql"]

_MOST: Final = 500_000


def database_of(source: DirectorySource) -> Database:
    """Where it asks."""
    return Database(source.database, source.database_password, source.ca, source.timeout_s)


def read_sql(source: DirectorySource, domain: str) -> list[Person]:
    """The people of a domain. Blocks; raises Unavailable."""
    rows = database_of(source).rows(source.query, {"domain": domain}, _MOST)
    if rows and "address" not in rows[0]:
        raise Unavailable("the query gives no column called address")
    people: list[Person] = []
    photos = 0
    for row in rows:
        photo = row.get("photo")
        is_kept = isinstance(photo, bytes | bytearray | memoryview) and photos < PHOTOS_MOST
        person = make_person({**row, "photo": bytes(photo) if is_kept and photo is not None else None}, domain)
        if person is not None:
            people.append(person)
            photos += len(person.photo)
    return people
