"""SRTP in place (RFC 3711, RFC 7714) through the libsrtp binding that pylibsrtp ships.

pylibsrtp's own `Session.protect` copies a packet three times and refuses those over 1356 bytes. Here libsrtp works on
memory of ours. One `Keys` comes out of a DTLS handshake; `Inbound` and `Outbound` are the two directions of a
transport.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

# Room for the authentication tag, the SRTCP index and an MKI (srtp.h: SRTP_MAX_TRAILER_LEN + 4).
TRAILER_BYTES = 16 + 128 + 4
LARGEST_BYTES = 2048


class Keys(NamedTuple):
    """What DTLS agreed on: libsrtp's number of the profile, and master key + salt for each direction."""

    profile: int
    receive: bytes
    send: bytes


def _session(profile: int, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.allow_repeat_tx = True
    policy.window_size = 1024
    return Session(policy)


class Inbound:
    """Opens what a peer sends. Wrong, replayed or too long packets give None."""

    __slots__ = ("_session", "_handle", "_length", "_memory", "_view")

    def __init__(self, keys: Keys) -> None:
        self._session = _session(keys.profile, keys.receive, Policy.SSRC_ANY_INBOUND)
        self._handle = self._session._srtp[0]
        self._length = ffi.new("int *")
        self._memory = ffi.new("char[]", LARGEST_BYTES)
        self._view = ffi.buffer(self._memory)

    def _open(self, function: Any, data: bytes) -> bytes | None:
        size = len(data)
        if size > LARGEST_BYTES:
            return None
        self._view[0:size] = data
        self._length[0] = size
        if function(self._handle, self._memory, self._length):
            return None
        return self._view[0:self._length[0]]  # type: ignore[no-any-return]

    def rtp(self, data: bytes) -> bytes | None:
        """The RTP packet inside an SRTP packet."""
        return self._open(lib.srtp_unprotect, data)

    def rtcp(self, data: bytes) -> bytes | None:
        """The RTCP packet inside an SRTCP packet."""
        return self._open(lib.srtp_unprotect_rtcp, data)


class Outbound:
    """Seals what we send. `handle` goes to `protect` with memory of the caller's, see `sendmmsg.Outbox`."""

    __slots__ = ("_session", "handle", "_length", "_memory", "_view")

    def __init__(self, keys: Keys) -> None:
        self._session = _session(keys.profile, keys.send, Policy.SSRC_ANY_OUTBOUND)
        self.handle = self._session._srtp[0]
        self._length = ffi.new("int *")
        self._memory = ffi.new("char[]", LARGEST_BYTES + TRAILER_BYTES)
        self._view = ffi.buffer(self._memory)

    def _seal(self, function: Any, data: bytes) -> bytes | None:
        size = len(data)
        if size > LARGEST_BYTES:
            return None
        self._view[0:size] = data
        self._length[0] = size
        if function(self.handle, self._memory, self._length):
            return None
        return self._view[0:self._length[0]]  # type: ignore[no-any-return]

    def rtp(self, data: bytes) -> bytes | None:
        """An SRTP packet; None if libsrtp refuses."""
        return self._seal(lib.srtp_protect, data)

    def rtcp(self, data: bytes) -> bytes | None:
        """An SRTCP packet; None if libsrtp refuses."""
        return self._seal(lib.srtp_protect_rtcp, data)


# srtp_err_status_t srtp_protect(srtp_t session, void *packet, int *length): 0 is success.
protect = lib.srtp_protect
