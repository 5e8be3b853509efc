"""Several servers on loopback that find each other by a DNS of the test's own, with certificates of its own authority.

Each domain gets the record _xmpp-server (and _xmpps-server where it is told a port for that), and an address.  Nobody
outside is asked.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.names import dns

from chatd.selfsigned import write_pair
from tests.daemon import Daemon, free_ports

HERE = "here.example"
THERE = "there.example"


class Authority:
    """Signs certificates; `file` is its own, in PEM."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key, 30).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: Any, days: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=2))
                .not_valid_after(now + timedelta(days=days)))

    def issue(self, folder: Path, names: list[str], days: float = 10, *, server_only: bool = True) -> tuple[Path, Path]:
        """A certificate for these names and its key, in folder; days: until it expires, negative for one that has."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] + ([] if server_only else [ExtendedKeyUsageOID.CLIENT_AUTH])
        made = (self._builder(subject, key, days)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
                .add_extension(x509.BasicConstraints(False, None), critical=True)
                .add_extension(x509.ExtendedKeyUsage(usages), critical=False).sign(self.key, hashes.SHA256()))
        files = folder / f"{names[0]}.crt", folder / f"{names[0]}.key"
        files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return files


class NoAuthority(Authority):
    """Its certificates are signed by themselves."""

    def issue(self, folder: Path, names: list[str], days: float = 10, *, server_only: bool = True) -> tuple[Path, Path]:
        """See Authority."""
        files = folder / f"{names[0]}.crt", folder / f"{names[0]}.key"
        write_pair(*files, names, datetime.now(UTC))
        return files


class Names(threading.Thread):
    """A DNS server over UDP; `srv` and `addresses` may be changed at any time.

    srv: by full name ("_xmpp-server._tcp.here.example"), (port, target) each. addresses, six: IPv4
    and IPv6 by name.
    """

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(daemon=True)
        self.srv: dict[str, list[tuple[int, str]]] = {}
        self.addresses: dict[str, str] = {}
        self.six: dict[str, str] = {}
        self.asked: list[str] = []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(address)
        self.address: tuple[str, int] = self._sock.getsockname()

    def serve(self, domain: str, port: int, direct: int = 0, address: str = "127.0.0.1") -> None:
        """A server of `domain` and of its conference and meet subdomains."""
        for name in (domain, f"conference.{domain}", f"meet.{domain}"):
            self.srv[f"_xmpp-server._tcp.{name}"] = [(port, f"xmpp.{domain}")] if port else []
            self.srv[f"_xmpps-server._tcp.{name}"] = [(direct, f"xmpp.{domain}")] if direct else []
        self.addresses[f"xmpp.{domain}"] = address

    def run(self) -> None:
        while True:
            try:
                data, sender = self._sock.recvfrom(4096)
            except OSError:
                return
            message = dns.Message()
            message.fromStr(data)
            for query in message.queries:
                self._answer(message, str(query.name).lower(), query.type)
            message.answer, message.recAv = 1, 1
            self._sock.sendto(message.toStr(), sender)

    def _answer(self, message: dns.Message, name: str, kind: int) -> None:
        self.asked.append(name)
        found: list[Any] = []
        if kind == dns.SRV:
            found = [dns.Record_SRV(5, 0, port, target) for port, target in self.srv.get(name, [])]
        elif kind == dns.A and name in self.addresses:
            found = [dns.Record_A(self.addresses[name])]
        elif kind == dns.AAAA and name in self.six:
            found = [dns.Record_AAAA(self.six[name])]
        message.answers += [dns.RRHeader(name, kind, dns.IN, 1, payload) for payload in found]
        if not found and name not in self.addresses and not any(known.endswith(name) for known in self.srv):
            message.rCode = dns.ENAME

    def __enter__(self) -> Names:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()


class Country(Daemon):
    """A chatd of one domain that talks to others.

    names: what its certificate is for, by default the domain and what is below it. signed_by: whose certificate.
    s2s: TOML for [s2s] besides.
    """

    def __init__(self, folder: Path, domain: str, authority: Authority, dns_: Names, *, names: list[str] | None = None,
                 signed_by: Authority | None = None, days: float = 10, s2s: str = "", extra: str = "",
                 direct: bool = True, server_only: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self.domain = domain
        self.authority = authority
        self.server_only = server_only
        self.ports["s2s"], self.ports["s2s_tls"] = free_ports(2)
        certificate, key = (signed_by or authority).issue(
            folder, names if names is not None else [domain, f"*.{domain}"], days, server_only=server_only)
        self.certificate = (signed_by or authority).file
        listen = "\n".join(f'{name} = ["127.0.0.1:{port}"]' for name, port in self.ports.items())
        media = "" if "[media]" in extra else '[media]\nengine = "off"\n'
        self.config.write_text(
            f'[server]\nhost = "xmpp.{domain}"\nstate_dir = "state"\n[[domain]]\nname = "{domain}"\n'
            f'certificate = "{certificate}"\nkey = "{key}"\n[listen]\n{listen}\n[auth]\nscram_iterations = 4096\n'
            f'[s2s]\nauthorities = "{authority.file}"\nnameservers = ["{dns_.address[0]}:{dns_.address[1]}"]\n'
            f'private_addresses = true\n{s2s}\n'
            f"[log]\nlevel = \"debug\"\n{extra}\n{media}")
        dns_.serve(domain, self.ports["s2s"], self.ports["s2s_tls"] if direct else 0)

    def logged(self, text: str) -> bool:
        """Does the log hold this?"""
        return text in self.log.read_text(errors="replace")


@contextmanager
def countries(*made: Country, accounts: tuple[str, ...] = ("romeo", "juliet")) -> Iterator[tuple[Country, ...]]:
    """All of them running, with accounts of these names in each."""
    started: list[Country] = []
    try:
        for country in made:
            country.start()
            started.append(country)
            country.add(*(f"{name}@{country.domain}" for name in accounts))
        yield made
    finally:
        for country in started:
            country.stop()
