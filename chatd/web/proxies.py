"""Whom a request really comes from, when a reverse proxy on this machine passes it on.

A proxy adds ``X-Forwarded-For`` (one address per hop, the nearest last) and ``X-Forwarded-Proto``. Anybody
can send those headers, so they count only when the connection itself comes from a proxy the site has named.
Does not read RFC 7239 ``Forwarded``: the proxies people use here all send the X- forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

Network = IPv4Network | IPv6Network


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address as it stands in a header or on a transport.

    `text` may carry a port, brackets or an IPv6 zone; an IPv4 address mapped into IPv6 becomes the IPv4 one.
    Returns None for anything that is not an address.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


@attrs.frozen
class TrustedProxies:
    """The networks whose forwarding headers are believed."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str | Network]) -> TrustedProxies:
        """Build from addresses ("127.0.0.1"), networks ("10.0.0.0/8") or network objects.

        Raises ValueError for text that is neither.
        """
        return cls(tuple(ip_network(str(name), strict=False) for name in names))

    def trusts(self, host: str) -> bool:
        """Tell whether `host`, an address as text, is one of the named proxies."""
        address = parse_address(host)
        return address is not None and any(
            address.version == network.version and address in network for network in self.networks
        )

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """Return the address of the person's machine.

        `peer` is the other end of the connection, `forwarded_for` the values of all X-Forwarded-For headers
        in order. Walks from the nearest hop outwards and stops at the first address that is not a named
        proxy: what stands further left was written by a stranger. Unreadable entries end the walk at the last
        good address.
        """
        if not self.trusts(peer):
            return peer
        hops = [hop for value in forwarded_for for hop in value.split(",") if hop.strip()]
        found = peer
        for hop in reversed(hops):
            address = parse_address(hop)
            if address is None:
                break
            found = str(address)
            if not self.trusts(found):
                break
        return found

    def is_secure(self, peer: str, secure: bool, forwarded_proto: str | None) -> bool:
        """Tell whether the person's own connection is encrypted.

        `secure` says whether the connection to us is; `forwarded_proto` is the X-Forwarded-Proto value or
        None, of which the last entry (our own proxy's) counts.
        """
        if secure or forwarded_proto is None or not self.trusts(peer):
            return secure
        return forwarded_proto.rpartition(",")[2].strip().lower() in ("https", "wss")


def is_loopback(host: str) -> bool:
    """Tell whether `host`, an address as text, is this machine itself."""
    address = parse_address(host)
    return address is not None and address.is_loopback
