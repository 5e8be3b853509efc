"""STUN against aioice, SRTP against pylibsrtp, sendmmsg against sockets, TCP framing, aiortc's private names."""

from __future__ import annotations

import inspect
import os
import socket

import pytest
from aioice import stun as foreign_stun
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import InboundStream, RTCSctpTransport
from pylibsrtp import Policy, Session

from chatd.bridge import stun
from chatd.bridge.sendmmsg import SLOTS, Address, Outbox
from chatd.bridge.srtp import Inbound, Keys, Outbound


def test_aioices_requests_are_read_and_our_answers_are_read_by_it() -> None:
    message = foreign_stun.Message(foreign_stun.Method.BINDING, foreign_stun.Class.REQUEST)
    message.attributes.update({"USERNAME": "ours:theirs", "PRIORITY": 5, "ICE-CONTROLLING": 7, "USE-CANDIDATE": None})
    message.add_message_integrity(b"password")
    request = stun.parse(bytes(message))
    assert request is not None
    assert (request.ufrag, request.nominates, request.claims_controlled) == ("ours", True, False)
    assert request.signed_by("password") and not request.signed_by("passwort")
    for host in ("192.0.2.7", "2001:db8::7"):
        answer = foreign_stun.parse_message(stun.success(request, host, 1234, "password"))
        assert answer.check_message_integrity(b"password")
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == (host, 1234)
        assert answer.transaction_id == message.transaction_id
    conflict = foreign_stun.parse_message(stun.role_conflict(request, "password"))
    assert conflict.error_code == 487


def test_a_request_is_refused_for_every_single_bit_that_is_wrong() -> None:
    good = stun.request(b"x" * 12, "ours:theirs", "password")
    assert stun.parse(good) is not None
    # The last eight bytes are FINGERPRINT, which is not signed and may be missing.
    for bit in range(8 * (len(good) - 8)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        # A length that swallows signature and fingerprint leaves a message without either: read, but never trusted.
        read = stun.parse(bytes(bad))
        assert read is None or not read.signed_by("password")
    for cut in range(len(good)):
        assert stun.parse(good[:cut]) is None


def test_what_follows_the_signature_does_not_count() -> None:
    message = foreign_stun.Message(foreign_stun.Method.BINDING, foreign_stun.Class.REQUEST)
    message.attributes["USERNAME"] = "a:b"
    message.add_message_integrity(b"p")
    data = bytearray(bytes(message)[:-8]) + b"\0\x25\0\0"
    data[2:4] = (len(data) - 20).to_bytes(2, "big")
    request = stun.parse(bytes(data))
    assert request is not None and request.signed_by("p") and not request.nominates


PROFILES = [(Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28), (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
            (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30)]
RTP = b"\x80\x60\0\1\0\0\0\1\0\0\0\1"


@pytest.mark.parametrize("profile, size", PROFILES)
def test_srtp_is_libsrtps(profile: int, size: int) -> None:
    key = os.urandom(size)
    ours_out = Outbound(Keys(profile, b"\0" * size, key))
    theirs = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
    sealed = ours_out.rtp(RTP + b"payload")
    assert sealed is not None and theirs.unprotect(sealed) == RTP + b"payload"
    sealed = ours_out.rtcp(b"\x80\xc9\0\1abcd")
    assert sealed is not None and theirs.unprotect_rtcp(sealed) == b"\x80\xc9\0\1abcd"
    ours_in = Inbound(Keys(profile, key, b"\0" * size))
    sealer = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
    sealed = sealer.protect(RTP + b"payload")
    assert ours_in.rtp(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert ours_in.rtp(sealed) == RTP + b"payload"
    assert ours_in.rtp(sealed) is None, "a replay"
    assert ours_in.rtp(b"\x80" * 3000) is None and ours_in.rtcp(b"\x80") is None
    assert ours_out.rtp(RTP + b"x" * 3000) is None and ours_out.rtp(b"") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_outbox_sends_each_packet_to_its_address_and_survives_unreachable_ones(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sender = socket.socket(family, socket.SOCK_DGRAM)
    receivers = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        sender.bind((host, 0))
        for receiver in receivers:
            receiver.bind((host, 0))
            receiver.settimeout(5)
    except OSError:
        pytest.skip("no IPv6 here")
    key = os.urandom(28)
    out = Outbound(Keys(PROFILES[0][0], key, key))
    outbox = Outbox(sender.fileno(), 28 if family == socket.AF_INET6 else 16)
    addresses = [Address(*r.getsockname()[:2]) for r in receivers]
    nowhere = Address("::ffff:0.0.0.0" if family == socket.AF_INET6 else "255.255.255.255", 9)
    session = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[0][0]))
    count = SLOTS + 7
    for i in range(count):
        packet = RTP[:2] + i.to_bytes(2, "big") + RTP[4:] + b"x" * i
        assert outbox.add(out.handle, addresses[i % 3], packet)
        if i == 10:
            assert outbox.add(out.handle, nowhere, RTP[:-1] + b"\x09")
    outbox.flush()
    assert (outbox.sent, outbox.lost) == (count, 1) and not outbox.used
    for i in range(count):
        packet = session.unprotect(receivers[i % 3].recv(2048))
        assert packet == RTP[:2] + i.to_bytes(2, "big") + RTP[4:] + b"x" * i
    assert not outbox.add(out.handle, addresses[0], b"x" * 5000)
    for each in (sender, *receivers):
        each.close()


def test_aiortcs_private_names_that_are_used_are_still_there() -> None:
    source = inspect.getsource(RTCDtlsTransport)
    for name in ("def _set_role", "def _setup_srtp", "def _register_data_receiver", "self._ssl", "self._role",
                 "self._srtp_profiles", "self._data_receiver._handle_data(data)", "self._set_state(State.CLOSED)"):
        assert name in source, name
    association = inspect.getsource(RTCSctpTransport)
    for name in ("register_data_receiver(self)", "if self._mark_received(chunk.tsn):", "self._sack_misordered.add(tsn)",
                 "self._sack_duplicates.append(tsn)", "self._advertised_rwnd -= len(chunk.user_data)",
                 "self._inbound_streams[stream_id] = InboundStream()", "self._data_channels[stream_id] = channel"):
        assert name in association, name
    assert "self.reassembly.append(chunk)" in inspect.getsource(InboundStream)
    assert "await self.transport._recv()" in source and "await self.transport._send(data)" in source
