"""Host Meta 2 (XEP-0487): where the servers of a domain are, as its web site says it in /.well-known/host-meta.json.

Values in, values out: `read` takes what somebody else's web site said, `written` is what ours says.  What is not as the
specification has it is left out link by link; a document without the object "xmpp" is one of XEP-0156 and says nothing
to servers.  Of the ways it knows, servers here have one, TLS from the start ("s2s-tls"); QUIC and WebSocket are left
out.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final

import attrs

__all__ = ["C2S_TLS", "S2S_TLS", "HostMeta", "Way", "link", "read", "written"]

C2S_TLS: Final = "urn:xmpp:alt-connections:tls"
S2S_TLS: Final = "urn:xmpp:alt-connections:s2s-tls"
TTL_S: Final = 3600
"""For how long others may keep what ours says."""
_LINKS_MOST: Final = 50
_IPS_MOST: Final = 8
_PINS_MOST: Final = 10
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")


@attrs.frozen
class Way:
    """One link to a server: `ips` are its addresses, `sni` the name to ask its TLS for."""

    ips: tuple[str, ...]
    port: int
    sni: str
    priority: int = 0
    weight: int = 0


@attrs.frozen
class HostMeta:
    """A document. ttl_s: how long it may be kept. pins: SHA-256 of public keys that are good for this domain, whatever
    their certificates say."""

    ttl_s: int
    ways: tuple[Way, ...]
    pins: frozenset[bytes] = frozenset()


def read(document: bytes) -> HostMeta | None:
    """What servers can use of it; None where this is no document of XEP-0487."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("xmpp"), dict):
        return None
    ttl, links = _whole(found["xmpp"].get("ttl"), 1 << 31), found.get("links")
    if ttl is None:
        return None
    ways = [_way(one) for one in links[:_LINKS_MOST] if isinstance(one, dict)] if isinstance(links, list) else []
    return HostMeta(ttl, tuple(way for way in ways if way is not None), _pins(found["xmpp"]))


def _way(one: Mapping[str, Any]) -> Way | None:
    port, priority, weight = (_whole(one.get(name), 65535) for name in ("port", "priority", "weight"))
    sni, ips = one.get("sni"), one.get("ips")
    if (one.get("rel") != S2S_TLS or not port or priority is None or weight is None or not isinstance(ips, list)
            or not isinstance(sni, str) or not _NAME.fullmatch(sni.lower())):
        return None
    addresses = tuple(text for ip in ips[:_IPS_MOST] if (text := _address(ip)))
    return Way(addresses, port, sni.lower(), priority, weight) if addresses else None


def _address(ip: object) -> str:
    try:
        # Without a zone, which would name an interface of ours.
        return "" if not isinstance(ip, str) or "%" in ip else str(ip_address(ip))
    except ValueError:
        return ""


def _whole(number: object, most: int) -> int | None:
    return number if type(number) is int and 0 <= number <= most else None


def _pins(xmpp: Mapping[str, Any]) -> frozenset[bytes]:
    said, pins = xmpp.get("public-key-pins-sha-256"), []
    for text in said[:_PINS_MOST] if isinstance(said, list) else ():
        try:
            pins.append(b64decode(text, validate=True))
        except (ValueError, TypeError):
            continue
    return frozenset(pin for pin in pins if len(pin) == 32)


def link(rel: str, ips: Iterable[str], sni: str, **more: str | int) -> dict[str, Any]:
    """One link of ours; more: "port", or "href"."""
    return {"rel": rel, **more, "ips": list(ips), "priority": 10, "weight": 10, "sni": sni}


def written(links: Iterable[Mapping[str, Any]], *, is_complete: bool) -> bytes:
    """The document with these links; is_complete: they are all there is to know, so nobody needs to ask DNS."""
    document: dict[str, Any] = {"xmpp": {"ttl": TTL_S}} if is_complete else {}
    return json.dumps({**document, "links": list(links)}).encode()
