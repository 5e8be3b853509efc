"""A Port with real peers on this machine: ICE, DTLS, SRTP, and what the bridge forwards, answers and asks for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from peer import FINGERPRINT, IDS, Peer, own_address, vp8_payload

from chatd.bridge import layers, rtcp, rtp, stun
from chatd.bridge.dtls import MOST_CHUNKS, Sctp
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.layers import Size
from chatd.bridge.port import MOST_ADDRESSES, Port

Q, H, F = 11, 22, 33
RIDS = {Q: b"q", H: b"h", F: b"f"}


class Room:
    """A port, one publisher with a simulcast camera and a microphone, and any number of viewers."""

    def __init__(self, clock=None) -> None:
        self.clock = clock

    async def __aenter__(self) -> Room:
        self.host = own_address()
        more = {"clock": self.clock} if self.clock else {}
        self.port = await Port.open(self.host, 0, **more)
        self.peers = []
        self.states = []
        self.publisher = await self.join()
        self.camera = Publication("video", "vp8", 96, 97, sizes=[Size(320, 180), Size(640, 360), Size(1280, 720)])
        self.microphone = Publication("audio", "opus", 111)
        self.publisher.transport.receive(self.camera, "1", ["q", "h", "f"])
        self.publisher.transport.receive(self.microphone, "2", ssrcs=[44])
        self.sequences = {Q: 65500, H: 2000, F: 30000}
        self.sent = {Q: 0, H: 0, F: 0}
        return self

    async def __aexit__(self, *args) -> None:
        for peer in self.peers:
            peer.transport.close()
        await asyncio.sleep(0)
        for peer in self.peers:
            await peer.close()
        self.port.close()
        await asyncio.sleep(0.15)

    async def join(self, tcp: bool = False) -> Peer:
        transport = self.port.transport()
        transport.set_extensions(IDS)
        transport.on_state(self.states.append)
        peer = Peer(transport, self.host, self.port.number, tcp)
        self.peers.append(peer)
        return await peer.connect()

    def frame(
        self, ssrc: int, is_key: bool = False, packets: int = 2, lose: tuple[int, ...] = (), temporal: int = 0
    ) -> None:
        """One frame of a layer; `lose`: which of its packets do not reach the bridge."""
        n = self.sent[ssrc]
        self.sent[ssrc] += 1
        for i in range(packets):
            payload = vp8_payload(n & 0x7FFF, n, is_key, temporal, begins=not i, size=60 + ssrc)
            if i not in lose:
                self.publisher.send_rtp(96, self.sequences[ssrc] & 0xFFFF, 90000 * ssrc + 3000 * n, ssrc, payload,
                                        i == packets - 1, [(4, b"1"), (10, RIDS[ssrc])])
            self.sequences[ssrc] += 1

    def subscribe(self, viewer: Peer, **more) -> Subscription:
        return Subscription(self.camera, viewer.transport, 100, 101, "5", **more)


def run(scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 40))


def of(viewer: Peer, subscription: Subscription) -> list[rtp.Packet]:
    return [packet for packet in viewer.packets if packet.ssrc == subscription.ssrc]


def is_gapless(packets: list[rtp.Packet]) -> bool:
    first = packets[0].sequence
    return [p.sequence for p in packets] == [first + i & 0xFFFF for i in range(len(packets))]


@pytest.mark.parametrize("tcp", [False, True])
def test_a_track_reaches_a_viewer_in_the_viewers_own_numbers(tcp: bool) -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join(tcp)
            video = room.subscribe(viewer)
            sound = Subscription(room.microphone, viewer.transport, 63, None, "6")
            for i in range(70):
                room.frame(Q, is_key=not i)
                room.publisher.send_rtp(111, i, 960 * i, 44, b"opus", False, [(1, b"\x9e")])
                await asyncio.sleep(0.001)
            await viewer.until(lambda: len(of(viewer, video)) == 140 and len(of(viewer, sound)) == 70)
            assert is_gapless(of(viewer, video))
            assert {p.payload_type for p in of(viewer, video)} == {100}
            assert {p.payload_type for p in of(viewer, sound)} == {63}
            # The mid goes with the first hundred packets of a stream, abs-send-time with all, levels are handed on.
            assert [p.extensions.get(IDS[rtp.MID]) for p in of(viewer, video)] == [b"5"] * 100 + [None] * 40
            assert all(IDS[rtp.ABS_SEND_TIME] in p.extensions for p in viewer.packets)
            assert {p.extensions[IDS[rtp.AUDIO_LEVEL]] for p in of(viewer, sound)} == {b"\x9e"}
            assert 0.01 < room.microphone.level.take() < 0.05
            assert video.counted() == (140, 140 * 71)
    run(scenario)


def test_layers_change_at_keyframes_and_all_numbers_go_on() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            wanted: list[frozenset[int]] = []
            room.camera.on_wanted = lambda publication: wanted.append(publication.wanted_ranks())
            for i in range(5):
                for ssrc in (Q, H, F):
                    room.frame(ssrc, is_key=not i)
                await asyncio.sleep(0.005)
            await viewer.until(lambda: len(of(viewer, video)) >= 10)
            for quality, ssrc in ((layers.LOW, Q), (layers.MEDIUM, H), (layers.HIGH, F)):
                video.set_quality(quality)
                before = len(of(viewer, video))
                for i in range(8):
                    for every in (Q, H, F):
                        room.frame(every, is_key=i == 4 and every == ssrc)
                    await asyncio.sleep(0.005)
                await viewer.until(lambda before=before: len(of(viewer, video)) >= before + 16)
                # Nothing of the new layer before its keyframe.
                sizes = [len(p.payload) for p in of(viewer, video)[before:]]
                assert sizes == sorted(sizes, key=lambda size: size == 60 + ssrc) and sizes[-1] == 60 + ssrc
            await room.publisher.until(lambda: {Q, H, F} <= {
                r.media for r in room.publisher.reports if isinstance(r, rtcp.KeyframeRequest)})
            packets = of(viewer, video)
            assert is_gapless(packets)
            times = [p.timestamp for p in packets]
            assert all(0 <= (b - a & 0xFFFFFFFF) < 90000 for a, b in zip(times, times[1:], strict=False))
            pictures = [(p.payload[2] & 0x7F) << 8 | p.payload[3] for p in packets]
            assert all((b - a & 0x7FFF) in (0, 1) for a, b in zip(pictures, pictures[1:], strict=False))
            tl0 = [p.payload[4] for p in packets]
            assert all((b - a & 0xFF) in (0, 1) for a, b in zip(tl0, tl0[1:], strict=False))
            assert wanted == [frozenset({0}), frozenset({0, 1}), frozenset({0, 1, 2})]
            video.set_size(600, 300)
            assert video.wanted == 1
            video.pause()
            assert wanted[-1] == frozenset()
            count = len(of(viewer, video))
            room.frame(F)
            room.frame(H)
            video.resume()
            room.frame(H)
            room.frame(H, is_key=True)
            await viewer.until(lambda: len(of(viewer, video)) == count + 2)
            assert is_gapless(of(viewer, video))
    run(scenario)


def test_what_a_viewer_lost_is_sent_again_in_its_numbers_also_from_before_a_change_of_layers() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            lost: list[rtp.Packet] = []

            def drops(packet: rtp.Packet) -> bool:
                if packet.ssrc == video.ssrc and packet.sequence % 5 == 3:
                    lost.append(packet)
                    return True
                return False

            viewer.drops = drops
            for i in range(20):
                room.frame(Q, is_key=not i)
                room.frame(H, is_key=i == 10)
                await asyncio.sleep(0.003)
            await viewer.until(lambda: len(of(viewer, video)) + len(lost) == 42)
            assert {len(p.payload) for p in lost} == {60 + Q, 60 + H}
            viewer.send_rtcp(rtcp.nack(9, video.ssrc, [p.sequence for p in lost]))
            await viewer.until(lambda: len([p for p in viewer.packets if p.ssrc == video.rtx_ssrc]) == len(lost))
            again = [p for p in viewer.packets if p.ssrc == video.rtx_ssrc]
            assert {p.payload_type for p in again} == {101}
            assert [(int.from_bytes(p.payload[:2], "big"), p.payload[2:], p.timestamp, p.marker) for p in again] == [
                (p.sequence, p.payload, p.timestamp, p.marker) for p in lost]
            assert is_gapless(again)
    run(scenario)


def test_what_the_bridge_lost_is_asked_for_and_its_retransmission_fills_the_hole() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            room.frame(Q, is_key=True)
            room.frame(Q, lose=(0,))
            missing = room.sequences[Q] - 2 & 0xFFFF
            room.frame(Q)
            await room.publisher.until(lambda: any(isinstance(r, rtcp.Nack) for r in room.publisher.reports))
            asked = next(r for r in room.publisher.reports if isinstance(r, rtcp.Nack))
            assert (asked.media, asked.sequences) == (Q, [missing])
            await viewer.until(lambda: len(of(viewer, video)) == 5)
            payload = missing.to_bytes(2, "big") + vp8_payload(1, 1, False, size=60 + Q)
            probe = (missing + 1 & 0xFFFF).to_bytes(2, "big") + b"a copy of something, as padding"
            for i, repair in enumerate((probe, payload, payload, b"")):
                room.publisher.send_rtp(97, 500 + i, 90000 * Q + 3000, 1011, repair, False, [(4, b"1"), (11, b"q")])
            await viewer.until(lambda: len(of(viewer, video)) == 6)
            await asyncio.sleep(0.05)
            packets = sorted(of(viewer, video), key=lambda p: p.sequence)
            assert len(packets) == 6 and is_gapless(packets)
            assert of(viewer, video)[-1] is packets[2]
    run(scenario)


def test_keyframe_requests_are_throttled_and_not_forgotten() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewers = [await room.join() for _ in range(3)]
            videos = [room.subscribe(viewer) for viewer in viewers]
            room.frame(Q, is_key=True)
            for viewer, video in zip(viewers, videos, strict=True):
                await viewer.until(lambda viewer=viewer, video=video: len(of(viewer, video)) == 2)

            def asked() -> int:
                return sum(isinstance(r, rtcp.KeyframeRequest) for r in room.publisher.reports)

            await room.publisher.until(lambda: asked() == 1)
            for _ in range(20):
                for viewer, video in zip(viewers, videos, strict=True):
                    viewer.send_rtcp(rtcp.pli(9, video.ssrc))
                await asyncio.sleep(0.01)
                room.frame(Q)
            assert asked() == 1
            await room.publisher.until(lambda: asked() == 2)
            room.frame(Q, is_key=True)
            viewers[0].send_rtcp(rtcp.fir(9, videos[0].ssrc, 1))
            await room.publisher.until(lambda: asked() == 3)
    run(scenario)


def test_sender_reports_are_told_in_the_viewers_numbers_and_receiver_reports_go_to_the_publisher() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            room.frame(H, is_key=True)
            room.frame(H)
            await viewer.until(lambda: len(of(viewer, video)) == 4)
            # Late by a layer change: the second layer's clock runs from elsewhere, and NTP says how they lie.
            room.publisher.send_rtcp(rtcp.sender_report(rtcp.SenderReport(H, 1000 << 32, 90000 * H, 4, 4)))
            room.publisher.send_rtcp(rtcp.sender_report(rtcp.SenderReport(F, 1000 << 32, 90000 * F, 0, 0)))
            room.sent[F] = 2
            room.frame(F)
            await asyncio.sleep(0.05)
            room.publisher.send_rtcp(rtcp.sender_report(rtcp.SenderReport(F, 1000 << 32, 90000 * F, 2, 0)))
            room.sent[F] = 10
            for i in range(4):
                room.frame(F, is_key=not i)
                await asyncio.sleep(0.02)
            await viewer.until(lambda: len(of(viewer, video)) == 12)
            start = of(viewer, video)[0].timestamp
            assert [p.timestamp - start for p in of(viewer, video)][::2] == [0, 3000, 30000, 33000, 36000, 39000]
            reports = [r for r in viewer.reports if isinstance(r, rtcp.SenderReport)]
            assert [(r.ssrc, r.ntp >> 32, r.timestamp - start) for r in reports] == [(video.ssrc, 1000, 0)] * 2
            assert reports[-1].packets == 4
            await room.publisher.until(lambda: any(isinstance(r, rtcp.ReceiverReport) for r in room.publisher.reports))
            blocks = {b.ssrc: b for r in room.publisher.reports if isinstance(r, rtcp.ReceiverReport) for b in r.blocks}
            assert blocks[H].last_sr == 1000 << 16 and blocks[H].fraction == 0
            assert blocks[H].highest & 0xFFFF == room.sequences[H] - 1
            viewer.send_rtcp(rtcp.receiver_report(9, [rtcp.ReportBlock(video.ssrc, 64, 5, 0, 0, 1000 << 16, 0)]))
            await viewer.until(lambda: viewer.transport.line.estimator.loss > 0)
            assert viewer.transport.line.estimator.round_trip_s < 0.6
    run(scenario)


def test_transport_wide_feedback_names_every_packet_that_came() -> None:
    async def scenario() -> None:
        async with Room() as room:
            for number in (65534, 65535, 0, 1, 3, 4):
                room.publisher.send_rtp(96, 100 + number & 0xFFFF, 0, Q, vp8_payload(0, 0, True), True,
                                        [(4, b"1"), (10, b"q"), (3, number.to_bytes(2, "big"))])
            await room.publisher.until(lambda: bool(room.publisher.feedback))
            data = room.publisher.feedback[0]
            media, base, count = int.from_bytes(data[8:12], "big"), int.from_bytes(data[12:14], "big"), data[15]
            assert (media, base, count) == (Q, 65534, 7)
    run(scenario)


def test_a_thin_line_gets_a_smaller_layer_and_a_wide_one_the_best_again() -> None:
    async def scenario() -> None:
        async with Room() as room:
            thin, wide = await room.join(), await room.join()
            one, two = room.subscribe(thin), room.subscribe(wide)

            async def seconds(n: float) -> None:
                for i in range(int(n * 50)):
                    for ssrc, packets in ((Q, 2), (H, 8), (F, 20)):
                        room.frame(ssrc, is_key=i % 10 == 0, packets=packets)
                    await asyncio.sleep(0.02)

            await seconds(1.2)
            assert one.layer.rank == two.layer.rank == 2
            costs = dict(room.camera.costs(room.port.now()))
            assert costs[0] < costs[1] < costs[2]
            thin.send_rtcp(rtcp.remb(9, int(costs[0] * 2), [one.ssrc]))
            await seconds(0.8)
            assert (one.layer.rank, two.layer.rank) == (0, 2)
            assert one.is_limited and not two.is_limited
            assert not await_gap(of(thin, one))
            thin.send_rtcp(rtcp.remb(9, int(costs[2] * 3), [one.ssrc]))
            await seconds(0.8)
            assert one.layer.rank == 2
            thin.send_rtcp(rtcp.remb(9, 10, [one.ssrc]))
            await seconds(0.5)
            # Nothing, or the smallest where that costs less than twice the lowest estimate (on a slow machine it does).
            assert one.layer is None or one.layer.rank == 0
    run(scenario)


def await_gap(packets: list[rtp.Packet]) -> bool:
    return not is_gapless(sorted(packets, key=lambda p: p.sequence - packets[0].sequence & 0xFFFF))


def test_temporal_layers_are_left_out_without_a_gap() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            video.set_temporal(0)
            for i in range(20):
                room.frame(Q, is_key=not i, temporal=(0, 2, 1, 2)[i % 4])
            await viewer.until(lambda: len(of(viewer, video)) == 10)
            assert is_gapless(of(viewer, video))
            pictures = [(p.payload[2] & 0x7F) << 8 | p.payload[3] for p in of(viewer, video)]
            assert pictures == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
            assert [p.marker for p in of(viewer, video)] == [False, True] * 5
    run(scenario)


def test_ice_restart_takes_new_credentials_and_a_new_address_without_losing_a_packet() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            room.frame(Q, is_key=True)
            await viewer.until(lambda: len(of(viewer, video)) == 2)
            old = (viewer.transport.ufrag, viewer.transport.pwd)
            new = viewer.transport.restart_ice("wxyz", "n" * 24)
            assert new[0] != old[0] and new == (viewer.transport.ufrag, viewer.transport.pwd)
            await viewer.check(*old)
            loop = asyncio.get_running_loop()
            loop.remove_reader(viewer.sock)
            viewer.sock.close()
            await viewer.open()
            await viewer.check(*new)
            room.frame(Q)
            await viewer.until(lambda: len(of(viewer, video)) == 4)
            assert is_gapless(of(viewer, video)) and video.name == viewer.transport.path.address.pointer
            viewer.transport.restart_ice()
            with pytest.raises(TimeoutError):
                viewer.send(stun.request(os.urandom(12), old[0] + ":abcd", old[1]))
                before = len(viewer.stun_answers)
                await viewer.until(lambda: len(viewer.stun_answers) > before, 0.1)
            assert room.port.dropped["stun"] == 1
    run(scenario)


def test_without_checks_consent_runs_out() -> None:
    class Clock:
        passed = 0.0

        def __call__(self) -> float:
            return asyncio.get_running_loop().time() + self.passed

    clock = Clock()

    async def scenario() -> None:
        async with Room(clock) as room:
            viewer = await room.join()
            clock.passed = 25.0
            await viewer.check()
            await room.publisher.check()
            clock.passed = 45.0
            await asyncio.sleep(1.1)
            assert room.states == ["connected", "connected"]
            clock.passed = 56.0
            await viewer.until(lambda: room.states.count("failed") == 2)
    run(scenario)


def test_the_peer_closing_dtls_ends_the_transport() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            await viewer.dtls.stop()
            await room.publisher.until(lambda: room.states == ["connected", "connected", "closed"])
    run(scenario)


def test_a_wrong_certificate_fails() -> None:
    async def scenario() -> None:
        async with Room() as room:
            transport = room.port.transport()
            transport.on_state(room.states.append)
            peer = Peer(transport, room.host, room.port.number)
            await peer.open()
            await peer.check()
            transport.start(
                "abcd", "p" * 24, FINGERPRINT[:-2] + "00" if FINGERPRINT[-2:] != "00" else FINGERPRINT[:-2] + "11"
            )
            task = asyncio.create_task(peer.dtls.connect("sha-256 " + transport.fingerprint, "passive", lambda: None))
            await peer.until(lambda: room.states[-1] == "failed")
            task.cancel()
            transport.close()
            await peer.close()
    run(scenario)


def test_strangers_are_counted_and_change_nothing() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            stranger = Peer(viewer.transport, room.host, room.port.number)
            await stranger.open()
            good = stun.request(os.urandom(12), viewer.transport.ufrag + ":x", viewer.transport.pwd)
            for data in (
                b"",
                b"\0",
                b"\x80" * 50,
                b"\x16" * 50,
                good[:-3],
                good[:30] + b"\xff" + good[31:],
                b"\xff" * 1400,
                stun.request(os.urandom(12), viewer.transport.ufrag + ":x", "wrong"),
                stun.request(os.urandom(12), "nobody:x", "wrong"),
            ):
                stranger.send(data)
            # Known addresses, but not decryptable.
            for data in (
                b"\x80" * 12,
                b"\x80\xc8" + b"\0" * 30,
                b"\x90\x60" + b"\xff" * 1300,
                b"\x16\xfe\xfd" + b"\xff" * 40,
            ):
                viewer.send(data)
            await stranger.until(lambda: sum(room.port.dropped.values()) >= 9)
            assert viewer.transport.path.port == viewer.sock.getsockname()[1]
            assert not stranger.stun_answers
            video = room.subscribe(viewer)
            room.frame(Q, is_key=True)
            await viewer.until(lambda: len(of(viewer, video)) == 2)
            stranger.sock.close()
    run(scenario)


def test_data_channels_carry_messages_both_ways() -> None:
    from aiortc import RTCDataChannel, RTCDataChannelParameters
    from aiortc.rtcsctptransport import RTCSctpTransport

    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            got: list[tuple[str, bytes]] = []
            viewer.transport.on_data(lambda label, data: got.append((label, data)))
            assert not viewer.transport.send_data("_reliable", b"too early")
            sctp = RTCSctpTransport(viewer.dtls, 5000)
            await sctp.start(RTCSctpTransport.getCapabilities(), 5000)
            channel = RTCDataChannel(sctp, RTCDataChannelParameters(label="_reliable"))
            back: list[bytes] = []
            channel.on("message", back.append)
            channel.on("open", lambda: channel.send(b"hello"))
            await viewer.until(lambda: got == [("_reliable", b"hello")])
            big = os.urandom(60000)
            assert viewer.transport.send_data("_reliable", big)
            await viewer.until(lambda: back == [big])
            opened: list[str] = []
            sctp.on("datachannel", lambda c: opened.append(c.label))
            viewer.transport.open_channel("_lossy", False, 0)
            await viewer.until(lambda: opened == ["_lossy"])
            await sctp.stop()
    run(scenario)


@pytest.mark.parametrize("what", ["unfinished", "misordered", "streams", "beyond the window"])
def test_who_sends_data_that_is_never_finished_is_cut_off(what: str) -> None:
    from aiortc.rtcsctptransport import (
        SCTP_DATA_FIRST_FRAG,
        SCTP_DATA_LAST_FRAG,
        DataChunk,
        RTCSctpTransport,
    )

    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            sctp = RTCSctpTransport(viewer.dtls, 5000)
            await sctp.start(RTCSctpTransport.getCapabilities(), 5000)
            await viewer.until(lambda: sctp._association_state == sctp.State.ESTABLISHED)
            tsn, room.states[:] = sctp._local_tsn, []
            for i in range(MOST_CHUNKS + 1):
                chunk = DataChunk()
                chunk.flags = SCTP_DATA_FIRST_FRAG if not i else 0
                chunk.tsn = (tsn + i) % (1 << 32)
                if what == "misordered":
                    chunk.tsn = (tsn + 1 + i) % (1 << 32)
                    chunk.flags = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG
                chunk.stream_id = i if what == "streams" else 0
                chunk.protocol = 53
                chunk.user_data = b"x" * (1100 if what == "beyond the window" else 1)
                await sctp._send_chunk(chunk)
                if not i % 30:
                    await asyncio.sleep(0.002)
                    if room.states:
                        break
            await viewer.until(lambda: "closed" in room.states)
            await sctp.stop()
    run(scenario)


@given(st.lists(st.integers(-40, 40), max_size=60), st.sampled_from([5, 2**31, 2**32 - 3]))
def test_what_is_out_of_order_is_marked_as_aiortc_marks_it(steps: list[int], start: int) -> None:
    from types import SimpleNamespace

    from aiortc.rtcsctptransport import RTCSctpTransport

    def fresh() -> SimpleNamespace:
        return SimpleNamespace(_last_received_tsn=start, _sack_misordered=set(), _sack_duplicates=[])

    ours, theirs = fresh(), fresh()
    for step in steps:
        tsn = (start + step) % (1 << 32)
        assert Sctp._mark_received(ours, tsn) == RTCSctpTransport._mark_received(theirs, tsn)
        assert ours._last_received_tsn == theirs._last_received_tsn
        if start == 5:
            assert ours._sack_misordered == theirs._sack_misordered


def test_a_tcp_connection_that_begins_with_anything_else_is_closed() -> None:
    async def scenario() -> None:
        async with Room() as room:
            for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0\x20" + b"\x16" * 32, b"\0\1\0"):
                reader, writer = await asyncio.open_connection(room.host, room.port.number)
                writer.write(data)
                try:
                    assert await asyncio.wait_for(reader.read(), 5) == b""
                except ConnectionResetError:
                    pass
                writer.close()
    run(scenario)


def test_a_participant_keeps_few_tcp_connections_and_each_is_its_own() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join(tcp=True)
            in_use, port = viewer.transport.path, room.port
            ufrag, pwd = viewer.transport.ufrag, viewer.transport.pwd
            check = stun.request(os.urandom(12), ufrag + ":abcd", pwd, nominates=False)
            others = []
            for _ in range(MOST_ADDRESSES + 4):
                reader, writer = await asyncio.open_connection(room.host, port.number)
                writer.write(len(check).to_bytes(2, "big") + check)
                await asyncio.wait_for(reader.readexactly(2), 5)
                others.append((reader, writer))
            await viewer.until(lambda: len(port._tcp_paths) == MOST_ADDRESSES)
            assert viewer.transport.path is in_use and not in_use.is_closed
            await viewer.check()
            for reader, _ in others[:5]:
                # The oldest are closed.
                with contextlib.suppress(ConnectionResetError):
                    await asyncio.wait_for(reader.read(), 5)
            # Somebody else's check does not make the connection theirs.
            refused = port.dropped["stun"]
            theirs = room.publisher.transport
            viewer.send(stun.request(os.urandom(12), theirs.ufrag + ":abcd", theirs.pwd))
            await viewer.until(lambda: port.dropped["stun"] > refused)
            assert in_use.transport is viewer.transport and theirs.path is not in_use
            for _, writer in others:
                writer.close()
    run(scenario)


def test_closing_what_the_peer_has_closed_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            room.subscribe(viewer)
            viewer.transport.on_state(lambda state: viewer.transport.close())
            await viewer.dtls.stop()
            await room.publisher.until(lambda: viewer.transport not in room.port.transports)
            assert not room.camera.subscriptions and not viewer.transport.subscriptions
            assert viewer.transport.ufrag not in room.port._ufrags
            assert viewer.transport not in room.port._by_address.values()
            room.frame(Q, is_key=True)
            await asyncio.sleep(0.05)
            figures = room.port.figures()
            assert figures["transports"] == 1 and figures["forwarded"] == 0
    run(scenario)


def test_a_packet_asked_for_twice_within_a_round_trip_is_sent_once_and_a_thin_line_is_not_filled_with_repeats() -> None:
    async def scenario() -> None:
        async with Room() as room:
            viewer = await room.join()
            video = room.subscribe(viewer)
            for i in range(100):
                room.frame(Q, is_key=not i, packets=4)
                await asyncio.sleep(0.001)
            await viewer.until(lambda: len(of(viewer, video)) == 400)
            wanted = [p.sequence for p in of(viewer, video)]
            for _ in range(3):
                viewer.send_rtcp(rtcp.nack(9, video.ssrc, wanted[:10]))
            await viewer.until(lambda: video.repeats.sent == 10)
            await asyncio.sleep(0.02)
            assert video.repeats.sent == 10
            viewer.transport.line.estimator.remb(100, 1_000_000, room.port.now())
            video.repeats._until = 0.0
            video.repeats.answer(wanted[20:], room.port.now())
            # 30 kbit/s is the lowest limit: a quarter of it in a second, in packets of 71 octets.
            assert video.repeats.sent == 10 + 14
    run(scenario)
