"""People from a file: CSV with a line of column names, or a JSON list of objects. UTF-8.

name, address, title, department, phone, photo (a JPEG or PNG file, found from where the file is). Only address must be
there; other columns are ignored.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Final

from chatd.core.errors import Unavailable
from chatd.core.people import Person, make_person

__all__ = ["read_people", "stamp_of"]

_BYTES_MOST: Final = 256 * 1024 * 1024


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_people(path: Path, domain: str) -> list[Person]:
    """The people of a domain in a file. Raises Unavailable, with a text for whoever wrote the file."""
    try:
        if path.stat().st_size > _BYTES_MOST:
            raise Unavailable(f"{path} is larger than {_BYTES_MOST >> 20} MiB")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unavailable(f"{path} is not UTF-8") from None
    rows = _from_json(path, text) if path.suffix == ".json" else _from_csv(path, text)
    found = (make_person(_with_photo(row, path), domain) for row in rows)
    return [person for person in found if person is not None]


def _from_csv(path: Path, text: str) -> list[dict[str, Any]]:
    first = text.partition("\n")[0]
    between = max(",;\t", key=first.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=between, strict=True)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if "address" not in names:
            raise Unavailable(f"{path} has no column address in its first line")
        reader.fieldnames = names
        return list(reader)
    except csv.Error as error:
        raise Unavailable(f"{path} is not CSV: line {reader.line_num}: {error}") from None


def _from_json(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{path} is not JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise Unavailable(f"{path} is not a list of objects")
    return found


def _with_photo(row: dict[str, Any], path: Path) -> dict[str, object]:
    """The row with its picture read; one that cannot be read is none."""
    name = row.get("photo")
    if not isinstance(name, str) or not name.strip():
        return {**row, "photo": None}
    place = path.parent / name.strip()
    try:
        if not place.resolve().is_relative_to(path.parent.resolve()):
            return {**row, "photo": None}
        with place.open("rb") as file:
            return {**row, "photo": file.read(1_000_000)}
    except (OSError, ValueError):
        return {**row, "photo": None}
