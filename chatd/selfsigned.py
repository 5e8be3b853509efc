"""Makes a certificate that signs itself, for the demo and for tests: ECDSA P-256, names as given.

Nobody but the maker trusts it, so it is never made for a domain by itself; `make run` does it for the demo.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chatd.settings.kinds import ascii_name

VALID_DAYS = 397
"""Browsers refuse longer ones even from an authority the user trusts."""


def self_signed(names: list[str], now: datetime, days: int = VALID_DAYS) -> tuple[bytes, bytes]:
    """Return (certificate, key) in PEM for these DNS names; the first is also the subject.

    now: an aware time; the certificate is valid from a day before it, because clocks differ. days: from now
    on.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(_dns_name(name)) for name in dict.fromkeys(names)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _dns_name(name: str) -> str:
    wildcard, name = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    return wildcard + ascii_name(name)


def write_pair(certificate: Path, key: Path, names: list[str], now: datetime) -> None:
    """Make a pair and write it; the key's file is readable for its owner only. Raises OSError."""
    certificate_pem, key_pem = self_signed(names, now)
    for folder in {certificate.parent, key.parent}:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key_pem)
    certificate.write_bytes(certificate_pem)
