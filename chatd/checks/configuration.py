"""The configuration file beyond what reading it finds: who may read its secrets, and what is likely not
meant.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from urllib.parse import urlsplit

from chatd.checks import Finding, Grade
from chatd.config import ConfigError
from chatd.settings import Settings

SUBJECT = "configuration"


def refused(error: ConfigError) -> Iterator[Finding]:
    """Turn the mistakes of a file that cannot be used into findings."""
    for mistake in error.mistakes:
        text = f"{mistake.key or error.path}: {mistake.problem}."
        yield Finding(SUBJECT, Grade.ERROR, text, (f"Right would be: {mistake.right}.",))


def check(settings: Settings) -> Iterator[Finding]:
    """Look at a file that can be used."""
    yield Finding(SUBJECT, Grade.OK, f"{settings.path} can be used.")
    mode = settings.path.stat().st_mode
    secrets = {
        "the database's password": urlsplit(settings.store.url).password,
        "the LiveKit server's secret": settings.media.api_secret,
        "the TURN server's secret": settings.turn.secret,
    }
    for what in (what for what, secret in secrets.items() if secret and mode & stat.S_IROTH):
        text = f"{settings.path} holds {what} and everybody on this machine may read it."
        yield Finding(SUBJECT, Grade.WARNING, text, (f"chmod 640 {settings.path}, with the daemon's group",))
    for domain in settings.domains:
        if domain.key.exists() and domain.key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            text = f"Everybody on this machine may read the private key {domain.key}."
            yield Finding(SUBJECT, Grade.ERROR, text, (f"chmod 640 {domain.key}, with the daemon's group",))
    yield from _reachable(settings)


def _reachable(settings: Settings) -> Iterator[Finding]:
    listen = settings.listen
    for address in listen.http:
        if not address.is_loopback:
            text = f"listen.http {address}: log-ins and messages would cross the network without TLS."
            yield Finding(SUBJECT, Grade.ERROR, text, ("Plain HTTP is for a proxy on the same machine.",))
    clients = (*listen.c2s, *listen.c2s_tls, *listen.https)
    if clients and all(address.is_loopback for address in clients):
        text = "Everything listens on loopback: only programs on this machine can log in."
        advice = 'For others: [listen] c2s = ["0.0.0.0:5222", "[::]:5222"] and likewise c2s_tls and https.'
        yield Finding(SUBJECT, Grade.NOTE, text, (advice,))
    ways = [("c2s_tls", listen.c2s_tls), *([("s2s_tls", listen.s2s_tls)] if settings.has_federation else [])]
    shut = [name for name, addresses in ways if all(address.is_loopback for address in addresses)]
    if settings.server.addresses and shut:
        text = f"server.addresses is set, but host-meta.json does not tell it: listen.{shut[0]} is not open to others."
        advice = "Who reads there where to connect asks DNS no more, so every way has to be open (XEP-0487)."
        yield Finding(SUBJECT, Grade.WARNING, text, (advice,))
    host = urlsplit(settings.http.public_url).hostname
    if host and host != settings.server.host and not settings.http.trusted_proxies:
        text = f"http.public_url names {host}, the server is {settings.server.host}, and no proxy is trusted."
        advice = "Behind a proxy: http.trusted_proxies, or every browser counts as the proxy's one address."
        yield Finding(SUBJECT, Grade.WARNING, text, (advice,))
