"""Kinds of settings that only [[domain.auth]] and [[domain.directory]] have; see chatd.config_types."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from chatd.config_types import Template, Wrong

__all__ = ["DatabaseURL", "Query"]


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
