"""Addresses, RFC 7622: parsed once, kept in their canonical form, compared as text.

Everything in the daemon that is keyed by an address is keyed by `bare` or `full`, both plain
str, so a look-up never parses.  Parsing is cached: a busy server sees the same addresses all
the time, and PRECIS costs far more than a dictionary.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

import attrs
import idna
from precis_i18n import get_profile

__all__ = ["JID", "InvalidJID", "ascii_domain"]

_MOST: Final = 1023                     # octets of each part, RFC 7622 3.2-3.4
_LONGEST: Final = 3 * _MOST + 2
_CACHED_MOST: Final = 256               # characters; longer ones are parsed each time
_NOT_IN_LOCAL: Final = frozenset("\"&'/:<>@")    # RFC 7622 3.3.1
# The mapped and preserved profiles that RFC 7622 3.3 and 3.4 name.
_LOCAL: Final = get_profile("UsernameCaseMapped")
_RESOURCE: Final = get_profile("OpaqueString")
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_DOTS: Final = (".", "\u3002", "\uff0e", "\uff61")      # what IDNA takes for one
_PLAIN_RESOURCE: Final = frozenset(map(chr, range(0x20, 0x7F)))


def ascii_domain(domain: str) -> str:
    """The domain of an address as DNS and certificates have it: A-labels of IDNA 2008, as addresses are read.

    What cannot be a name in DNS (an IPv6 address, a name with an underscore) stays as it is.
    """
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        return domain


class InvalidJID(ValueError):
    """The text is no address of RFC 7622; the message says which part is wrong."""


@attrs.frozen(eq=False)
class JID:
    """An address in canonical form; parts that are absent are empty.

    Made by `parse` or `of` only, so that whoever holds one holds a valid one.
    """

    local: str
    domain: str
    resource: str
    bare: str
    full: str

    @staticmethod
    def parse(text: str) -> JID:
        """The address written in `text`; raises InvalidJID (RFC 7622 3.1)."""
        return _parse(text) if len(text) <= _CACHED_MOST else _parse_anew(text)

    @staticmethod
    def of(local: str, domain: str, resource: str = "") -> JID:
        """The address of these parts, each prepared; raises InvalidJID."""
        bare = f"{local}@{domain}" if local else domain
        return JID.parse(f"{bare}/{resource}" if resource else bare)

    def with_resource(self, resource: str) -> JID:
        """This account's address with another resource; raises InvalidJID."""
        return JID.parse(f"{self.bare}/{resource}")

    def __str__(self) -> str:
        return self.full

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JID) and other.full == self.full

    def __hash__(self) -> int:
        return hash(self.full)


def _parse_anew(text: str) -> JID:
    if len(text) > _LONGEST:
        raise InvalidJID("address is too long")
    rest, slash, resource = text.partition("/")
    local, at, domain = rest.partition("@")
    if not at:
        local, domain = "", rest
    elif not local:
        raise InvalidJID("local part is empty")
    if slash and not resource:
        raise InvalidJID("resource is empty")
    local = _prepare_local(local) if local else ""
    domain = _prepare_domain(domain)
    resource = _prepare_resource(resource) if resource else ""
    bare = f"{local}@{domain}" if local else domain
    return JID(local, domain, resource, bare, f"{bare}/{resource}" if resource else bare)


# Strangers choose what is looked up here, so the cache is bounded in entries and in their length.
_parse = lru_cache(maxsize=32768)(_parse_anew)


def _bounded(part: str, name: str) -> str:
    if not part:
        raise InvalidJID(f"{name} is empty")
    if len(part) > _MOST or len(part.encode()) > _MOST:
        raise InvalidJID(f"{name} is longer than {_MOST} octets")
    return part


def _prepare_local(part: str) -> str:
    if not _PLAIN.issuperset(part):
        try:
            part = _LOCAL.enforce(part)
        except UnicodeError as error:
            raise InvalidJID("local part has a character that is not allowed") from error
        if not _NOT_IN_LOCAL.isdisjoint(part):
            raise InvalidJID("local part has a character that is not allowed")
    return _bounded(part, "local part")


def _prepare_resource(part: str) -> str:
    if not _PLAIN_RESOURCE.issuperset(part):
        try:
            part = _RESOURCE.enforce(part)
        except UnicodeError as error:
            raise InvalidJID("resource has a character that is not allowed") from error
    return _bounded(part, "resource")


def _prepare_domain(part: str) -> str:
    if part.endswith(_DOTS):                    # RFC 7622 3.2: a trailing root label is dropped
        part = part[:-1]
    _bounded(part, "domain")
    if part.startswith("["):
        try:
            return f"[{IPv6Address(part[1:].removesuffix(']')).compressed}]" if part.endswith("]") else _no(part)
        except ValueError as error:
            raise InvalidJID("domain is not an IPv6 address") from error
    part = part.lower()
    if _PLAIN.issuperset(part):
        if ".." in part or part.startswith((".", "-")) or part.endswith(".") or "xn--" in part:
            return _idna(part)
        return part
    return _idna(part)


def _idna(part: str) -> str:
    """U-labels by IDNA 2008 with the mapping of UTS 46, which takes A-labels and wide forms as well."""
    try:
        name = idna.decode(idna.encode(part, uts46=True))
    except UnicodeError as error:
        raise InvalidJID("domain is not a valid name") from error
    # IDNA leaves a root label: with it one domain would have two names, and rules would hold for one of them.
    return _no(name) if name.endswith(".") else name


def _no(part: str) -> str:
    raise InvalidJID("domain is not a valid name")
