"""Chromium takes our answers and offers: every codec, simulcast, sections bound and freed again, restarts.

No bridge here: a bare RTCPeerConnection makes offers, sdp.py and answer.py answer them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chatd.bridge import sdp
from chatd.bridge.answer import Local, OfferSection, Plan, Receive, Send, own_codec, write_answer, write_offer
from tests.bridge.clients.page import Chromium, Page

MIME_TYPES = ("video/VP8", "video/VP9", "video/H264", "video/AV1")
SETUP = """
globalThis.heard = [];
globalThis.peer = () => {
    globalThis.pc?.close();
    heard.length = 0;
    globalThis.pc = new RTCPeerConnection();
    pc.ontrack = (e) => heard.push([e.transceiver.mid, e.streams[0]?.id ?? null, e.track.id]);
};
globalThis.camera = (await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 1280, height: 720 } }));
globalThis.send = (kind, mime, rids, more) => {
    const encodings = rids.map((rid, n) => ({ rid, scaleResolutionDownBy: 2 ** (rids.length - 1 - n) }));
    const transceiver = pc.addTransceiver(camera.getTracks().find((t) => t.kind == kind).clone(), {
        direction: 'sendonly', streams: [camera], sendEncodings: rids.length ? encodings : [more ?? {}] });
    const codecs = RTCRtpReceiver.getCapabilities(kind).codecs;
    const first = (c) => c.mimeType.toLowerCase() == mime.toLowerCase() ? 0 : 1;
    transceiver.setCodecPreferences([...codecs].sort((a, b) => first(a) - first(b)));
};
globalThis.offer = async (options) => {
    await pc.setLocalDescription(await pc.createOffer(options));
    return pc.localDescription.sdp;
};
globalThis.taken = () => pc.getTransceivers().map((t) => ({
    mid: t.mid, direction: t.currentDirection, codecs: t.sender.getParameters().codecs.map((c) => c.mimeType),
    rids: t.sender.getParameters().encodings.map((e) => e.rid ?? null),
}));
"""


class Peer:
    """The page's connection and our side of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._version = 0
        page.eval("peer()")

    def local(self, ufrag: str = "ourufrag") -> Local:
        self._version += 1
        return Local(ufrag, "ourpasswordOf22charsOr+", ":".join(["AB"] * 32),
                     ["candidate:1 1 udp 2130706431 192.0.2.9 7882 typ host"], 4611731400430051336, self._version)

    def offer(self, **options: Any) -> sdp.Offer:
        return sdp.parse(self.page.eval("offer(x)", options))

    def answer(self, offer: sdp.Offer, plans: Mapping[str, Plan], ufrag: str = "ourufrag") -> dict[str, dict[str, Any]]:
        """Give it the answer; what its transceivers are then, by mid."""
        self.page.eval("pc.setRemoteDescription({ type: 'answer', sdp: x })",
                       write_answer(offer, self.local(ufrag), plans))
        return {found["mid"]: found for found in self.page.eval("taken()")}


@pytest.fixture(scope="module")
def page(chromium: Chromium) -> Iterator[Page]:
    made = chromium.page(None, "bare", joins=False)
    made.eval(f"(async () => {{ {SETUP} }})()")
    yield made
    made.close()


def codec_of(section: sdp.Section, mime_type: str) -> sdp.Codec:
    codec = sdp.choose_codec(section, mime_type)
    assert codec is not None, f"Chromium offers no {mime_type}"
    return codec


def sent(section: sdp.Section, mime_type: str, number: int) -> Send:
    return Send(codec_of(section, mime_type), "PA_abc|camera", "TR_%d" % number, 1000 + number, 2000 + number, "ann")


@pytest.mark.parametrize("mime_type", MIME_TYPES)
def test_a_whole_life(page: Page, mime_type: str) -> None:
    """Placeholders, publishing with layers, tracks of others bound and freed, a screen, a restart of ICE."""
    peer = Peer(page)
    page.eval("""[pc.createDataChannel('_reliable'), ...[...'aaavvv'].map((k) =>
        pc.addTransceiver(k == 'a' ? 'audio' : 'video', { direction: 'recvonly' }))].length""")
    first = peer.offer()
    receiving = {kind: [s.mid for s in first.sections if s.kind == kind] for kind in ("audio", "video")}
    voice, face = receiving["audio"][0], receiving["video"][0]
    plans: dict[str, Plan] = {
        voice: sent(first.section(voice), "audio/opus", 1), face: sent(first.section(face), mime_type, 2)}
    found = peer.answer(first, plans)
    assert [found[mid]["direction"] for mid in (voice, face, receiving["video"][1])] == [
        "recvonly", "recvonly", "inactive"]
    assert [voice, "PA_abc|camera"] in [entry[:2] for entry in page.eval("heard")]

    # Publishing: simulcast where there is any, else layers in one stream.
    is_simulcast = mime_type in ("video/VP8", "video/H264")
    rids = ["q", "h", "f"] if is_simulcast else []
    page.eval("send('audio', 'audio/opus', [])")
    page.eval("send('video', x[0], x[1], { scalabilityMode: 'L3T3_KEY' })", [mime_type, rids])
    second = peer.offer()
    mine = {section.kind: section for section in second.sections if section.is_sending and section.cid}
    assert mine["video"].offered_rids == tuple(rids)
    plans[mine["audio"].mid] = Receive(codec_of(mine["audio"], "audio/opus"))
    plans[mine["video"].mid] = Receive(codec_of(mine["video"], mime_type))
    found = peer.answer(second, plans)
    assert found[mine["video"].mid]["direction"] == "sendonly"
    assert found[mine["video"].mid]["codecs"][0].lower() == mime_type.lower()
    assert found[mine["video"].mid]["rids"] == (rids or [None])
    assert found[mine["audio"].mid]["codecs"] == ["audio/opus"]

    # The track in `face` goes, another one with another codec comes in its place, and a screen beside it.
    del plans[face]
    assert peer.answer(peer.offer(), plans)[face]["direction"] == "inactive"
    other = MIME_TYPES[(MIME_TYPES.index(mime_type) + 1) % 4]
    page.eval("send('video', 'video/VP8', ['q', 'h'])")
    fourth = peer.offer()
    screen = next(s for s in fourth.sections if s.is_sending and s.offered_rids == ("q", "h"))
    plans[face] = sent(fourth.section(face), other, 3)
    plans[screen.mid] = Receive(codec_of(screen, "video/VP8"))
    found = peer.answer(fourth, plans)
    assert found[face]["direction"] == "recvonly" and found[screen.mid]["rids"] == ["q", "h"]
    # Ids of the connection stay what they were, or a sender would use wrong ones.
    assert first.extensions.items() <= fourth.extensions.items()

    # New ICE credentials on both sides.
    restarted = peer.offer(iceRestart=True)
    assert restarted.ufrag != fourth.ufrag and restarted.fingerprint == fourth.fingerprint
    found = peer.answer(restarted, plans, "another")
    assert found[face]["direction"] == "recvonly" and found[screen.mid]["direction"] == "sendonly"


def test_a_dependency_descriptor_goes_with_av1(page: Page) -> None:
    peer = Peer(page)
    page.eval("send('video', 'video/AV1', [], { scalabilityMode: 'L3T3_KEY' })")
    offer = peer.offer()
    uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    # livekit-client writes it into its offers; a bare Chromium does so with simulcast only.
    section = offer.sections[0]
    peer.answer(offer, {section.mid: Receive(codec_of(section, "video/AV1"))})
    page.eval("send('video', 'video/AV1', ['q', 'h'])")
    offer = peer.offer()
    section = offer.sections[1]
    assert uri in section.extensions
    text = write_answer(offer, peer.local(), {section.mid: Receive(codec_of(section, "video/AV1"))})
    assert f"a=extmap:{section.extensions[uri]} {uri}" in text
    page.eval("pc.setRemoteDescription({ type: 'answer', sdp: x })", text)


def test_stereo_is_for_those_who_say_so(page: Page) -> None:
    """What livekit-client does to its offers (stereo=1 everywhere) does not come back as a wish for stereo."""
    peer = Peer(page)
    page.eval("send('audio', 'audio/opus', [])")
    offer = sdp.parse(page.eval("offer()").replace("useinbandfec=1", "useinbandfec=1;stereo=1"))
    codec = codec_of(offer.sections[0], "audio/opus")
    for is_stereo in (False, True):
        plan = Receive(codec, is_stereo=is_stereo, has_dtx=not is_stereo)
        if is_stereo:
            page.eval("offer()")
        peer.answer(offer, {offer.sections[0].mid: plan})
        line = page.eval("pc.getSenders()[0].getParameters().codecs[0].sdpFmtpLine")
        assert ("stereo=1" in line, "usedtx=1" in line) == (is_stereo, not is_stereo)


@pytest.mark.parametrize("mime_type", MIME_TYPES)
def test_the_older_mode(page: Page, mime_type: str) -> None:
    """We offer; sections are added, freed and used again for another codec."""
    peer = Peer(page)

    def offered(*sections: OfferSection) -> sdp.Offer:
        text = page.eval("""(async () => {
            await pc.setRemoteDescription({ type: 'offer', sdp: x });
            await pc.setLocalDescription();
            return pc.localDescription.sdp; })()""", write_offer(peer.local(), sections))
        return sdp.parse(text)

    def video(number: int, mime: str) -> OfferSection:
        return OfferSection("1", "video", Send(own_codec(mime), "PA_a|TR_%d" % number, "TR_%d" % number, 10 + number,
                                               20 + number, "ann"))

    voice = OfferSection("0", "audio", Send(own_codec("audio/opus"), "PA_a|TR_1", "TR_1", 1, None, "ann"))
    assert [section.mid for section in offered().sections] == ["data"]
    found = offered(voice, video(2, mime_type))
    assert found.setup == "active" and all(section.is_receiving for section in found.sections)
    codec = sdp.choose_codec(found.sections[2], mime_type)
    assert codec is not None and codec.payload_type == own_codec(mime_type).payload_type
    assert codec.rtx == own_codec(mime_type).rtx
    assert offered(voice, OfferSection("1", "video")).sections[2].direction == "inactive"
    other = MIME_TYPES[(MIME_TYPES.index(mime_type) + 1) % 4]
    again = offered(voice, video(3, other)).sections[2]
    assert again.is_receiving and again.codecs[0].payload_type == own_codec(other).payload_type
    assert ["1", "PA_a|TR_3"] in [entry[:2] for entry in page.eval("heard")]
