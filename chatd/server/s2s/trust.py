"""Does a server's certificate prove its domain?  RFC 6120 13.7.2, RFC 6125, XEP-0178.

OpenSSL follows the chain and tells each fault; the handshake is never ended for one, because dialback may still
prove who the peer is.  Names are compared by service-identity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import DNS_ID, SRV_ID, verify_service_identity

from chatd.core.jid import ascii_domain

__all__ = ["Trust", "doubt"]

_FAULTS: Final = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself",
    19: "its chain ends with an authority that is not known here",
    20: "it is signed by an authority that is not known here, or its chain is incomplete",
    21: "it is signed by an authority that is not known here, or its chain is incomplete",
    23: "it has been revoked",
}
#: X509_V_ERR_INVALID_PURPOSE: authorities have stopped to issue certificates for TLS clients, so a server that connects
#: shows the one it listens with (extended key usage serverAuth alone).
_PURPOSE: Final = 26


@attrs.frozen
class Trust:
    """Whom we believe: the authorities of a PEM file, or the system's."""

    authorities: Path | None = None

    def apply(self, context: SSL.Context) -> None:
        """Ask every peer of this context for a certificate, and note what is wrong with its chain."""
        context.set_verify(SSL.VERIFY_PEER, _note)
        if self.authorities is not None:
            context.load_verify_locations(str(self.authorities))
        else:
            context.set_default_verify_paths()


def _note(connection: Any, certificate: Any, fault: int, depth: int, is_good: int) -> bool:
    """Called by OpenSSL for each fault, and for each certificate of a good chain, the peer's own last."""
    if is_good:
        connection.chain_checked = connection.chain_checked or depth == 0
    elif not (fault == _PURPOSE and depth == 0):
        connection.chain_fault = connection.chain_fault or fault
    return True


def doubt(connection: Any, domain: str, also: str = "", pins: Collection[bytes] = ()) -> str:
    """What keeps the peer's certificate from proving that it is `domain`, as half a sentence; nothing where it does.

    also, pins: another name it may be for, and SHA-256 of public keys that prove it by themselves; both as the domain
    has said itself (XEP-0487 2.2).
    """
    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return "it shows none"
    if pins and sha256(_public_key(certificate)).digest() in pins:
        return ""
    if connection.chain_fault:
        number = connection.chain_fault
        return _FAULTS.get(number, f"its chain does not hold (OpenSSL's error {number})")
    if not connection.chain_checked:
        return "its chain could not be checked"
    name = ascii_domain(domain)
    try:
        patterns = extract_patterns(certificate)
        wanted: list[Callable[[], Any]] = [lambda: DNS_ID(name), lambda: SRV_ID(f"_xmpp-server.{name}")]
        if also:
            wanted.append(lambda: DNS_ID(also))
        for make in wanted:
            try:
                verify_service_identity(patterns, [make()], [])
            except VerificationError:
                continue
            return ""
    except (CertificateError, ValueError, TypeError):
        return f"it cannot be compared with {domain}"
    names = ", ".join(sorted({_shown(pattern) for pattern in patterns})[:5]) or "nobody"
    return f"it is for {names}, not for {domain}"


def _public_key(certificate: Any) -> bytes:
    key: bytes = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key


def _shown(pattern: Any) -> str:
    value = getattr(pattern, "pattern", None) or getattr(pattern, "dns_pattern", pattern)
    value = getattr(value, "pattern", value)
    shown = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return "".join(letter for letter in shown if letter.isprintable())[:100]
