"""RTP and RTCP on the wire: our own writing read back, aiortc's reading of ours, and recorded shapes."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtcpPacket, RtcpRtpfbPacket, RtpPacket

from chatd.bridge import rtcp, rtp


def test_a_packet_reads_back() -> None:
    data = rtp.build(96, True, 65535, 1 << 31, 7, b"payload", [(4, b"12"), (10, b"q"), (2, b"abc")])
    packet = rtp.parse(data)
    assert packet is not None
    assert (packet.payload_type, packet.marker, packet.sequence, packet.timestamp, packet.ssrc) == (
        96,
        True,
        65535,
        1 << 31,
        7,
    )
    assert packet.extensions == {4: b"12", 10: b"q", 2: b"abc"} and packet.payload == b"payload"
    foreign = RtpPacket.parse(data)
    assert (foreign.payload, foreign.sequence_number, foreign.marker) == (b"payload", 65535, 1)


@pytest.mark.parametrize(
    "elements", [[(15, b"x")], [(1, b"")], [(1, b"x" * 17)], [(200, b"x" * 255)], [(1, b"a"), (16, b"b")]]
)
def test_what_one_byte_headers_cannot_say_goes_in_two_byte_headers(elements: list[tuple[int, bytes]]) -> None:
    packet = rtp.parse(rtp.build(96, False, 0, 0, 1, b"p", elements))
    assert packet is not None and packet.extensions == dict(elements) and packet.payload == b"p"


HEAD = b"\x80\x60\0\1\0\0\0\1\0\0\0\1"


@pytest.mark.parametrize("data", [
    b"", HEAD[:11], b"\x40" + HEAD[1:], b"\x81" + HEAD[1:], b"\x90" + HEAD[1:], b"\x90" + HEAD[1:] + b"\xbe\xde\0\1",
    b"\xa0" + HEAD[1:] + b"\0", b"\xa0" + HEAD[1:] + b"abc\x05", b"\xbf" + HEAD[1:] + b"\xff" * 3,
])
def test_wrong_lengths_are_no_packet(data: bytes) -> None:
    assert rtp.parse(data) is None


def test_padding_is_taken_off_and_a_list_of_extensions_may_end_early() -> None:
    packet = rtp.parse(b"\xa0" + HEAD[1:] + b"ab\0\0\0\x04")
    assert packet is not None and packet.payload == b"ab"
    packet = rtp.parse(b"\x90" + HEAD[1:] + b"\xbe\xde\0\2" + b"\x10a\0\0\xf0\x22\x20b" + b"p")
    assert packet is not None and packet.extensions == {1: b"a"} and packet.payload == b"p"
    packet = rtp.parse(b"\x90" + HEAD[1:] + b"\xbe\xde\0\1" + b"\x1fabc" + b"p")
    assert packet is not None and packet.extensions == {}
    packet = rtp.parse(b"\x90" + HEAD[1:] + b"\x10\x05\0\2" + b"\x01\x02ab\0\x07\x01c" + b"p")
    assert packet is not None and packet.extensions == {1: b"ab", 7: b"c"}


def test_rtx_is_unwrapped() -> None:
    packet = rtp.parse(rtp.build(97, True, 5, 6, 70, b"\x01\x02rest"))
    assert packet is not None
    inner = rtp.unwrap_rtx(packet, 96, 7)
    assert inner is not None
    assert (inner.payload_type, inner.sequence, inner.ssrc, inner.payload, inner.marker) == (
        96,
        0x102,
        7,
        b"rest",
        True,
    )
    packet.payload = b"\x01\x02"
    assert rtp.unwrap_rtx(packet, 96, 7) is None


@pytest.mark.parametrize("value, near, expected", [(0, 65535, 65536), (65535, 65536, 65535), (5, 3, 5), (65535, 0, -1)])
def test_unwrap(value: int, near: int, expected: int) -> None:
    assert rtp.unwrap(value, near) == expected


def one(data: bytes) -> object:
    found, is_whole = rtcp.parse(data)
    assert is_whole and len(found) == 1
    return found[0]


def test_reports_read_back() -> None:
    sr = one(rtcp.sender_report(rtcp.SenderReport(1, 2 << 40, 3, 4, 5)))
    assert isinstance(sr, rtcp.SenderReport) and (sr.ssrc, sr.ntp, sr.timestamp, sr.packets, sr.octets) == (
        1,
        2 << 40,
        3,
        4,
        5,
    )
    blocks = [rtcp.ReportBlock(i, i, -i, 70000 + i, 5, 6, 7) for i in range(31)]
    rr = one(rtcp.receiver_report(9, blocks + blocks))
    assert isinstance(rr, rtcp.ReceiverReport)
    assert [(b.ssrc, b.fraction, b.lost, b.highest) for b in rr.blocks] == [(i, i, -i, 70000 + i) for i in range(31)]


@pytest.mark.parametrize("sequences", [[5], [5, 6, 21], [5, 22], [65535, 0, 15, 16], list(range(100))])
def test_nacks_read_back(sequences: list[int]) -> None:
    data = rtcp.nack(1, 2, sequences)
    nack = one(data)
    assert isinstance(nack, rtcp.Nack) and nack.media == 2 and nack.sequences == sequences
    (foreign,) = RtcpPacket.parse(data)
    assert isinstance(foreign, RtcpRtpfbPacket) and [n & 0xFFFF for n in foreign.lost] == sequences


@pytest.mark.parametrize("bitrate", [0, 1, 262143, 262144, 30_000_000, 2_147_483_648])
def test_remb_reads_back_within_its_mantissa(bitrate: int) -> None:
    remb = one(rtcp.remb(1, bitrate, [5, 6]))
    assert isinstance(remb, rtcp.Remb) and bitrate * 0.99999 <= remb.bitrate <= bitrate


def test_keyframe_requests_of_both_kinds_and_bye() -> None:
    pli, fir = one(rtcp.pli(1, 2)), one(rtcp.fir(1, 3, 300))
    assert isinstance(pli, rtcp.KeyframeRequest) and pli.media == 2
    assert isinstance(fir, rtcp.KeyframeRequest) and fir.media == 3
    bye = one(b"\x82\xcb\0\2" + struct.pack("!II", 4, 5))
    assert isinstance(bye, rtcp.Bye) and list(bye.ssrcs) == [4, 5]


def test_compounds_with_padding_and_foreign_kinds_are_read_through() -> None:
    padded = bytearray(rtcp.pli(1, 2)) + b"\0\0\0\4"
    padded[0] |= 0x20
    padded[3] = 3
    unknown = b"\x80\xcf\0\1abcd"
    # RFC 3550 6.5: one source, its CNAME "someone".
    names = b"\x81\xca\0\4" + b"\0\0\0\1" + b"\1\7someone" + bytes(3)
    found, is_whole = rtcp.parse(names + unknown + bytes(padded))
    assert is_whole and [type(item) for item in found] == [rtcp.KeyframeRequest]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\xc8\0\1abcd",
        b"\x40\xc9\0\0",
        b"\x81\xc9\0\1abcd",
        b"\xa0\xc9\0\1abc\0",
        b"\xa0\xc9\0\1abc\x09",
        b"\x81\xce\0\1abcd",
        b"\x81\xcd\0\2abcdefgh",
        b"\xa0\xc9\0\0",
    ],
)
def test_malformed_rtcp_is_told(data: bytes) -> None:
    assert rtcp.parse(data) == ([], False)


def test_what_is_before_the_malformed_part_counts() -> None:
    found, is_whole = rtcp.parse(rtcp.pli(1, 2) + b"\x80\xc8\0\1abcd")
    assert not is_whole and len(found) == 1


def read_feedback(data: bytes) -> tuple[int, dict[int, float]]:
    """An independent reader of transport-wide feedback: (count, number -> seconds)."""
    base, total, reference = struct.unpack_from("!HHI", data, 12)
    at, symbols = 20, []
    while len(symbols) < total:
        (chunk,) = struct.unpack_from("!H", data, at)
        at += 2
        if not chunk >> 15:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
        elif chunk >> 14 & 1:
            symbols += [chunk >> 12 - 2 * i & 3 for i in range(7)]
        else:
            symbols += [chunk >> 13 - i & 1 for i in range(14)]
    now, arrivals = (reference >> 8) * 256, {}
    for i, symbol in enumerate(symbols[:total]):
        if symbol == 1:
            now += data[at]
            at += 1
        elif symbol == 2:
            now += struct.unpack_from("!h", data, at)[0]
            at += 2
        if symbol:
            arrivals[base + i] = now / 4000
    assert len(data) - at < 4
    return reference & 255, arrivals


@pytest.mark.parametrize("arrivals", [
    {5: 1000.0}, {5: 1000.0, 6: 1000.001, 9: 1000.1, 7: 1000.2}, {i: 50 + i / 100 for i in range(0, 300, 3)},
    dict.fromkeys(range(100), 7.0), {1: 3.0, 60: 3.5, 61: 3.4}, {i: 9 + i / 1000 for i in range(20)} | {29: 9.5},
])
def test_transport_feedback_says_when_each_packet_came(arrivals: dict[int, float]) -> None:
    data = rtcp.transport_feedback(1, 2, arrivals, 260)
    assert len(data) == 4 * (int.from_bytes(data[2:4], "big") + 1)
    count, read = read_feedback(data)
    assert count == 4 and read.keys() == arrivals.keys()
    assert all(abs(read[n] - arrivals[n]) < 0.0003 for n in arrivals)
