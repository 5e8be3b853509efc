"""Whatever a connected peer sends, RTP, RTCP or TCP bytes: nothing is raised, and what goes out stays in bounds.

The packets are given to transports of a real Port as if just decrypted; viewers subscribe, some with layers left out.
CHATD_FUZZ_EXAMPLES sets how many inputs each target gets (100).
"""

from __future__ import annotations

import asyncio
import os
import socket
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy

from chatd.bridge import rtcp, rtp
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.port import Port, UdpPath
from chatd.bridge.srtp import Keys, Outbound
from chatd.bridge.tcp import LARGEST_FRAME, TcpPath

EXAMPLES = int(os.environ.get("CHATD_FUZZ_EXAMPLES", "100"))
IDS = {rtp.MID: 4, rtp.RID: 10, rtp.REPAIRED_RID: 11, rtp.AUDIO_LEVEL: 1, rtp.TRANSPORT_CC: 3, rtp.ABS_SEND_TIME: 2,
       rtp.DEPENDENCY_DESCRIPTOR: 12}
KEYS = Keys(Policy.SRTP_PROFILE_AEAD_AES_128_GCM, os.urandom(28), os.urandom(28))
TRACKS = [("video", "vp8", 96, "a", ["q", "h"]), ("video", "vp9", 98, "b", []), ("video", "av1", 100, "c", []),
          ("audio", "opus", 111, "d", []), ("video", "h264", 102, "e", ["q"])]

extensions = st.lists(st.one_of(
    st.tuples(st.just(4), st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"\xff"])),
    st.tuples(st.just(10), st.sampled_from([b"q", b"h", b"x"])),
    st.tuples(st.just(11), st.sampled_from([b"q", b"h"])),
    st.tuples(st.just(3), st.binary(min_size=2, max_size=2)),
    st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)),
), max_size=5)
wild = st.builds(
    rtp.build,
    st.sampled_from([96, 97, 98, 99, 100, 101, 102, 103, 111, 5]),
    st.booleans(),
    st.integers(0, 65535),
    st.integers(0, 0xFFFFFFFF),
    st.integers(1, 8),
    st.binary(max_size=40),
    extensions,
)
HEADS = {"vp8": [b"\x10\x10\0\0\x9d\x01\x2a\0\0\0\0", b"\x90\xe0\x80\x01\x05\x20\x10", b"\x90\xe0\x80\x02\x05\xa0\x11",
                 b"\x80\xe0\x80\x02\x05\xa0", b"\x90\x80\x05\x10"],
         "vp9": [b"\x8c\x81\x02", b"\xac\x05\x23\x01", b"\xac\x05\x30\x01", b"\xa4\x05\x25\x01"],
         "av1": [b"\x18\x0a", b"\x10\x32", b"\x90\x32"], "h264": [b"\x67", b"\x7c\x85", b"\x41"], "opus": [b"\xfc"]}


@st.composite
def likely(draw: Any) -> bytes:
    """A packet of one of the tracks, mostly right: it reaches the layers and what is behind them."""
    number = draw(st.integers(0, len(TRACKS) - 1))
    _, codec, payload_type, mid, rids = TRACKS[number]
    rid = draw(st.sampled_from(rids)) if rids else ""
    more = [(4, mid.encode())] + ([(10, rid.encode())] if rid else []) + draw(extensions)
    payload = draw(st.sampled_from(HEADS[codec])) + draw(st.binary(max_size=20))
    ssrc = 100 * number + (rids.index(rid) if rid else 0)
    if draw(st.integers(0, 9)) == 0:
        payload = draw(st.binary(max_size=6))
    if draw(st.integers(0, 9)) == 0 and codec != "opus":
        more.append((11, rid.encode() or b"-"))
        return rtp.build(
            payload_type + 1,
            False,
            draw(st.integers(0, 9)),
            0,
            ssrc + 50,
            bytes((0, draw(st.integers(0, 30)))) + payload,
            more,
        )
    return rtp.build(
        payload_type,
        draw(st.booleans()),
        draw(st.integers(65500, 65600)) & 0xFFFF if draw(st.integers(0, 9)) else draw(st.integers(0, 65535)),
        draw(st.integers(0, 0xFFFFFFFF)),
        ssrc,
        payload,
        more,
    )


packet = st.one_of(likely(), likely(), likely(), wild)
report = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda n, s: rtcp.nack(1, n, s), st.integers(1, 12), st.lists(st.integers(0, 16500), max_size=20)),
    st.builds(rtcp.pli, st.just(1), st.integers(1, 12)),
    st.builds(lambda rate: rtcp.remb(1, rate, [1]), st.integers(0, 10**8)),
    st.builds(
        lambda s, n, t: rtcp.sender_report(rtcp.SenderReport(s, n, t, 1, 1)),
        st.integers(1, 8),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**32 - 1),
    ),
    st.builds(
        lambda s, f: rtcp.receiver_report(1, [rtcp.ReportBlock(s, f, 0, 0, 0, 0, 0)]),
        st.integers(1, 12),
        st.integers(0, 255),
    ),
)
event = st.one_of(
    st.tuples(st.just("rtp"), packet),
    st.tuples(st.just("rtp"), packet),
    st.tuples(st.just("raw"), st.binary(max_size=60)),
    st.tuples(st.just("rtcp"), report),
    st.tuples(st.just("viewer"), report),
    st.tuples(st.just("time"), st.just(b"")),
    st.tuples(st.sampled_from(["low", "high", "pause", "resume", "thin"]), st.just(b"")),
)
OPEN: Any = SimpleNamespace(rtp=lambda data: data, rtcp=lambda data: data)


def connected(port: Port, sink: socket.socket) -> Any:
    transport = port.transport()
    transport.set_extensions(IDS)
    transport.inbound, transport.outbound = OPEN, Outbound(KEYS)
    transport.handle, transport.state = transport.outbound.handle, "connected"
    transport._take_path(UdpPath(port, sink.getsockname()))
    return transport


async def play(events: list[tuple[str, bytes]]) -> None:
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    clock = SimpleNamespace(now=1000.0)
    port = await Port.open("127.0.0.1", 0, with_tcp=False, clock=lambda: clock.now)
    try:
        publisher, viewer = connected(port, sink), connected(port, sink)
        subscriptions = []
        for i, (kind, codec, payload_type, mid, rids) in enumerate(TRACKS):
            publication = Publication(kind, codec, payload_type, payload_type + 1 if kind == "video" else None)
            publisher.receive(publication, mid, rids, ssrcs=[] if rids else [i + 1])
            subscriptions.append(
                Subscription(
                    publication, viewer, payload_type, payload_type + 1, mid, ssrc=2 * i + 1, rtx_ssrc=2 * i + 2
                )
            )
            subscriptions.append(Subscription(publication, viewer, payload_type, None, "", ssrc=20 + i))
            subscriptions[-1].set_temporal(0)
        for kind, data in events:
            before = port.outbox.sent + port.outbox.used
            if kind in ("rtp", "raw"):
                publisher.received_rtp(data, clock.now)
                assert port.outbox.sent + port.outbox.used - before <= len(subscriptions)
            elif kind == "rtcp":
                publisher.received_rtcp(data, clock.now)
            elif kind == "viewer":
                viewer.received_rtcp(data, clock.now)
                for subscription in subscriptions:
                    last = subscription.segment.delta + 65540
                    subscription.repeats.answer([last + i & 0xFFFF for i in range(-30, 30)], clock.now)
            elif kind == "time":
                clock.now += 0.3
                for _ in range(51):
                    port._work()
            for subscription in subscriptions if kind in ("low", "high", "pause", "resume", "thin") else ():
                if kind in ("low", "high"):
                    subscription.set_quality(0 if kind == "low" else 2)
                elif kind == "thin":
                    subscription.allow(-1 if subscription.allowed else 0, clock.now)
                else:
                    getattr(subscription, kind)()
            port._run_later()
            clock.now += 0.004
        assert all(len(layer.reception.missing) <= 256 for layer in publisher._layers.values())
        assert len(publisher._layers) <= sum(max(1, len(track[4])) for track in TRACKS)
    finally:
        port.close()
        await asyncio.sleep(0)
        port._socket.close()
        sink.close()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(event, min_size=20, max_size=120))
def test_a_connected_peer_may_send_anything(events: list[tuple[str, bytes]]) -> None:
    asyncio.run(play(events))


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.binary(max_size=20).map(lambda b: len(b).to_bytes(2, "big") + b)),
        max_size=20,
    ),
    st.lists(st.integers(1, 9), max_size=40),
)
def test_tcp_frames_are_the_same_however_the_stream_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)

    def read(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        frames: list[bytes] = []
        owner: Any = SimpleNamespace(
            received_frame=lambda data, path: not frames.append(data), count=lambda reason: None
        )
        path = TcpPath(owner, set())
        for piece in pieces:
            if not path.is_closed:
                path.data_received(piece)
        return frames, path.is_closed

    pieces, at = [], 0
    for cut in cuts:
        pieces.append(stream[at:at + cut])
        at += cut
    whole = read([stream])
    assert read(pieces + [stream[at:]]) == whole
    assert all(len(frame) <= LARGEST_FRAME for frame in whole[0])
