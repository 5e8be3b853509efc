"""DTLS and data channels of one connection, on aiortc 1.16's RTCDtlsTransport and RTCSctpTransport.

aiortc wants an ICE transport below: `_Below` is the little of it that is used. The private names of aiortc used here
(pinned by tests/bridge/test_wire.py): `_set_role`, `_setup_srtp`, `_ssl`, `_role`, `_srtp_profiles`, `_transport`,
`_register_data_receiver`, and what `Sctp` looks at. RTP never goes through aiortc: its receive chain costs more than
all of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiortc import RTCCertificate, RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from aiortc.rtcsctptransport import RTCSctpTransport, tsn_plus_one
from aiortc.utils import uint32_gte

from chatd.bridge.srtp import Keys

log = logging.getLogger(__name__)

# Least CPU first: both GCM profiles, 128 before 256 bits, then the one that RFC 8827 makes everybody have.
_ORDER = (b"SRTP_AEAD_AES_128_GCM", b"SRTP_AEAD_AES_256_GCM", b"SRTP_AES128_CM_SHA1_80")
PROFILES = sorted(SRTP_PROFILES, key=lambda profile: _ORDER.index(profile.openssl_profile))

MOST_QUEUED = 128
# Data waiting for a peer that does not read; LiveKit's clients send at most 64 KiB a message.
MOST_BUFFERED_BYTES = 4 << 20
SCTP_PORT = 5000
# LiveKit's clients open three.
MOST_CHANNELS = 16
MOST_STREAMS = 64
# Chunks that wait for others: aiortc looks through all of them for each that comes. The window that it announces, 1 MB,
# is 900 of the usual size.
MOST_CHUNKS = 2048
# What a peer may send though its window is full (RFC 9260 6.1: a probe, what was under way).
MOST_BEYOND_BYTES = 64 << 10


class _Below:
    """What RTCDtlsTransport needs of an ICE transport."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_QUEUED)

    async def _recv(self) -> bytes:
        data = await self.queue.get()
        if not data:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)


class _Guarded:
    """Stands between DTLS and SCTP: an exception in aiortc's SCTP ends with the packet that caused it."""

    def __init__(self, receiver: Any) -> None:
        self.receiver = receiver

    async def _handle_data(self, data: bytes) -> None:
        try:
            await self.receiver._handle_data(data)
        except ConnectionError:
            raise
        except Exception as error:
            log.debug("sctp packet dropped: %r", error)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.receiver

    __hash__ = None  # type: ignore[assignment]


class Sctp(RTCSctpTransport):  # type: ignore[misc]
    """aiortc's association with bounds: by itself it keeps all that a peer never finishes, window or not."""

    async def _handle_data(self, data: bytes) -> None:
        try:
            await super()._handle_data(data)
        finally:
            if self._is_overrun():
                log.info("a data association is ended: its peer keeps too much unfinished")
                raise ConnectionError

    def _is_overrun(self) -> bool:
        return (
            self._advertised_rwnd < -MOST_BEYOND_BYTES
            or len(self._sack_misordered) > MOST_CHUNKS
            or max(len(self._inbound_streams), len(self._data_channels)) > MOST_STREAMS
            or any(len(stream.reassembly) > MOST_CHUNKS for stream in self._inbound_streams.values())
        )

    def _mark_received(self, tsn: int) -> bool:
        """As aiortc's, which sorts all that is out of order once for every chunk."""
        misordered, last = self._sack_misordered, self._last_received_tsn
        # Before the peer has said where it begins nothing can be in order; `_Guarded` drops the packet.
        assert last is not None
        if uint32_gte(last, tsn) or tsn in misordered:
            self._sack_duplicates.append(tsn)
            return True
        misordered.add(tsn)
        while (following := tsn_plus_one(last)) in misordered:
            misordered.discard(following)
            last = self._last_received_tsn = following
        return False


class Dtls(RTCDtlsTransport):  # type: ignore[misc]
    """One DTLS association. `connect` runs the handshake and gives the SRTP keys."""

    def __init__(self, send: Callable[[bytes], None], certificate: RTCCertificate) -> None:
        self._below = _Below(send)
        super().__init__(self._below, [certificate])  # type: ignore[arg-type]
        self._srtp_profiles = PROFILES
        self.keys: Keys | None = None

    def received(self, data: bytes) -> None:
        """A record from the network; too many at once are dropped, DTLS sends again."""
        if not self._below.queue.full():
            self._below.queue.put_nowait(data)

    async def connect(self, fingerprint: str, setup: str, ended: Callable[[], None]) -> Keys | None:
        """Shake hands; None if that failed. `ended()` is called when the peer closes later.

        `fingerprint` "sha-256 AB:…" is the peer's (ValueError if it has no such form), `setup` the peer's role:
        "passive" makes us the DTLS client, all else the server.
        """
        algorithm, _, value = fingerprint.strip().partition(" ")
        if not value:
            raise ValueError("a fingerprint is an algorithm and a value")
        self._set_role("client" if setup == "passive" else "server")
        await self.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm.lower(), value.strip())]))
        if self._state != State.CONNECTED:
            return None

        def changed() -> None:
            if self._state in (State.CLOSED, State.FAILED):
                ended()

        self.on("statechange", changed)
        return self.keys

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._state == State.FAILED or self._ssl is None:
            return
        name = self._ssl.get_selected_srtp_profile()
        profile = next(p for p in PROFILES if p.openssl_profile == name)
        material = self._ssl.export_keying_material(
            b"EXTRACTOR-dtls_srtp", 2 * (profile.key_length + profile.salt_length)
        )
        of_client, of_server = profile.get_key_and_salt(material, 0), profile.get_key_and_salt(material, 1)
        if self._role == "server":
            self.keys = Keys(profile.libsrtp_profile, receive=of_client, send=of_server)
        else:
            self.keys = Keys(profile.libsrtp_profile, receive=of_server, send=of_client)

    def _register_data_receiver(self, receiver: Any) -> None:
        super()._register_data_receiver(_Guarded(receiver))


class Channels:
    """The data channels of a connection, by label. `got(label, data)` for each message; `count(what)` for oddities."""

    def __init__(self, dtls: Dtls, got: Callable[[str, bytes], None], count: Callable[[str], None]) -> None:
        self._dtls = dtls
        self._got = got
        self._count = count
        self._sctp = Sctp(dtls, SCTP_PORT)
        self._sctp.on("datachannel", self._opened)
        self._open: dict[str, RTCDataChannel] = {}
        self._wanted: list[RTCDataChannelParameters] = []
        self._is_started = False

    async def start(self) -> None:
        """DTLS is up: begin the association; the peer may never answer if it negotiated no data."""
        self._is_started = True
        await self._sctp.start(Sctp.getCapabilities(), SCTP_PORT)
        for parameters in self._wanted:
            self._opened(RTCDataChannel(self._sctp, parameters))

    async def stop(self) -> None:
        """End association and DTLS."""
        if self._is_started:
            await self._sctp.stop()
        await self._dtls.stop()

    def open(self, label: str, is_ordered: bool, most_retransmits: int | None) -> None:
        """Open a channel from our side."""
        parameters = RTCDataChannelParameters(label=label, ordered=is_ordered, maxRetransmits=most_retransmits)
        if self._is_started:
            self._opened(RTCDataChannel(self._sctp, parameters))
        else:
            self._wanted.append(parameters)

    def send(self, label: str, data: bytes) -> bool:
        """Queue a message; False if it cannot go."""
        channel = self._open.get(label)
        if channel is None or channel.readyState != "open":
            return False
        if channel.bufferedAmount > MOST_BUFFERED_BYTES:
            self._count("data not read")
            return False
        channel.send(data)
        return True

    def _opened(self, channel: RTCDataChannel) -> None:
        if len(self._open) >= MOST_CHANNELS and channel.label not in self._open:
            self._count("data channels")
            return
        self._open[channel.label] = channel

        def message(data: str | bytes) -> None:
            try:
                self._got(channel.label, data.encode() if isinstance(data, str) else data)
            except Exception:
                # The callee's mistake must not end the connection of whoever sent the message.
                log.exception("a data message was not handled")

        channel.on("message", message)
