"""What `make run` needs before the daemon starts: certificates and accounts to try chatd out with.

    python -m chatd.demo etc/chatd.toml

Makes a self-signed certificate for each domain of the file that has none yet, and three accounts in the
first domain, with passwords of their own in state_dir/demo-accounts.json. Then it prints what to open and
who can log in. What is there already is left as it is. Not for a server: there certificates come from an
authority and accounts from chatctl.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from chatd.auth.internal import make_verifiers
from chatd.config import ConfigError, load
from chatd.ctl.client import NotRunning, Refused, ask
from chatd.selfsigned import write_pair
from chatd.settings import Domain, Settings
from chatd.state import make_state_dir
from chatd.store import StoreError, open_store

PEOPLE = ("alice", "bob", "carol")
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of passwords: without those that look alike."""


def new_password() -> str:
    """Return a password of 12 letters in three groups, 59 bits, that a person can copy from a terminal."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))


def passwords(path: Path) -> dict[str, str]:
    """Return the demo's passwords by local part, from the file at path, which is made if need be."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        if isinstance(kept, dict) and set(kept) >= set(PEOPLE):
            return {name: str(kept[name]) for name in PEOPLE}
    except (FileNotFoundError, ValueError):
        pass
    made = {name: new_password() for name in PEOPLE}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(made, file, indent=2)
    return made


def make_certificate(settings: Settings, domain: Domain, now: datetime) -> bool:
    """Make a certificate for domain unless there is one; returns whether it was made."""
    if domain.certificate.exists() or domain.key.exists():
        return False
    write_pair(domain.certificate, domain.key, [domain.name, settings.server.host], now)
    return True


async def make_accounts(settings: Settings, reactor: Any, people: dict[str, str], now: float) -> None:
    """Make the accounts that are not there yet."""
    domain = settings.domains[0].name
    store = await open_store(settings.store, settings.server.state_dir, reactor)
    try:
        for local, password in people.items():
            if await store.accounts.get(local, domain) is None:
                verifiers = make_verifiers(password, settings.auth.scram_iterations)
                await store.accounts.create(local, domain, verifiers, now)
    finally:
        await store.close()


def welcome(settings: Settings, people: dict[str, str]) -> str:
    """Return what a person needs to know to try it."""
    domain = settings.domains[0].name
    ports = ", ".join(
        f"{addresses[0].port} ({how})"
        for addresses, how in ((settings.listen.c2s, "STARTTLS"), (settings.listen.c2s_tls, "TLS"))
        if addresses
    )
    width = max(len(f"{local}@{domain}") for local in people)
    lines = [
        f"Open   {settings.http.public_url}/   (the browser warns of the certificate: it is signed by itself)",
        "",
        "Accounts:",
        *(f"  {local + '@' + domain:<{width}}   password {password}" for local, password in people.items()),
        "",
        f"Any XMPP client: server {settings.server.host}, port {ports}.   Stop with Ctrl-C.",
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join(["", rule, *lines, rule, ""])


def main(argv: list[str]) -> None:
    """Prepare the demo of the configuration argv[1]; ends the process."""
    try:
        settings = load(argv[1])
    except ConfigError as error:
        sys.exit(str(error))
    try:
        ask(settings.control_socket, "status", {}, 5.0)
    except (NotRunning, Refused):
        pass
    else:
        sys.exit(f"chatd runs already: {settings.http.public_url}/ (stop it first, or use it)")

    async def prepare(reactor: Any) -> None:
        try:
            make_state_dir(settings.server.state_dir)
            for domain in settings.domains:
                make_certificate(settings, domain, datetime.now(UTC))
            people = passwords(settings.server.state_dir / "demo-accounts.json")
            await make_accounts(settings, reactor, people, time.time())
        except (OSError, StoreError) as error:
            sys.exit(f"The demo cannot be prepared: {error}")
        print(welcome(settings, people), flush=True)

    react(lambda reactor: ensureDeferred(prepare(reactor)))


if __name__ == "__main__":
    main(sys.argv)
