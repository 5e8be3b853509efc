"""Certificates: does each load, belong to its key, cover its names, come with its chain, and last a while."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from chatd.checks import Finding, Grade
from chatd.server.certificates import CertificateError, Certificates, Loaded
from chatd.settings import Domain, Settings

SUBJECT = "certificates"
SOON = timedelta(days=14)


def check(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Look at the certificate of every domain. now: an aware time, for expiry."""
    loaded: list[Loaded] = []
    for domain in settings.domains:
        try:
            (certificate,) = Certificates(domain.name, [domain]).loaded.values()
        except CertificateError as error:
            yield from (Finding(SUBJECT, Grade.ERROR, text, _how_to_get(domain)) for text in error.mistakes)
            continue
        loaded.append(certificate)
        yield from _names(certificate)
        yield from _period(certificate, now)
        yield from _chain(certificate)
    host = settings.server.host
    if loaded and not any(certificate.covers(host) for certificate in loaded):
        text = (
            f"No certificate covers {host}, the server's host name: browsers refuse to open the log-in page."
        )
        yield Finding(SUBJECT, Grade.ERROR, text, (f"Let one of the certificates name {host} as well.",))


def _how_to_get(domain: Domain) -> tuple[str, ...]:
    return (
        f"chatd needs {domain.certificate} (PEM: certificate and chain, with the name {domain.name})",
        f"and {domain.key} (PEM, without a passphrase), both readable for the daemon;",
        "certificate and key under [[domain]] say where they are.",
    )


def _names(certificate: Loaded) -> Iterator[Finding]:
    domain = certificate.domain
    names = ", ".join(certificate.names) or "no name at all"
    if certificate.covers(domain):
        yield Finding(SUBJECT, Grade.OK, f"The certificate of {domain} covers it.")
    else:
        text = f"{certificate.path} is for {names}, not for {domain}; that is what clients check."
        yield Finding(SUBJECT, Grade.ERROR, text, (f"Get a certificate with the name {domain}.",))


def _period(certificate: Loaded, now: datetime) -> Iterator[Finding]:
    end = certificate.not_after
    if now < certificate.not_before:
        text = (
            f"The certificate of {certificate.domain} is not valid before {certificate.not_before:%Y-%m-%d}."
        )
        yield Finding(SUBJECT, Grade.ERROR, text, ("Is the clock of this machine right?",))
    elif now >= end:
        text = f"The certificate of {certificate.domain} expired on {end:%Y-%m-%d %H:%M} UTC."
        yield Finding(SUBJECT, Grade.ERROR, text, ("Renew it, then `chatctl reload`.",))
    elif end - now < SOON:
        text = f"{certificate.path} expires on {end:%Y-%m-%d}, in {(end - now).days} days."
        advice = "Renew it, then `chatctl reload`; a hook of the renewal can do both."
        yield Finding(SUBJECT, Grade.WARNING, text, (advice,))


def _chain(certificate: Loaded) -> Iterator[Finding]:
    chain = _read(certificate.path)
    if not chain:
        return
    leaf = chain[0]
    if leaf.issuer == leaf.subject:
        text = f"The certificate of {certificate.domain} is signed by itself: every client will warn of it."
        yield Finding(SUBJECT, Grade.WARNING, text, ("Good for trying chatd out; others need one of a CA.",))
        return
    if len(chain) == 1:
        text = f"{certificate.path} holds no chain: clients that do not know its issuer cannot check it."
        advice = "Put the intermediate certificates behind it (certbot: fullchain.pem)."
        yield Finding(SUBJECT, Grade.WARNING, text, (advice,))
    for lower, upper in zip(chain, chain[1:], strict=False):
        if lower.issuer != upper.subject:
            text = f"The chain in {certificate.path} is out of order or has certificates of something else."
            yield Finding(
                SUBJECT, Grade.WARNING, text, ("Own certificate first, then its issuer, and so on.",)
            )
            return


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []
