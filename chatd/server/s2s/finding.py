"""Where the server of a domain is: SRV records of both kinds (RFC 6120 3.2.1, XEP-0368), addresses IPv6 first.

The records for STARTTLS and for direct TLS are one list (XEP-0368 3); within a priority, chance by weight decides
(RFC 2782).  Without any record the domain's web site may name servers (`HostMetaFinder`), or else the domain's own
address is asked at port 5269.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from random import SystemRandom
from typing import Any, Final

import attrs
from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError, DNSQueryTimeoutError, DomainError, ResolverError
from twisted.names.hosts import Resolver as HostsResolver
from twisted.names.resolve import ResolverChain

from chatd.core.jid import ascii_domain

__all__ = ["Endpoint", "Finder", "NotFound", "Target", "TryLater", "in_order", "is_public", "system_resolver",
           "without_records"]

PORT: Final = 5269
_TIMEOUTS_S: Final = (2, 4)
_TARGETS_MOST: Final = 8
_ADDRESSES_MOST: Final = 4      # of one target
_HOST: Final = re.compile(rb"[a-z0-9_.-]{1,253}")
_NAT64: Final = IPv6Network("64:ff9b::/96")        # RFC 6052
_random = SystemRandom()


def system_resolver(reactor: Any) -> ResolverChain:
    """The resolver of this machine: its hosts file, then its DNS servers.

    Not twisted's createResolver(), which keeps all answers for as long as they say, without any bound: who owns a
    domain could fill the memory.  The DNS server has a cache.
    """
    return ResolverChain([HostsResolver(), Resolver(resolv="/etc/resolv.conf", reactor=reactor)])


class NotFound(Exception):
    """DNS knows no server for the domain; the text says so in a sentence."""


class TryLater(Exception):
    """DNS could not be asked."""


@attrs.frozen
class Target:
    """One SRV record, or what stands for it.

    Of a link of XEP-0487: addresses, which need not be looked up; sni: the name to ask for, which a certificate may be
    for as well; pins: SHA-256 of public keys that are good whatever their certificates say.
    """

    host: str
    port: int
    is_direct: bool
    priority: int = 0
    weight: int = 0
    addresses: tuple[str, ...] = ()
    sni: str = ""
    pins: frozenset[bytes] = frozenset()


@attrs.frozen
class Endpoint:
    """Where to connect; is_direct: TLS from the start. host: the name the address belongs to, for messages. sni, pins:
    see Target."""

    address: str
    port: int
    is_direct: bool
    host: str
    sni: str = ""
    pins: frozenset[bytes] = frozenset()

    def __str__(self) -> str:
        where = f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
        return f"{where} ({self.host}, {'direct TLS' if self.is_direct else 'STARTTLS'})"


def is_public(address: str) -> bool:
    """Is this the address of one machine on the Internet, and not of a private network, this machine or a group?

    Addresses that carry one of IPv4 are what they carry (IPv4-mapped, NAT64, 6to4).
    """
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return found.is_global and not found.is_multicast and not found.is_reserved


def without_records(domain: str) -> Target:
    """What stands for the records of a domain that has none (RFC 6120 3.2.2)."""
    return Target(ascii_domain(domain), PORT, False)


def in_order(targets: Iterable[Target], chance: Callable[[int], int] = _random.randrange) -> list[Target]:
    """The order to try them in, RFC 2782: chance(n) gives a number from 0 to n - 1."""
    waiting = sorted(targets, key=lambda target: (target.priority, target.weight))
    ordered = []
    while waiting:
        first = [target for target in waiting if target.priority == waiting[0].priority]
        point = chance(sum(target.weight for target in first) + 1)
        for target in first:
            point -= target.weight
            if point <= 0:
                break
        ordered.append(target)
        waiting.remove(target)
    return ordered


class Finder:
    """Asks DNS; `resolver` provides twisted's IResolver."""

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver

    async def targets(self, domain: str) -> list[Target]:
        """The servers of a domain, in the order to try them; none where there are no records (see `without_records`).
        Raises NotFound, TryLater."""
        name = ascii_domain(domain)
        found = await gatherResults(
            [maybeDeferred(self._services, f"_xmpp{kind}-server._tcp.{name}", bool(kind)) for kind in ("s", "")],
            consumeErrors=True).addErrback(_first_cause)
        targets = [target for one in found for target in one]
        usable = [target for target in targets if target.host and target.port]
        if targets and not usable:
            raise NotFound(f"DNS says that {domain} has no XMPP server.")
        return in_order(usable)[:_TARGETS_MOST]

    async def endpoints(self, target: Target) -> list[Endpoint]:
        """The addresses of a server, IPv6 and IPv4 by turns, none where it has none. Raises TryLater."""
        try:
            addresses = [str(ip_address(target.host.strip("[]")))]
        except ValueError:
            if target.addresses:
                six, four = ([one for one in target.addresses if (":" in one) is is_six] for is_six in (True, False))
            else:
                six, four = await gatherResults([
                    maybeDeferred(self._addresses, lookup, target.host)
                    for lookup in (self._resolver.lookupIPV6Address, self._resolver.lookupAddress)],
                    consumeErrors=True).addErrback(_first_cause)
            six, four = six[:_ADDRESSES_MOST // 2], four[:_ADDRESSES_MOST // 2]
            addresses = [address for pair in zip(six, four, strict=False) for address in pair]
            addresses += six[len(four):] + four[len(six):]
        return [Endpoint(address, target.port, target.is_direct, target.host, target.sni, target.pins)
                for address in addresses]

    async def _services(self, name: str, is_direct: bool) -> list[Target]:
        return [Target(_host(record.target.name), int(record.port), is_direct, int(record.priority), int(record.weight))
                for record in await self._ask(self._resolver.lookupService, name, dns.SRV)]

    async def _addresses(self, lookup: Callable[..., Awaitable[Any]], name: str) -> list[str]:
        kind = dns.AAAA if lookup == self._resolver.lookupIPV6Address else dns.A
        family = socket.AF_INET6 if kind == dns.AAAA else socket.AF_INET
        return [socket.inet_ntop(family, record.address) for record in await self._ask(lookup, name, kind)]

    async def _ask(self, lookup: Callable[..., Awaitable[Any]], name: str, kind: int) -> list[Any]:
        try:
            answers, _, _ = await lookup(name, _TIMEOUTS_S)
        except DNSNameError:
            return []
        except (DomainError, ResolverError, DNSQueryTimeoutError, ConnectTimeout, OSError, ValueError) as error:
            raise TryLater(f"DNS could not be asked about {name}: {_said(error)}.") from error
        return [answer.payload for answer in answers if answer.type == kind]


def _host(name: bytes) -> str:
    """The target of a record; "" (which is no server, RFC 2782) for what is no host name: anything may be in DNS."""
    host = name.lower().removesuffix(b".")
    return host.decode("ascii") if _HOST.fullmatch(host) else ""


def _said(error: Exception) -> str:
    said = "no answer in time" if isinstance(error, DNSQueryTimeoutError | ConnectTimeout) else str(error)
    return said.rstrip(".") or type(error).__name__


def _first_cause(failure: Any) -> Any:
    """gatherResults wraps what failed."""
    inner = getattr(failure.value, "subFailure", None)
    return inner if inner is not None else failure
