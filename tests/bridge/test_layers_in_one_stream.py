"""VP9 and AV1 with their spatial layers inside one stream: what a viewer gets; AV1's descriptor."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from peer import Peer, own_address

from chatd.bridge import layers, rtp
from chatd.bridge.av1dd import Position, Templates
from chatd.bridge.forward import Publication, Subscription
from chatd.bridge.port import Port

IDS = {rtp.MID: 4, rtp.ABS_SEND_TIME: 2, rtp.DEPENDENCY_DESCRIPTOR: 12}


def bits(text: str) -> bytes:
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def descriptor(begins: bool, ends: bool, template: int, frame: int, structure: str = "") -> bytes:
    head = bytes((begins << 7 | ends << 6 | template, frame >> 8, frame & 255))
    return head + (bits("10000" + structure) if structure else b"")


# Offset 5, 6 decode targets; templates (0,0) (0,1) (1,0) (1,1) (2,0).
STRUCTURE = "000101 00101 01 10 01 10 11"


def test_a_descriptor_tells_layers_by_the_structure_seen_last() -> None:
    templates = Templates()
    assert templates.read(descriptor(True, False, 5, 1)) is None
    assert templates.read(descriptor(True, False, 5, 1, STRUCTURE)) == Position(True, False, True, 0, 0, 1)
    found = [templates.read(descriptor(False, True, 5 + i, 300)) for i in range(6)]
    assert [(f.spatial, f.temporal) if f else None for f in found] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), None]
    assert found[0] == Position(False, True, False, 0, 0, 300)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x00", b"\x80\0\0\x80", b"\x80\0\0\x80\0\0", b"\x80\0\0\x80" + b"\xaa" * 30]
)
def test_broken_descriptors_say_nothing(data: bytes) -> None:
    templates = Templates()
    templates.read(descriptor(True, True, 5, 0, STRUCTURE))
    templates.read(data)
    assert templates.read(descriptor(True, True, 7, 0)) == Position(True, True, False, 1, 0, 0)


class Stream:
    """A publisher of one SVC stream and a viewer."""

    def __init__(self, codec: str) -> None:
        self.codec = codec

    async def __aenter__(self) -> Stream:
        host = own_address()
        self.port = await Port.open(host, 0)
        self.peers = []
        for _ in range(2):
            transport = self.port.transport()
            transport.set_extensions(IDS)
            self.peers.append(await Peer(transport, host, self.port.number).connect())
        self.publisher, self.viewer = self.peers
        self.track = Publication("video", self.codec, 98)
        self.publisher.transport.receive(self.track, "1")
        self.sub = Subscription(self.track, self.viewer.transport, 99, None, "")
        self.sequence = self.picture = 0
        return self

    async def __aexit__(self, *args) -> None:
        for peer in self.peers:
            peer.transport.close()
        await asyncio.sleep(0)
        for peer in self.peers:
            await peer.close()
        self.port.close()
        await asyncio.sleep(0.15)

    async def send(self, is_key: bool = False) -> None:
        """One picture: three spatial layers, two packets each; the marker only at its very end."""
        for spatial in range(3):
            for part in range(2):
                extensions = [(4, b"1")]
                if self.codec == "vp9":
                    head = 0xA0 | (0 if is_key else 0x40) | (8 if not part else 0) | (4 if part else 0)
                    payload = bytes((head, 0x80, self.picture, spatial << 1 | bool(spatial), 0)) + b"data"
                else:
                    start = is_key and not spatial and not part
                    payload = bytes((0x18 if start else 0x90 if part else 0x10, 0x0A)) + b"data"
                    template = 5 + 2 * spatial
                    extensions.append(
                        (12, descriptor(not part, bool(part), template, self.picture, STRUCTURE if start else ""))
                    )
                self.publisher.send_rtp(98, self.sequence, 3000 * self.picture, 5, payload + bytes([spatial]),
                                        spatial == 2 and part == 1, extensions)
                self.sequence += 1
        self.picture += 1
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_a_viewer_gets_the_layers_it_wants_without_a_gap(codec: str) -> None:
    async def scenario() -> None:
        async with Stream(codec) as stream:
            got = stream.viewer.packets
            for i in range(3):
                await stream.send(is_key=not i)
            await stream.viewer.until(lambda: len(got) == 18)
            stream.sub.set_quality(layers.LOW)
            for _ in range(3):
                await stream.send()
            await stream.viewer.until(lambda: len(got) == 24)
            assert [p.payload[-1] for p in got[18:]] == [0] * 6
            assert [p.marker for p in got[18:]] == [False, True] * 3
            stream.sub.set_quality(layers.MEDIUM)
            await stream.send()
            await stream.viewer.until(lambda: len(got) == 26)
            await stream.send(is_key=True)
            await stream.send()
            await stream.viewer.until(lambda: len(got) == 34)
            assert [p.payload[-1] for p in got[26:]] == [0, 0, 1, 1] * 2
            assert [p.marker for p in got[26:]] == [False, False, False, True] * 2
            first = got[0].sequence
            assert [p.sequence for p in got] == [first + i & 0xFFFF for i in range(len(got))]
            assert stream.track.live_ranks(stream.port.now()) == [0, 1, 2]
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_without_descriptors_a_viewer_gets_the_lowest_layer_of_av1() -> None:
    async def scenario() -> None:
        async with Stream("av1") as stream:
            stream.viewer.transport.set_extensions({rtp.ABS_SEND_TIME: 2})
            for i in range(3):
                await stream.send(is_key=not i)
                await asyncio.sleep(0.1)
            await stream.send(is_key=True)
            stream.viewer.packets.clear()
            await stream.send()
            await stream.viewer.until(lambda: len(stream.viewer.packets) == 2)
            assert [(p.payload[-1], p.marker) for p in stream.viewer.packets] == [(0, False), (0, True)]
    asyncio.run(asyncio.wait_for(scenario(), 20))
