"""`chatctl check`: runs every check of chatd.checks, in the order a person would mend things."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from twisted.names import client

from chatd.checks import Finding, Grade, certificates, configuration, disk, dns, media, people, ports
from chatd.config import ConfigError, load
from chatd.ctl.client import NotRunning, Refused, ask
from chatd.settings import Settings

STATUS_TIMEOUT_S = 5.0


def findings_of(config: Path, is_offline: bool) -> list[Finding]:
    """Look at the installation that the file config describes. is_offline: ask no DNS and no mail server."""
    try:
        settings = load(config)
    except ConfigError as error:
        return list(configuration.refused(error))
    status = _status(settings)
    findings = [
        *configuration.check(settings),
        *certificates.check(settings, datetime.now(UTC)),
        *ports.check(settings, None if status is None else list(status.get("listening", []))),
        *media.check(settings, None if status is None else status.get("media")),
        *disk.check(settings),
    ]
    return findings if is_offline else findings + _asked(settings)


def _status(settings: Settings) -> dict[str, Any] | None:
    """Return what our running daemon says of itself, None when it does not run."""
    try:
        return dict(ask(settings.control_socket, "status", {}, STATUS_TIMEOUT_S))
    except (NotRunning, Refused, ValueError):
        return None


def _asked(settings: Settings) -> list[Finding]:
    """Run the checks that ask other servers, which need a reactor."""
    found: list[Finding] = []

    async def run(reactor: Any) -> None:
        found.extend([finding async for finding in people.check(settings, reactor)])
        try:
            resolver = client.createResolver()
        except Exception as error:  # an unreadable resolv.conf, among others
            found.append(Finding(dns.SUBJECT, Grade.NOTE, f"DNS could not be asked: {error}."))
            return
        found.extend(await dns.check(settings, dns.Resolver(resolver)))

    try:
        react(lambda reactor: ensureDeferred(run(reactor)))
    except SystemExit as end:  # react() always ends so
        if end.code:
            found.append(Finding(dns.SUBJECT, Grade.NOTE, "DNS could not be asked; see the lines above."))
    return found
