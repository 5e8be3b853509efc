"""Passwords and what is kept of them: SCRAM verifiers by scramp (RFC 5802 3, RFC 7677, RFC 4013).

Making or checking one takes some milliseconds of pure computing, on purpose; call it in a thread.
"""
from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

from scramp import ScramException, ScramMechanism

from chatd.core.accounts import Verifier
from chatd.core.sasl import ITERATIONS, PASSWORD_BYTES, SCRAM

__all__ = ["BadPassword", "check_password", "make_verifiers"]

SALT_BYTES = 16


class BadPassword(ValueError):
    """The password cannot be used; the message says why, for the person who chose it."""


def make_verifiers(password: str, iterations: int = ITERATIONS) -> dict[str, Verifier]:
    """Verifiers for all SCRAM mechanisms, with fresh salts.

    iterations: 4096 (RFC 7677 4) to 10 million; ValueError otherwise. BadPassword for an empty password, one
    over 1023 bytes, or one with characters SASLprep does not allow (control characters, or newer than Unicode
    3.2, such as emoji).
    """
    if not password:
        raise BadPassword("A password needs at least one character.")
    if len(password.encode()) > PASSWORD_BYTES:
        raise BadPassword(f"A password has at most {PASSWORD_BYTES} bytes.")
    if not 4096 <= iterations <= 10_000_000:
        raise ValueError("iterations: 4096 to 10000000")
    return {name: _make(name, password, iterations, secrets.token_bytes(SALT_BYTES)) for name in SCRAM}


def _make(mechanism: str, password: str, iterations: int, salt: bytes) -> Verifier:
    try:
        salt, stored_key, server_key, iterations = ScramMechanism(mechanism).make_auth_info(
            password, iteration_count=iterations, salt=salt)
    except ScramException as error:
        raise BadPassword("The password has characters that cannot be used.") from error
    return Verifier(salt, iterations, stored_key, server_key)


def check_password(password: str, verifiers: Mapping[str, Verifier] | None, iterations: int = ITERATIONS) -> bool:
    """Is this the password of these verifiers? The strongest is looked at.

    verifiers: None or empty for an account that does not exist or has no password: False, after as much work as
    a wrong password takes (iterations: as the site makes them).
    """
    mechanism = next((name for name in SCRAM if verifiers and name in verifiers), None)
    wanted = verifiers[mechanism] if verifiers and mechanism else None
    name = mechanism or next(iter(SCRAM))
    salt, count = (wanted.salt, wanted.iterations) if wanted else (bytes(SALT_BYTES), iterations)
    if not password or len(password.encode()) > PASSWORD_BYTES:
        return False
    try:
        found = _make(name, password, count, salt)
    except BadPassword:
        return False
    return wanted is not None and hmac.compare_digest(found.stored_key, wanted.stored_key)
