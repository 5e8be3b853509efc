"""Whatever bytes come, every packet parser of the bridge answers and never raises; what it accepts is in bounds.

CHATD_FUZZ_EXAMPLES sets how many inputs each target gets (300).
"""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.bridge import codecs, rtcp, rtp, stun
from chatd.bridge.incoming import rewrite
from chatd.bridge.packetmap import PacketMap, Segment
from chatd.bridge.reception import Reception

EXAMPLES = int(os.environ.get("CHATD_FUZZ_EXAMPLES", "300"))
many = settings(max_examples=EXAMPLES, deadline=None)
bytes_ = st.binary(max_size=200)


def mutated(good: bytes) -> st.SearchStrategy[bytes]:
    """A valid packet with some bytes changed and its end cut or grown: gets deeper than noise."""
    changes = st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=6)

    def apply(parts: tuple[list[tuple[int, int]], int, bytes]) -> bytes:
        data = bytearray(good)
        for at, value in parts[0]:
            data[at] = value
        return bytes(data[:len(data) - parts[1]]) + parts[2]

    return st.tuples(changes, st.integers(0, 8), st.binary(max_size=8)).map(apply)


@many
@given(st.one_of(bytes_, mutated(stun.request(b"x" * 12, "a:b", "p"))))
def test_stun(data: bytes) -> None:
    request = stun.parse(data)
    if request is not None:
        assert isinstance(request.ufrag, str)
        request.signed_by("p")
        stun.success(request, "192.0.2.1", 1, "p")


RTP = rtp.build(96, True, 1, 2, 3, b"payload", [(1, b"ab"), (4, b"mid"), (10, b"q")])
RTP_WIDE = rtp.build(96, True, 1, 2, 3, b"payload", [(1, b""), (40, b"x" * 20)])


@many
@given(st.one_of(bytes_, mutated(RTP), mutated(RTP_WIDE)))
def test_rtp(data: bytes) -> None:
    packet = rtp.parse(data)
    if packet is not None:
        assert len(packet.payload) + 12 <= len(data)
        assert all(len(value) < 256 for value in packet.extensions.values())
        again = rtp.parse(rtp.build(packet.payload_type, packet.marker, packet.sequence, packet.timestamp, packet.ssrc,
                                    packet.payload, packet.extensions.items()))
        assert again is not None and again.payload == packet.payload and again.extensions == packet.extensions
        rtp.unwrap_rtx(packet, 1, 2)


RTCP = (
    rtcp.sender_report(rtcp.SenderReport(1, 2, 3, 4, 5))
    + rtcp.receiver_report(1, [rtcp.ReportBlock(1, 2, 3, 4, 5, 6, 7)])
    + rtcp.nack(1, 2, [3, 4, 30])
    + rtcp.remb(1, 10**6, [1])
    + rtcp.fir(1, 2, 3)
    + rtcp.pli(1, 2)
)


@many
@given(st.one_of(bytes_, mutated(RTCP)))
def test_rtcp(data: bytes) -> None:
    found, is_whole = rtcp.parse(data)
    assert isinstance(is_whole, bool)
    for item in found:
        if isinstance(item, rtcp.Nack):
            assert len(item.sequences) <= 17 * len(data) // 4 and all(0 <= n < 65536 for n in item.sequences)


@many
@given(st.sampled_from(sorted(codecs.DESCRIBE)), bytes_, st.booleans(), st.integers(0, 0x7FFF), st.integers(0, 255))
def test_payloads(codec: str, payload: bytes, marker: bool, picture: int, tl0: int) -> None:
    found = codecs.DESCRIBE[codec](payload, marker)
    if found.is_valid:
        changed = rewrite(payload, found, Segment(None, 0, 0, 0, picture, tl0))
        assert len(changed) == len(payload)
        if codec == "vp8":
            again = codecs.vp8(changed, marker)
            assert again.is_valid and (again.is_key, again.begins, again.temporal) == (
                found.is_key,
                found.begins,
                found.temporal,
            )


steps = st.lists(
    st.tuples(st.sampled_from(["send", "late", "leave out", "other", "jump"]), st.integers(0, 50)), max_size=120
)


@many
@given(steps, st.integers(0, 65535))
def test_a_map_gives_every_outgoing_number_at_most_once_and_reverses_it(
    actions: list[tuple[str, int]], first: int
) -> None:
    packets = PacketMap()
    number = {"a": first, "b": first + 777 & 0xFFFF}
    source, out, given_out = "a", 500, {}
    held: dict[str, list[int]] = {"a": [], "b": []}
    packets.begin(source, number[source], out, 0)
    for action, n in actions:
        if action == "other":
            source = "b" if source == "a" else "a"
            held[source].clear()
            packets.begin(source, number[source], out, 0)
        elif action == "leave out":
            held[source] += []
            assert packets.leave_out(number[source])
            number[source] = number[source] + 1 & 0xFFFF
            continue
        elif action == "jump":
            for _ in range(n):
                held[source].append(number[source])
                number[source] = number[source] + 1 & 0xFFFF
                out = out + 1 & 0xFFFF
        late = held[source].pop() if action == "late" and held[source] else None
        sequence = late if late is not None else number[source]
        segment = packets.find(source, sequence)
        if late is None:
            number[source] = number[source] + 1 & 0xFFFF
            assert segment is not None
            assert sequence + segment.delta & 0xFFFF == out
            out = out + 1 & 0xFFFF
        if segment is not None:
            goes = sequence + segment.delta & 0xFFFF
            assert goes not in given_out
            given_out[goes] = (source, sequence)
    for goes, (source, sequence) in given_out.items():
        place = packets.reverse(goes)
        if place is not None:
            assert (place[0].source, place[1]) == (source, sequence)


@many
@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 0xFFFFFFFF), st.floats(0, 1)), max_size=60))
def test_reception_stays_bounded(packets: list[tuple[int, int, float]]) -> None:
    reception, now = Reception(90000), 0.0
    for sequence, timestamp, passed in packets:
        now += passed
        reception.arrived(sequence, timestamp, 10, now)
        assert len(reception.missing) <= 256 * 64
        assert len(rtcp.write_block(reception.report(1, 0, 0))) == 24
        rtcp.nack(1, 2, reception.to_ask(now, 0.1))


@many
@given(st.dictionaries(st.integers(0, 5000), st.floats(0, 100, allow_nan=False), min_size=1, max_size=60))
def test_transport_feedback_always_has_its_announced_length(arrivals: dict[int, float]) -> None:
    data = rtcp.transport_feedback(1, 2, arrivals, 3)
    assert len(data) == 4 * (int.from_bytes(data[2:4], "big") + 1)
