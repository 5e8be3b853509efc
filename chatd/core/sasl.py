"""The receiving side of SASL, without input or output: bytes of the client in, the next step out.

RFC 6120 6 (profile for XMPP), RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM), RFC 5929 and RFC 9266 (channel
binding tls-server-end-point and tls-exporter), XEP-0474 (SCRAM says what was offered).

`Exchange.start` and `Exchange.respond` take what the client sent (decoded) and give one step:

- `Challenge`: send it, then call `respond` with the client's answer;
- `FindAccount`: look the account up, however long it takes, then call `account`;
- `CheckPassword`: check it, then call `password_checked`;
- `Success` or `Failure`: the exchange is over.

If the look-up itself fails, or back-off forbids it, `refuse` ends the exchange. What this module does not do:
XML (`chatd.core.negotiation`), passwords (`chatd.auth`), counting attempts (`chatd.core.limits`).

An account that does not exist runs the same exchange as one that does, with a salt made from the site's
secret, and fails at the same point with the same words. scramp serves the tests as the foreign client; as a
server it calls for the account synchronously and refuses tls-exporter, so the exchange is our own.
"""
from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection, Mapping

import attrs

from chatd.core.accounts import Verifier
from chatd.core.escaping import jid_of_address
from chatd.core.jid import JID, InvalidJID
from chatd.core.sasl_attempt import CONDITIONS, Attempt, Failure

__all__ = ["CONDITIONS", "Challenge", "CheckPassword", "Exchange", "Failure", "FindAccount", "Step",
           "Success", "decode", "encode", "identify", "mechanisms", "offer"]

SCRAM = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
"""Mechanism -> hash, the stronger first. Each also exists as -PLUS."""

MESSAGE_BYTES = 8192
"""Longest message of a client: two addresses of 3071 bytes at most, a nonce, and room."""
PASSWORD_BYTES = 1023
ITERATIONS = 10_000
"""PBKDF2 iterations of new verifiers, and of those that are shown for accounts that do not exist."""


@attrs.frozen
class Challenge:
    """Send `data` as a challenge (it may be empty)."""

    data: bytes


@attrs.frozen
class FindAccount:
    """Look up the verifier of `mechanism` ("SCRAM-SHA-256" or "SCRAM-SHA-1") and answer with `account`."""

    local: str
    domain: str
    mechanism: str


@attrs.frozen
class CheckPassword:
    """Check the password (as it was sent, before SASLprep) and answer with `password_checked`."""

    local: str
    domain: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class Success:
    """local@domain is authenticated. additional: to be sent with the success, None where there is nothing."""

    local: str
    domain: str
    additional: bytes | None = None


Step = Challenge | FindAccount | CheckPassword | Success | Failure


def mechanisms(bindings: Collection[str], has_verifiers: bool = True,
               has_plain: bool = True) -> tuple[str, ...]:
    """What to offer, the preferred first (RFC 6120 6.3.3).

    bindings: the channel binding types at hand; none, no -PLUS. has_verifiers: the accounts' back end knows
    SCRAM verifiers. has_plain: the stream is encrypted, so a password may be sent.
    """
    offered: list[str] = []
    if has_verifiers:
        if bindings:
            offered.extend(f"{name}-PLUS" for name in SCRAM)
        offered.extend(SCRAM)
    if has_plain:
        offered.append("PLAIN")
    return tuple(offered)


def offer(names: Collection[str], bindings: Collection[str]) -> bytes:
    """What XEP-0474 5.1 has hashed: the mechanisms offered in the profile that is used, and the channel binding types
    where there are any (XEP-0440), sorted by octets."""
    said = b"\x1e".join(sorted(name.encode() for name in names))
    return said + b"\x1f" + b"\x1e".join(sorted(name.encode() for name in bindings)) if bindings else said


def decode(text: str) -> bytes | None:
    """The base64 content of <auth/> or <response/>; None where it is none (incorrect-encoding).

    Strict as RFC 4648 4 has it: no foreign characters, full padding, no stray bits. "=" is the empty string
    (RFC 6120 6.4.2); the empty text is for the caller to tell apart in <auth/>, where it means "no initial
    response", and is the empty string here.
    """
    text = text.strip()
    if text == "=":
        return b""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return data if len(text) == (len(data) + 2) // 3 * 4 and base64.b64encode(data).decode() == text else None


def encode(data: bytes) -> str:
    """base64 for <challenge/> and <success/>; the empty string is "=" (RFC 6120 6.4.2)."""
    return base64.b64encode(data).decode() if data else "="


class Exchange(Attempt):
    """One attempt to authenticate with one mechanism.

    mechanism: one of `mechanisms(...)` that was offered; ValueError otherwise.
    domains: the domains whose accounts may authenticate here. default_domain: the one meant by a user name
    without domain, None where there is none (the stream is addressed to the server's host name).
    bindings: channel binding type -> data, empty where -PLUS was not offered.
    nonce: the server's part of the nonce, at least 18 random bytes as printable ASCII without comma.
    secret: the site's secret, from which the salts of unknown accounts are made.
    iterations: iteration count to show for them. offered: as `offer` gives it; SCRAM tells its hash, so that a
    client notices what was taken out on the way (XEP-0474), and b"" says nothing of it. stream_from: the account that
    the stream's header names, where it does and that matters (XEP-0388 2.3).
    """

    def __init__(self, mechanism: str, domains: Collection[str], default_domain: str | None,
                 bindings: Mapping[str, bytes], nonce: str, secret: bytes,
                 iterations: int = ITERATIONS, offered: bytes = b"", stream_from: JID | None = None) -> None:
        self.mechanism = mechanism
        self._base = mechanism.removesuffix("-PLUS")
        self._plus = mechanism != self._base
        if self._base not in SCRAM and mechanism != "PLAIN" or self._plus and not bindings:
            raise ValueError(mechanism)
        self._domains = domains
        self._default_domain = default_domain
        self._bindings = bindings
        self._nonce = nonce
        self._secret = secret
        self._iterations = iterations
        self._offered = offered
        self._stream_from = stream_from
        self._jid: JID | None = None
        self._disabled = False
        self._verifier: Verifier | None = None
        self._is_known = False
        self._client_first_bare = ""
        self._server_first = ""
        self._cbind_input = b""

    @property
    def jid(self) -> JID | None:
        """The account the client claims to be, once it has said so; not verified before Success."""
        return self._jid

    # What the client sends

    def start(self, initial: bytes | None) -> Step:
        """<auth/>: initial is None where there was no initial response (RFC 6120 6.4.2)."""
        self._expect("initial")
        self._state = "first"
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """<response/>. After the exchange is over, or while an account is looked up, it is malformed."""
        state = self._state
        if state not in ("first", "final"):
            return self._fail("malformed-request", "unexpected-response")
        if len(data) > MESSAGE_BYTES:
            return self._fail("malformed-request", "too-long")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return self._fail("malformed-request", "not-utf-8")
        if state == "final":
            return self._scram_final(text)
        return self._plain(text) if self.mechanism == "PLAIN" else self._scram_first(text)

    # What the server found out

    def account(self, verifier: Verifier | None, disabled: bool = False) -> Step:
        """Answer to FindAccount: the verifier for the mechanism, None if there is no account or none."""
        self._expect("account")
        assert self._jid is not None
        self._is_known = verifier is not None
        self._disabled = disabled
        self._verifier = verifier if verifier is not None else self._unknown(self._jid.bare)
        salt = base64.b64encode(self._verifier.salt).decode()
        self._server_first = f"r={self._nonce},s={salt},i={self._verifier.iterations}{self._downgrade_hash()}"
        self._state = "final"
        return Challenge(self._server_first.encode())

    def password_checked(self, is_right: bool, disabled: bool = False) -> Step:
        """Answer to CheckPassword. That an account is disabled is told only to who knows its password."""
        self._expect("password")
        assert self._jid is not None
        if not is_right:
            return self._fail("not-authorized", "wrong-password")
        if disabled:
            return self._fail("account-disabled", "disabled")
        return self._succeed(None)

    # PLAIN (RFC 4616 2)

    def _plain(self, text: str) -> Step:
        parts = text.split("\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            return self._fail("malformed-request", "plain-syntax")
        authzid, username, password = parts
        if len(password.encode()) > PASSWORD_BYTES:
            return self._fail("not-authorized", "password-too-long")
        failure = self._identify(username, authzid)
        if failure is not None:
            return failure
        assert self._jid is not None
        self._state = "password"
        return CheckPassword(self._jid.local, self._jid.domain, password)

    # SCRAM (RFC 5802 5, 7)

    def _scram_first(self, text: str) -> Step:
        flag, _, rest = text.partition(",")
        authzid, _, bare = rest.partition(",")
        fields = bare.split(",")
        if len(fields) < 2 or not (fields[0].startswith("n=") and fields[1].startswith("r=")):
            # Also what a mandatory extension ("m=" before the user name) gets, as RFC 5802 5.1 demands.
            return self._fail("malformed-request", "scram-syntax")
        if authzid and not authzid.startswith("a="):
            return self._fail("malformed-request", "gs2-header")
        failure = self._check_binding(flag, f"{flag},{authzid},")
        if failure is not None:
            return failure
        client_nonce = fields[1][2:]
        if not client_nonce or not all("!" <= char <= "~" for char in client_nonce):
            return self._fail("malformed-request", "nonce")
        username, claimed = _saslname(fields[0][2:]), _saslname(authzid[2:])
        if not username or claimed is None:
            return self._fail("malformed-request", "saslname")
        failure = self._identify(username, claimed)
        if failure is not None:
            return failure
        assert self._jid is not None
        self._client_first_bare = bare
        self._nonce = client_nonce + self._nonce
        self._state = "account"
        return FindAccount(self._jid.local, self._jid.domain, self._base)

    def _downgrade_hash(self) -> str:
        """XEP-0474 5.1: an extension of the server-first-message, which clients that do not know it skip."""
        if not self._offered:
            return ""
        return ",h=" + base64.b64encode(hashlib.new(SCRAM[self._base], self._offered).digest()).decode()

    def _check_binding(self, flag: str, header: str) -> Failure | None:
        """RFC 5802 6: the client's view of channel binding has to fit what was offered."""
        self._cbind_input = header.encode()
        if flag.startswith("p="):
            data = self._bindings.get(flag[2:]) if self._plus else None
            if data is None:
                return self._fail("not-authorized", "binding-type" if self._plus else "binding-not-plus")
            self._cbind_input += data
        elif flag not in ("n", "y"):
            return self._fail("malformed-request", "gs2-flag")
        elif self._plus:
            return self._fail("not-authorized", "plus-without-binding")
        elif flag == "y" and self._bindings:
            # The client could bind and saw no -PLUS, though it was offered: somebody took it out on the way.
            return self._fail("not-authorized", "downgrade")
        return None

    def _scram_final(self, text: str) -> Step:
        assert self._verifier is not None
        without_proof, found, proof_text = text.rpartition(",p=")
        fields = without_proof.split(",")
        if not found or len(fields) < 2 or fields[0][:2] != "c=" or fields[1][:2] != "r=" or any(
                field.startswith("m=") for field in fields[2:]):
            return self._fail("malformed-request", "scram-syntax")
        cbind_input, proof = decode(fields[0][2:]), decode(proof_text)
        if cbind_input is None or proof is None:
            return self._fail("malformed-request", "scram-base64")
        if not hmac.compare_digest(cbind_input, self._cbind_input):
            return self._fail("not-authorized", "binding-mismatch")
        if not hmac.compare_digest(fields[1][2:].encode(), self._nonce.encode()):
            return self._fail("not-authorized", "nonce-mismatch")
        algorithm, verifier = SCRAM[self._base], self._verifier
        message = f"{self._client_first_bare},{self._server_first},{without_proof}".encode()
        signature = hmac.digest(verifier.stored_key, message, algorithm)
        if len(proof) != len(signature):
            return self._fail("not-authorized", "proof-length")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        is_right = hmac.compare_digest(hashlib.new(algorithm, client_key).digest(), verifier.stored_key)
        if not (is_right and self._is_known):
            return self._fail("not-authorized", "wrong-password" if self._is_known else "unknown-account")
        if self._disabled:
            return self._fail("account-disabled", "disabled")
        answer = base64.b64encode(hmac.digest(verifier.server_key, message, algorithm))
        return self._succeed(b"v=" + answer)

    # Common

    def _identify(self, username: str, authzid: str) -> Failure | None:
        found = identify(username, authzid, self._domains, self._default_domain, self._stream_from)
        if isinstance(found, Failure):
            return self._fail(found.condition, found.reason)
        self._jid = found
        return None

    def _unknown(self, account: str) -> Verifier:
        """The verifier shown for an account that does not exist: the same one for every attempt."""
        seed = f"{self._base} {account}".encode()
        key = hmac.digest(self._secret, b"key " + seed, SCRAM[self._base])
        return Verifier(hmac.digest(self._secret, b"salt " + seed, "sha256")[:16], self._iterations, key, key)

    def _succeed(self, additional: bytes | None) -> Success:
        assert self._jid is not None
        self._state = "over"
        return Success(self._jid.local, self._jid.domain, additional)


def identify(username: str, authzid: str, domains: Collection[str], default_domain: str | None,
             stream_from: JID | None = None) -> JID | Failure:
    """Who the client says it is: `john`, or the full address `john@mynewdomain.com`, also as mail has it.

    The authorization identity, where given, has to be the very account (RFC 6120 6.3.8), and the one that the header
    of the stream named.
    """
    try:
        if "@" in username:
            jid = _parse(username)
        elif default_domain is not None:
            jid = _parse(f"{username}@{default_domain}")
        else:
            return Failure("not-authorized", "no-domain")
    except InvalidJID:
        return Failure("not-authorized", "bad-username")
    if not jid.local or jid.resource or jid.domain not in domains:
        return Failure("not-authorized", "foreign-domain")
    if authzid:
        try:
            is_same = _parse(authzid).full == jid.full
        except InvalidJID:
            is_same = False
        if not is_same:
            return Failure("invalid-authzid", "other-account")
        if stream_from is not None and stream_from.bare != jid.bare:
            return Failure("invalid-authzid", "other-from")
    return jid


def _parse(address: str) -> JID:
    """An address as a JID or, where it is none, as a mail address (XEP-0106). Raises InvalidJID."""
    try:
        jid = JID.parse(address)
    except InvalidJID:
        return jid_of_address(address)
    return jid if jid.local or jid.full == jid.domain else jid_of_address(address)


def _saslname(text: str) -> str | None:
    """RFC 5802 5.1: "=2C" is a comma and "=3D" an equals sign; any other "=" is a mistake (None)."""
    parts = text.split("=")
    if any(part[:2] not in ("2C", "3D") for part in parts[1:]):
        return None
    return parts[0] + "".join((("," if part[:2] == "2C" else "=") + part[2:]) for part in parts[1:])
