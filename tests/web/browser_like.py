"""A browser made of bytes: asks a PanelSite over a string transport and takes the answers apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides

from chatd.web.request import PanelChannel
from chatd.web.site import PanelSite, make_site


@attrs.define
class Answer:
    """One HTTP answer."""

    code: int
    headers: dict[str, str]
    body: bytes


def settings(public_url: str = "", trusted_proxies: tuple[str, ...] = (), *domains: str) -> SimpleNamespace:
    names = domains or ("example.org",)
    return SimpleNamespace(
        http=SimpleNamespace(public_url=public_url, trusted_proxies=trusted_proxies),
        domains=tuple(SimpleNamespace(name=name) for name in names),
    )


def site_of(folder: Path, clock: Clock | None = None, *, conf: SimpleNamespace | None = None, **more) -> PanelSite:
    return make_site(conf or settings(), folder, more.pop("mounts", {}), reactor=clock or Clock(), **more)


class EncryptedTransport(StringTransport):
    """Passes for a TLS connection."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """A string has no delay."""


class Connection:
    """One connection to a site."""

    def __init__(self, site: PanelSite, peer: str = "192.0.2.7", *, tls: bool = False) -> None:
        address = IPv4Address("TCP", peer, 4321)
        self.transport = StringTransport(peerAddress=address)
        if tls:
            self.transport = EncryptedTransport(peerAddress=address)
            alsoProvides(self.transport, ISSLTransport)
        channel = site.buildProtocol(address)
        assert isinstance(channel, PanelChannel)
        self.channel = channel
        channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def answer(self) -> Answer:
        """Take what was answered so far as one answer."""
        raw = self.transport.value()
        self.transport.clear()
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Answer(int(status.split(" ")[1]), headers, body)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Send one request and return its answer; `headers` are written with _ for -."""
        lines = [f"{method} {path} HTTP/1.1"]
        headers = {"host": "chat.example.org", **headers}
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"content-length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.answer()


def ask(
    site: PanelSite, path: str, method: str = "GET", *, peer: str = "192.0.2.7", tls: bool = False, **more
) -> Answer:
    """Ask once over a fresh connection."""
    return Connection(site, peer, tls=tls).ask(path, method, **more)
