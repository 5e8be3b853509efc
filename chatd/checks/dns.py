"""DNS: does the host have an address, do the SRV records lead to us, and which lines to add where they do
not.

RFC 6120 3.2.1 and XEP-0368 say how clients find the server: by the SRV records of the *domain*, and without
any by the domain's own address at port 5222. Names that only exist on this machine or in examples (RFC
6761) are not asked for.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryTimeoutError, DomainError, ResolverError

from chatd.checks import Finding, Grade
from chatd.settings import Settings
from chatd.settings.kinds import ascii_name

SUBJECT = "dns"
TIMEOUTS_S = (1, 2)
LOCAL_NAMES = (
    "localhost",
    "test",
    "invalid",
    "example",
    "example.com",
    "example.net",
    "example.org",
    "local",
)

Lookup = Callable[[str, Any], Awaitable[Any]]


@attrs.frozen
class Service:
    """An SRV record a domain should have: name ("_xmpp-client._tcp"), port of ours, why."""

    name: str
    port: int
    why: str


class Unknown(Exception):
    """The question could not be asked: no network, no resolver, no answer in time."""


@attrs.frozen
class Resolver:
    """Asks by twisted.names; resolver provides IResolver, every question takes three seconds at most."""

    resolver: Any

    async def srv(self, service: str, domain: str) -> list[tuple[str, int]]:
        """Return (target, port) of every SRV record of service.domain, [] if there is none; raises Unknown."""
        answers = await self._ask(self.resolver.lookupService, f"{service}.{ascii_name(domain)}")
        payloads = [answer.payload for answer in answers if answer.type == dns.SRV]
        return [(str(payload.target).lower().rstrip("."), int(payload.port)) for payload in payloads]

    async def addresses(self, name: str) -> list[str]:
        """Return the IP addresses of name, [] if it has none; raises Unknown."""
        found: list[str] = []
        for lookup, kind in (
            (self.resolver.lookupAddress, dns.A),
            (self.resolver.lookupIPV6Address, dns.AAAA),
        ):
            found += [
                answer.payload.dottedQuad() if kind == dns.A else _ipv6(answer.payload)
                for answer in await self._ask(lookup, ascii_name(name))
                if answer.type == kind
            ]
        return found

    async def _ask(self, lookup: Lookup, name: str) -> list[Any]:
        try:
            answers, _, _ = await lookup(name, TIMEOUTS_S)
        except DNSNameError:
            return []
        except (DomainError, ResolverError, DNSQueryTimeoutError, ConnectTimeout, OSError) as error:
            raise Unknown(str(error) or type(error).__name__) from error
        return list(answers)


def _ipv6(payload: Any) -> str:
    return socket.inet_ntop(socket.AF_INET6, payload.address)


def is_local(name: str) -> bool:
    """Return whether the name is one that public DNS never has."""
    return "." not in name or any(name == local or name.endswith("." + local) for local in LOCAL_NAMES)


def services(settings: Settings) -> list[Service]:
    """Return the SRV records that each domain should have, from what is listened on beyond loopback."""
    found = []
    for addresses, name, why in (
        (settings.listen.c2s, "_xmpp-client._tcp", "clients with STARTTLS"),
        (settings.listen.c2s_tls, "_xmpps-client._tcp", "clients with TLS from the start (XEP-0368)"),
        (settings.listen.s2s, "_xmpp-server._tcp", "other servers with STARTTLS"),
        (settings.listen.s2s_tls, "_xmpps-server._tcp", "other servers with TLS from the start (XEP-0368)"),
    ):
        outside = [address for address in addresses if not address.is_loopback] or list(addresses)
        if outside:
            found.append(Service(name, outside[0].port, why))
    return found


def record(service: Service, domain: str, host: str) -> str:
    """Return the line of a zone file that gives domain this service."""
    ascii_domain, ascii_host = (ascii_name(name) for name in (domain, host))
    return f"{service.name}.{ascii_domain}. 3600 IN SRV 5 0 {service.port} {ascii_host}."


async def check(settings: Settings, resolver: Resolver) -> list[Finding]:
    """Look up what the domains and the host need."""
    host = settings.server.host
    findings = await _host(host, resolver)
    for domain in settings.domains:
        wanted = services(settings)
        if is_local(domain.name) or is_local(host):
            text = f"{domain.name} at {host}: a name for this machine or for examples, nothing to look up."
            lines = tuple(record(service, domain.name, host) for service in wanted)
            findings.append(Finding(SUBJECT, Grade.NOTE, text, ("In public DNS it would need:", *lines)))
            continue
        for service in wanted:
            findings.append(await _service(service, domain.name, host, resolver))
        if not settings.has_federation:
            findings += await _servers(domain.name, host, resolver)
    return findings


async def _host(host: str, resolver: Resolver) -> list[Finding]:
    if is_local(host):
        return []
    try:
        addresses = await resolver.addresses(host)
    except Unknown as unknown:
        return [Finding(SUBJECT, Grade.NOTE, f"DNS could not be asked about {host}: {unknown}.")]
    if not addresses:
        advice = (f"{ascii_name(host)}. 3600 IN A <the address of this machine>",)
        return [Finding(SUBJECT, Grade.ERROR, f"{host} has no address in DNS.", advice)]
    return [Finding(SUBJECT, Grade.OK, f"{host} is {', '.join(addresses)}.")]


async def _service(service: Service, domain: str, host: str, resolver: Resolver) -> Finding:
    line = record(service, domain, host)
    try:
        found = await resolver.srv(service.name, domain)
    except Unknown as unknown:
        text = f"DNS could not be asked about {service.name}.{domain}: {unknown}."
        return Finding(SUBJECT, Grade.NOTE, text, ("It should hold:", line))
    if (ascii_name(host), service.port) in found:
        return Finding(SUBJECT, Grade.OK, f"{service.name}.{domain} leads to {host}:{service.port}.")
    if found:
        places = ", ".join(f"{target}:{port}" for target, port in found)
        text = f"{service.name}.{domain} leads to {places}, not to {host}:{service.port}."
        return Finding(SUBJECT, Grade.ERROR, text, ("Right for this server would be:", line))
    if domain == host and service.port == 5222:
        text = f"{service.name}.{domain} is not there; clients then try {domain}:5222, which is right."
        return Finding(SUBJECT, Grade.NOTE, text, ("Better, because some clients ask for it:", line))
    # Without it only clients that know direct TLS lose something: they come by STARTTLS.
    grade = Grade.WARNING if service.name.startswith("_xmpps") else Grade.ERROR
    return Finding(SUBJECT, grade, f"{service.name}.{domain} is not there ({service.why}).", ("Add:", line))


async def _servers(domain: str, host: str, resolver: Resolver) -> list[Finding]:
    """Warn of records that send other servers here, where nothing listens for them."""
    findings = []
    for name in ("_xmpp-server._tcp", "_xmpps-server._tcp"):
        try:
            found = await resolver.srv(name, domain)
        except Unknown:
            continue
        if any(target == ascii_name(host) for target, _ in found):
            text = f"{name}.{domain} sends other servers here, where nothing listens for them."
            line = f"{name}.{ascii_name(domain)}. 3600 IN SRV 0 0 0 ."
            findings.append(Finding(SUBJECT, Grade.WARNING, text, ("RFC 2782's way to say no:", line)))
    return findings
