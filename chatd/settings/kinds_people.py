"""Kinds of settings that only [[domain.auth]] and [[domain.directory]] have; see chatd.settings.kinds."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from chatd.settings.kinds import Template, Wrong

__all__ = ["Attributes", "DatabaseURL", "Members", "Query"]


@frozen
class DatabaseURL:
    """ "sqlite:FILE", "postgresql://USER@HOST/NAME" or "mysql://USER@HOST/NAME"; "" stands for none. A password in it
    is never shown again."""

    def read(self, value: object, base: Path) -> str:
        """Return the address, with the whole path of a file."""
        right = '"postgresql://user@host/name", "mysql://user@host/name" or "sqlite:/path/of/the/file"'
        if value == "":
            return ""
        if not isinstance(value, str):
            raise Wrong("this is not a text", right)
        scheme, _, rest = value.partition(":")
        if scheme == "sqlite" and rest.strip("/"):
            return f"sqlite:{base / rest}"
        try:
            parts = urlsplit(value)
            is_good = parts.port != 0 and bool(parts.path.strip("/"))
        except ValueError:
            is_good = False
        if scheme not in ("postgresql", "mysql") or not rest.startswith("//") or not is_good:
            raise Wrong("this names no database", right)
        return value


@frozen
class Query:
    """An SQL query in which words in braces stand for values; it may have several lines."""

    words: tuple[str, ...]
    example: str

    def read(self, value: object, base: Path) -> str:
        """Return it in one line; "" stands for none."""
        if not isinstance(value, str):
            raise Wrong("this is not a text", f'a query such as "{self.example}"')
        return Template(self.words, self.example).read(" ".join(value.split()), base)


@frozen
class Attributes:
    """Which attributes of a server hold what is known of people: { name = ["displayName", "cn"], phone = "mobile" }."""

    known: tuple[str, ...]

    def read(self, value: object, base: Path) -> dict[str, tuple[str, ...]]:
        """Return the attributes by what they hold, the best first; no attribute means that it is not read."""
        right = 'a table such as { name = ["displayName", "cn"], phone = "mobile" }'
        if not isinstance(value, dict):
            raise Wrong("this is not a table", right)
        found = {}
        for key, names in value.items():
            if key not in self.known:
                raise Wrong(f"{key} is not known here", "any of " + ", ".join(self.known))
            listed = [names] if isinstance(names, str) else names
            if not isinstance(listed, list) or not all(
                    isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9;.-]*|", name) for name in listed):
                raise Wrong(f"{key} names no attributes", right)
            found[key] = tuple(name for name in listed if name)
        return found


@frozen
class Members:
    """A list of people by their addresses, or what stands before the @ of them."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return the addresses as they are, without blanks around them."""
        right = 'a list such as ["anna@example.com", "bob"]'
        if not isinstance(value, list):
            raise Wrong("this is not a list", right)
        for item in value:
            if not isinstance(item, str) or not item.strip() or not item.isprintable() or item.count("@") > 1:
                raise Wrong(f"{item!r} is not an address", right)
        return tuple(item.strip() for item in value)
