"""Run by servers/chatd.py in a process of its own: create the bench's accounts in chatd's store.

python -m bench.servers.chatd_accounts CONFIGURATION COUNT PASSWORD ITERATIONS
"""

from __future__ import annotations

import hashlib
import hmac
import sys
import time
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from chatd import config
from chatd.core.accounts import Verifier
from chatd.store import open_store


def verifier(password: str, hash_name: str, iterations: int) -> Verifier:
    """What RFC 5802 lets a server keep; one salt for all accounts, so one PBKDF2."""
    salt = b"bench-salt-bench"
    salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, iterations)
    stored = hashlib.new(hash_name, hmac.digest(salted, b"Client Key", hash_name)).digest()
    return Verifier(salt, iterations, stored, hmac.digest(salted, b"Server Key", hash_name))


async def _create(reactor: Any, path: str, count: str, password: str, iterations: str) -> None:
    settings = config.load(path)
    settings.server.state_dir.mkdir(parents=True, exist_ok=True)
    verifiers = {
        "SCRAM-SHA-1": verifier(password, "sha1", int(iterations)),
        "SCRAM-SHA-256": verifier(password, "sha256", int(iterations)),
    }
    store = await open_store(settings.store, settings.server.state_dir, reactor)
    for number in range(int(count)):
        await store.accounts.create(f"u{number:05d}", settings.domains[0].name, verifiers, time.time())
    await store.close()


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """For task.react."""
    return Deferred.fromCoroutine(_create(reactor, *arguments))


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
