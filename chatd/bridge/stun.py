"""STUN as an ICE-lite agent needs it: read a binding request, write its answer (RFC 8489, RFC 8445 section 7.3).

Not here: sending checks, TURN, other methods. `parse` never raises: what is no well-formed binding request is None,
so that whoever reads datagrams from strangers only has to count it.
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
import struct

COOKIE = 0x2112A442
BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
XOR_MAPPED_ADDRESS = 0x0020
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029

FINGERPRINT_XOR = 0x5354554E
HEADER = struct.Struct("!HHI12s")
TLV = struct.Struct("!HH")


class Request:
    """One binding request.

    `username` is "ours:theirs" (RFC 8445 section 7.2.2); `nominates` tells USE-CANDIDATE; `claims_controlled` that
    the sender takes itself for the controlled side, as which we are. Nothing of it counts before `signed_by` said
    yes.
    """

    __slots__ = ("transaction", "username", "nominates", "claims_controlled", "_signed", "_signature")

    def __init__(self, transaction: bytes) -> None:
        self.transaction = transaction
        self.username = ""
        self.nominates = False
        self.claims_controlled = False
        self._signed = b""
        self._signature = b""

    @property
    def ufrag(self) -> str:
        """Our half of the user name: the ufrag that names the transport."""
        return self.username.partition(":")[0]

    def signed_by(self, password: str) -> bool:
        """Whether MESSAGE-INTEGRITY is there and was made with this password (RFC 8489 section 14.5)."""
        if not self._signature:
            return False
        return hmac.compare_digest(self._signature, hmac.digest(password.encode(), self._signed, "sha1"))


def parse(data: bytes) -> Request | None:
    """Read a datagram; None if it is no well-formed binding request or its FINGERPRINT is wrong."""
    if len(data) < 20 or len(data) > 1500:
        return None
    kind, length, cookie, transaction = HEADER.unpack_from(data)
    if kind != BINDING_REQUEST or cookie != COOKIE or length != len(data) - 20 or length % 4:
        return None
    request = Request(transaction)
    at, end = 20, len(data)
    while at + 4 <= end:
        attribute, size = TLV.unpack_from(data, at)
        value = data[at + 4:at + 4 + size]
        if len(value) != size:
            return None
        if attribute == FINGERPRINT:
            if size != 4 or at + 8 != end:
                return None
            if int.from_bytes(value, "big") != binascii.crc32(data[:at]) ^ FINGERPRINT_XOR:
                return None
        elif request._signature:
            pass  # RFC 8489 14.5: what follows MESSAGE-INTEGRITY is not signed and does not count
        elif attribute == USERNAME:
            try:
                request.username = value.decode()
            except UnicodeDecodeError:
                return None
        elif attribute == USE_CANDIDATE:
            request.nominates = True
        elif attribute == ICE_CONTROLLED:
            request.claims_controlled = True
        elif attribute == MESSAGE_INTEGRITY:
            if size != 20:
                return None
            # The length field counts as if the message ended with this attribute.
            request._signed = data[:2] + struct.pack("!H", at + 24 - 20) + data[4:at]
            request._signature = value
        at += 4 + size + (-size & 3)
    return request if at == end else None


def _attribute(kind: int, value: bytes) -> bytes:
    return TLV.pack(kind, len(value)) + value + bytes(-len(value) & 3)


def xor_address(host: str, port: int, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS (RFC 8489 section 14.2); `host` is a numeric IPv4 or IPv6 address."""
    address = ipaddress.ip_address(host.partition("%")[0])
    # A socket that serves both families shows IPv4 peers as ::ffff:a.b.c.d; the peer wants to see what it is.
    packed = (getattr(address, "ipv4_mapped", None) or address).packed
    pad = struct.pack("!I", COOKIE) + transaction
    mixed = bytes(a ^ b for a, b in zip(packed, pad, strict=False))
    return struct.pack("!BBH", 0, 1 if len(packed) == 4 else 2, port ^ (COOKIE >> 16)) + mixed


def _message(kind: int, transaction: bytes, body: bytes, password: str) -> bytes:
    signed = HEADER.pack(kind, len(body) + 24, COOKIE, transaction) + body
    body += _attribute(MESSAGE_INTEGRITY, hmac.digest(password.encode(), signed, "sha1"))
    checked = HEADER.pack(kind, len(body) + 8, COOKIE, transaction) + body
    return checked + _attribute(FINGERPRINT, struct.pack("!I", binascii.crc32(checked) ^ FINGERPRINT_XOR))


def success(request: Request, host: str, port: int, password: str) -> bytes:
    """The answer to a request that came from this address."""
    body = _attribute(XOR_MAPPED_ADDRESS, xor_address(host, port, request.transaction))
    return _message(BINDING_SUCCESS, request.transaction, body, password)


def role_conflict(request: Request, password: str) -> bytes:
    """487: a lite agent is always the controlled one (RFC 8445 section 7.3.1.1)."""
    body = _attribute(ERROR_CODE, struct.pack("!HBB", 0, 4, 87) + b"Role Conflict")
    return _message(BINDING_ERROR, request.transaction, body, password)


def request(transaction: bytes, username: str, password: str, nominates: bool = True) -> bytes:
    """A binding request as a controlling agent sends it; for tests and load generators."""
    body = _attribute(USERNAME, username.encode()) + _attribute(0x0024, struct.pack("!I", 1))
    body += _attribute(0x802A, transaction[:8])
    if nominates:
        body += _attribute(USE_CANDIDATE, b"")
    return _message(BINDING_REQUEST, transaction, body, password)
