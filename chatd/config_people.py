"""What is wrong between the settings of [[domain.auth]] and [[domain.directory]] that are each right alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from chatd.config_types import Address
from chatd.settings_people import AuthSource

__all__ = ["Wrong", "check_people"]

_SCHEMES = {"imap": ("imaps", "imap")}
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
            if source.kind == "file" and (source.path is None or source.path.suffix not in (".csv", ".json")):
                where = f"domain[{number}].directory[{place}].path"
                yield where, "no file is given, or one of no known kind", "a path that ends in .csv or .json"
        for name in domain.get("directory_readers", ()):
            if name not in names:
                yield f"domain[{number}].directory_readers", f"{name} is not served here", "the name of a [[domain]]"


def _check(source: AuthSource, where: str) -> Iterator[Wrong]:
    schemes = _SCHEMES.get(source.kind)
    scheme = source.url.partition(":")[0]
    if schemes and scheme not in schemes:
        problem = f"it is no address for {source.kind}" if scheme else "it is missing"
        yield f"{where}.url", problem, " or ".join(f"{scheme}://host" for scheme in schemes)
    elif source.plain and schemes:
        host = urlsplit(source.url).hostname or ""
        if scheme not in ("imap", "ldap"):
            yield f"{where}.plain", f"{scheme}: means TLS", "imap: with plain, or TLS without it"
        elif not Address(host, 0).is_loopback:
            yield f"{where}.plain", f"passwords would travel to {host} in the clear", "false, for TLS"
