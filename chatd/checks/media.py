"""What carries meetings: the bridge's modules, addresses and ports, or the LiveKit server; the TURN server's secret."""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chatd.checks import Finding, Grade
from chatd.config import ConfigError, with_secrets
from chatd.media.addresses import is_public, to_announce
from chatd.settings import Settings
from chatd.settings.kinds import Address

SUBJECT = "media"
MODULES = ("aiohttp", "aiortc", "av", "pylibsrtp", "uvloop")
FIREWALL = "The firewall, and a router in between, must let UDP and TCP in on port {ports}."


def check(
    settings: Settings, status: Mapping[str, Any] | None, announced: Callable[..., list[str]] = to_announce
) -> Iterator[Finding]:
    """Look at [media]. status: what the running daemon says of its engine, None if it is stopped. announced: gives the
    addresses for clients.
    """
    media = settings.media
    try:
        with_secrets(settings)
    except ConfigError as error:
        for mistake in error.mistakes:
            yield Finding(SUBJECT, Grade.ERROR, f"{mistake.key}: {mistake.problem}.", (f"Right: {mistake.right}.",))
    for file in (media.api_secret_file, settings.turn.secret_file):
        if file is not None:
            yield from _readable_by_all(file)
    if media.engine == "off":
        yield Finding(SUBJECT, Grade.NOTE, "media.engine is off: there are no meetings.")
    elif media.engine == "livekit":
        yield from _livekit(settings)
    else:
        yield from _embedded(settings, status, announced)
    if media.engine != "off" and not settings.turn.urls and not _is_local(settings):
        text = "There is no TURN server: people behind strict firewalls will have no sound and no picture."
        advice = "coturn with use-auth-secret, and [media.turn] in the configuration."
        yield Finding(SUBJECT, Grade.NOTE, text, (advice,))


def _is_local(settings: Settings) -> bool:
    """Tell whether only this machine can reach the web site."""
    return all(address.is_loopback for address in settings.listen.https)


def _readable_by_all(file: Path) -> Iterator[Finding]:
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        text = f"Everybody on this machine may read the secret in {file}."
        yield Finding(SUBJECT, Grade.ERROR, text, (f"chmod 640 {file}, with the daemon's group",))


def _livekit(settings: Settings) -> Iterator[Finding]:
    url = settings.media.url
    if url.startswith("ws://") and not _is_local(settings):
        text = f"media.url {url}: tokens would cross the network without TLS, and browsers refuse it on an https page."
        yield Finding(SUBJECT, Grade.ERROR, text, ("wss:// and a certificate for the LiveKit server",))
    webhook = f"{settings.http.public_url}/livekit-webhook"
    text = f"Meetings use the LiveKit server {url}."
    yield Finding(SUBJECT, Grade.OK, text, (f"Its configuration must send webhooks to {webhook}, with this API key.",))


def _embedded(
    settings: Settings, status: Mapping[str, Any] | None, announced: Callable[..., list[str]]
) -> Iterator[Finding]:
    media = settings.media
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        text = f"The media bridge cannot start: {', '.join(missing)} is not installed."
        yield Finding(SUBJECT, Grade.ERROR, text, ("pip install 'chatd[media]', or media.engine = \"off\"",))
    cores = len(os.sched_getaffinity(0))
    if media.processes > cores:
        text = f"media.processes is {media.processes}, this machine has {cores} processor cores."
        yield Finding(SUBJECT, Grade.WARNING, text, ("More processes than cores do not carry more.",))
    yield from _addresses(settings, announced(media.address, media.announce))
    processes = list((status or {}).get("processes", ()))
    for number in range(media.processes):
        running = next((one for one in processes if one.get("process") == number), None)
        if running is not None and running.get("up"):
            yield Finding(SUBJECT, Grade.OK, f"Bridge process {number} takes media at {running.get('media')}.")
        elif running is not None:
            text = f"Bridge process {number} does not run: it {running.get('trouble') or 'is being started'}."
            yield Finding(SUBJECT, Grade.ERROR, text, ("The daemon's log tells more.",))
        elif media.port:
            yield from _bind(Address(media.address, media.port + number))


def _addresses(settings: Settings, found: list[str]) -> Iterator[Finding]:
    """Say what clients are told, and whether that is likely to be wrong."""
    media = settings.media
    last = media.port + media.processes - 1
    ports = f"{media.port} to {last}" if media.processes > 1 else str(media.port)
    told = ", ".join(found)
    advice = 'media.announce = ["192.0.2.7"] with the public address, the one people reach this server at.'
    if not found:
        text = "This machine has no address that others can reach: meetings would have no sound and no picture."
        yield Finding(SUBJECT, Grade.ERROR, text, (advice,))
    elif media.announce or any(is_public(address) for address in found):
        yield Finding(SUBJECT, Grade.OK, f"Clients are told to send media to {told}.", (FIREWALL.format(ports=ports),))
    elif _is_local(settings):
        yield Finding(SUBJECT, Grade.NOTE, f"Clients are told to send media to {told}, which is private.", (advice,))
    else:
        text = f"Clients are told to send media to {told}, which only the own network can reach."
        inside = f"If everybody is in that network, say so: media.announce = {found}".replace("'", '"')
        yield Finding(SUBJECT, Grade.ERROR, text, (advice, inside, FIREWALL.format(ports=ports)))


def _bind(address: Address) -> Iterator[Finding]:
    """Try both sockets of a process that is not running."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    for kind, name in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
        try:
            with socket.socket(family, kind) as sock:
                if kind is socket.SOCK_STREAM:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((address.host, address.port))
                if kind is socket.SOCK_STREAM:
                    sock.listen(1)
        except OSError as error:
            text = f"media {address} {name}: {error.strerror}."
            advice = f"`ss -lnp 'sport = :{address.port}'` as root says which program has it."
            yield Finding(SUBJECT, Grade.ERROR, text, (advice,))
        else:
            yield Finding(SUBJECT, Grade.OK, f"media {address} {name}: free.")
