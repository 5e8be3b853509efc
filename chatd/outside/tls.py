"""Connections to the organisation's servers: TLS from the start or by STARTTLS, the certificate verified for the name
that the configuration gives (RFC 5280, RFC 9525). Without TLS only where the sysadmin says so, to this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from OpenSSL.crypto import Error as CryptoError
from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionLost, DNSLookupError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure

from chatd.core.errors import Unavailable

__all__ = ["Server", "reason_of"]

_PORTS: Final = {"imaps": 993, "imap": 143, "ldaps": 636, "ldap": 389}
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


@attrs.frozen
class Server:
    """One server. security: "tls", "starttls" or "plain". ca: PEM file of who may sign its certificate."""

    scheme: str
    host: str
    port: int
    security: str
    ca: Path | None = None

    @classmethod
    def of(cls, url: str, is_plain: bool, ca: Path | None) -> Server:
        """The server of an address such as imaps://mail.example.com; imap: and ldap: mean STARTTLS, or is_plain."""
        parts = urlsplit(url)
        security = "tls" if parts.scheme.endswith("s") else "plain" if is_plain else "starttls"
        return cls(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme], security, ca)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def options(self) -> Any:
        """What Twisted's startTLS takes; raises Unavailable where the CA file is of no use."""
        if self.ca is None:
            trust: Any = platformTrust()
        else:
            try:
                blocks = self.ca.read_bytes().split(_BEGIN)[1:]
                trust = trustRootFromCertificates([Certificate.loadPEM(_BEGIN + block) for block in blocks])
            except OSError as error:
                raise Unavailable(f"{self.ca} cannot be read: {error.strerror}") from None
            except CryptoError:
                raise Unavailable(f"{self.ca} holds something that is no certificate") from None
            if not blocks:
                raise Unavailable(f"{self.ca} holds no certificate")
        return optionsForClientTLS(self.host, trustRoot=trust)

    def connect(self, reactor: Any, factory: IProtocolFactory, timeout_s: float) -> Deferred[Any]:
        """Fires with the protocol; with TLS from the start its handshake is still to come."""
        endpoint: Any = HostnameEndpoint(reactor, self.host, self.port, timeout=timeout_s)
        if self.security == "tls":
            endpoint = wrapClientTLS(self.options(), endpoint)
        connected: Deferred[Any] = endpoint.connect(factory)
        return connected


def reason_of(failure: Failure) -> str:
    """Why a server could not be asked, in words for the sysadmin."""
    error = failure.value
    if isinstance(error, Unavailable):
        return str(error)
    if isinstance(error, VerificationError):
        return "its certificate is for another name"
    if isinstance(error, TLSError):
        words = "; ".join(part[2] for part in error.args[0] if len(part) > 2) if error.args else ""
        trust = "certificate verify failed" in words
        return "its certificate is not trusted (setting ca)" if trust else f"TLS failed ({words or 'cut off'})"
    if isinstance(error, DNSLookupError):
        return "its name cannot be resolved"
    if isinstance(error, ConnectionLost):
        return "it broke the connection"
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "it did not answer in time"
    return failure.getErrorMessage()
