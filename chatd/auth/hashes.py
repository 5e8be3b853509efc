"""Passwords as the user tables of mail servers keep them: crypt(5) and Dovecot's {SCHEME}s.

    $2a$ $2b$ $2y$                 bcrypt                {BLF-CRYPT}
    $6$  $5$                       SHA-crypt             {SHA512-CRYPT} {SHA256-CRYPT}
    $y$  $7$                       yescrypt, scrypt      {CRYPT}
    $argon2id$ $argon2i$           Argon2 (RFC 9106)     {ARGON2ID} {ARGON2I}
    iterations,salt,stored,server  RFC 7677              {SCRAM-SHA-256} {SCRAM-SHA-1}
    base64 of digest and salt      one salted round      {SSHA512} {SSHA256} {SSHA}, also .HEX

The first three are the system's libcrypt, which mail servers use as well, so what is right for one is right for
the other; Argon2 is argon2-cffi. What has no salt or is no hash at all ({PLAIN}, {MD5}, DES) is not accepted: the table
would give away every password. Checking takes milliseconds on purpose: call it in a thread.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable
from ctypes.util import find_library
from functools import cache
from typing import Any, Final

from chatd.auth.passwords import check_password
from chatd.core.accounts import Verifier
from chatd.core.errors import Unavailable

__all__ = ["is_password"]

_SCHEME: Final = re.compile(r"\{([A-Za-z0-9-]+)(\.(?:hex|b64|base64))?\}", re.IGNORECASE)
_CRYPT: Final = re.compile(r"\$(2[aby]|5|6|y|7)\$")
_DATA_BYTES: Final = 262_144        # more than any libcrypt's struct crypt_data
_CRYPT_BYTES: Final = 511            # libcrypt takes no longer password
_BCRYPT_COST_MOST: Final = 16
_ROUNDS_MOST: Final = 5_000_000
_MEMORY_MOST_KIB: Final = 1 << 20
_SALTED: Final = {"SSHA": "sha1", "SSHA256": "sha256", "SSHA512": "sha512"}
_SCRAM: Final = {"SCRAM-SHA-1": "SCRAM-SHA-1", "SCRAM-SHA-256": "SCRAM-SHA-256"}


def is_password(password: str, stored: str) -> bool:
    """Is this the password that was stored so? Raises Unavailable for what is no hash, or one not accepted."""
    stored = stored.strip()
    named = _SCHEME.match(stored)
    scheme = named[1].upper() if named else ""
    value = stored[named.end():] if named else stored
    if scheme in _SALTED:
        return _is_salted(password, value, _SALTED[scheme], is_hex=stored.lower().startswith(".hex}", len(scheme) + 1))
    if scheme in _SCRAM:
        return check_password(password, {_SCRAM[scheme]: _verifier(value)})
    if scheme in ("", "CRYPT", "ARGON2ID", "ARGON2I") and value.startswith(("$argon2id$", "$argon2i$")):
        return _is_argon2(password, value)
    if scheme in ("", "CRYPT", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT") and _CRYPT.match(value):
        return _is_crypt(password, value)
    shown = f"{{{scheme}}}" if scheme else "without a {SCHEME}"
    raise Unavailable(f"a password is kept in a way that is not accepted ({shown}, see passwords.md)")


def _is_salted(password: str, value: str, name: str, is_hex: bool) -> bool:
    try:
        data = bytes.fromhex(value) if is_hex else b64decode(value, validate=True)
    except ValueError:
        raise Unavailable("a salted hash is neither base64 nor hexadecimal") from None
    size = hashlib.new(name, usedforsecurity=False).digest_size
    if len(data) <= size:
        raise Unavailable("a salted hash has no salt")
    made = hashlib.new(name, password.encode() + data[size:], usedforsecurity=False).digest()
    return hmac.compare_digest(made, data[:size])


def _verifier(value: str) -> Verifier:
    try:
        iterations, salt, stored_key, server_key = value.split(",")
        count = int(iterations)
        if not 1 <= count <= _ROUNDS_MOST:
            raise ValueError
        return Verifier(b64decode(salt, validate=True), count, b64decode(stored_key, validate=True),
                        b64decode(server_key, validate=True))
    except ValueError:
        raise Unavailable("a SCRAM verifier is not iterations,salt,stored key,server key") from None


def _is_argon2(password: str, value: str) -> bool:
    try:
        import argon2
    except ImportError:
        raise Unavailable("argon2-cffi is not installed (pip install 'chatd[sql]')") from None
    try:
        if argon2.extract_parameters(value).memory_cost > _MEMORY_MOST_KIB:
            raise Unavailable("a password's hash asks for more than 1 GiB")
        return argon2.PasswordHasher().verify(value, password)
    except argon2.exceptions.VerifyMismatchError:
        return False
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, ValueError) as error:
        raise Unavailable(f"an Argon2 hash cannot be read ({error})") from None


def _is_crypt(password: str, value: str) -> bool:
    cost = re.match(r"\$2[aby]\$(\d\d)\$", value)
    rounds = re.match(r"\$[56]\$rounds=(\d+)\$", value)
    if (cost and int(cost[1]) > _BCRYPT_COST_MOST) or (rounds and int(rounds[1]) > _ROUNDS_MOST):
        raise Unavailable("checking a password's hash would take too long")
    if "\0" in password or "\0" in value or len(password.encode()) > _CRYPT_BYTES:
        return False
    made = _libcrypt()(password.encode(), value.encode(), ctypes.create_string_buffer(_DATA_BYTES))
    if made is None or made.startswith(b"*"):
        raise Unavailable(f"this system's libcrypt does not know {value[:value.find('$', 1) + 1]}")
    return hmac.compare_digest(made, value.encode())


@cache
def _libcrypt() -> Callable[..., Any]:
    """crypt_r(3); releases Python's lock while it works."""
    for name in ("libcrypt.so.1", "libcrypt.so.2", find_library("crypt"), None):
        try:
            found = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError, TypeError):
            continue
        found.restype, found.argtypes = ctypes.c_char_p, [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        return found
    raise Unavailable("this system has no libcrypt")
