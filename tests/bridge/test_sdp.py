"""Offers that real clients sent, read; answers written for them; descriptions that are nobody's, refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from chatd.bridge import answer, codecchoice, rtp, sdp
from chatd.bridge.answer import Inactive, Local, OfferSection, Plan, Receive, Send, own_codec, write_answer, write_offer
from chatd.bridge.sdp import BadSdp, Codec, choose_codec, parse

OFFERS = Path(__file__).with_name("offers")
NAMES = sorted(path.stem for path in OFFERS.glob("*.sdp"))
LOCAL = Local("ourufrag", "ourpasswordOf22charsOr+", ":".join(["AB"] * 32),
              ["candidate:1 1 udp 2130706431 192.0.2.9 7882 typ host"], 4611731400430051336, 3)


def text_of(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_bytes().decode()


def offer_of(name: str) -> sdp.Offer:
    return parse(text_of(name))


def sending(offer: sdp.Offer, kind: str) -> sdp.Section:
    """The newest section of this kind on which the client sends."""
    return [section for section in offer.sections if section.kind == kind and section.is_sending][-1]


def blocks(text: str) -> list[list[str]]:
    """Lines of the session part and of each section."""
    assert text.endswith("\r\n") and not re.search(r"(?<!\r)\n|\r(?!\n)", text)
    head, *sections = text.split("\r\nm=")
    return [head.split("\r\n"), *(("m=" + section).rstrip("\r\n").split("\r\n") for section in sections)]


def everything(offer: sdp.Offer) -> dict[str, Plan]:
    """Take all that is sent, send on all that is received."""
    plans: dict[str, Plan] = {}
    for number, section in enumerate(offer.sections):
        codec = choose_codec(section, "audio/opus" if section.kind == "audio" else "video/VP8")
        if section.is_rejected or codec is None:
            continue
        if section.is_sending:
            plans[section.mid] = Receive(codec)
        elif section.is_receiving:
            plans[section.mid] = Send(codec, "PA_x|camera", "TR_%d" % number, 1000 + number, 2000 + number, "ann")
    return plans


# -- reading


@pytest.mark.parametrize(("name", "mids", "directions"), [
    ("chromium-join", "0 1 2 3 4 5 6", "r r r r r r s"),
    ("chromium-screen", "0 1 2 3 4 5 6 7 8 9", "r r r r r r s S S S"),
    ("chromium-unpublished", "0 1 2 3 4 5 6 7 8 9", "r r r r r r s S - S"),
    ("chromium-v0-answer", "data 0 1 2 3", "s r r r r"),
    ("sdk-join", "0 1 2 3 4 5 6", "r r r r r r s"),
    ("sdk-simulcast", "0 1 2 3 4 5 6 7 8", "r r r r r r s S S"),
    ("firefox-join", "0 1 2 3 4 5 6", "r r r r r r s"),
    ("firefox-vp8", "0 1 2 3 4 5 6 7 8", "r r r r r r s S S"),
    ("firefox-v0-vp8", "0 1 2", "s S S"),
])
def test_sections(name: str, mids: str, directions: str) -> None:
    short = {"recvonly": "r", "sendonly": "S", "sendrecv": "s", "inactive": "-"}
    offer = offer_of(name)
    assert [section.mid for section in offer.sections] == mids.split()
    assert [short[section.direction] for section in offer.sections] == directions.split()
    assert not any(section.is_rejected for section in offer.sections)
    assert offer.bundle == tuple(mids.split())


@pytest.mark.parametrize("name", NAMES)
def test_transport_and_extensions(name: str) -> None:
    offer = offer_of(name)
    assert len(offer.ufrag) >= 4 and len(offer.pwd) >= 22
    assert re.fullmatch(r"sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}", offer.fingerprint)
    assert offer.setup == ("active" if name.endswith("answer") else "actpass")
    assert not offer.is_lite
    assert len(set(offer.extensions.values())) == len(offer.extensions)
    assert set(offer.extensions) <= set(rtp.SUPPORTED_EXTENSIONS)
    data = next(section for section in offer.sections if section.kind == "application")
    assert data.sctp_port == 5000 and data.max_message_size in (0, 262144, 1073741823)
    for section in offer.sections:
        assert section.kind == "application" or section.extensions[rtp.MID] == offer.extensions[rtp.MID]


@pytest.mark.parametrize(("name", "rids", "offered"), [
    ("chromium-v0-vp8", "q h f", "q h f"),
    ("chromium-screen", "q h", "q h"),
    ("chromium-v0-h264", "q h f", "q h f"),
    ("chromium-v0-vp9", "", ""),
    ("sdk-simulcast", "q h", "h q"),
    ("firefox-vp8", "q h f", "q h f"),
])
def test_simulcast_streams(name: str, rids: str, offered: str) -> None:
    section = sending(offer_of(name), "video")
    assert (section.rids, section.offered_rids) == (tuple(rids.split()), tuple(offered.split()))
    assert section.has_simulcast == bool(rids)


def test_what_is_said_of_ssrcs_and_tracks() -> None:
    camera = sending(offer_of("chromium-v0-vp9"), "video")
    assert len(camera.ssrcs) == 1 and list(camera.rtx_ssrcs.values()) == list(camera.ssrcs)
    assert not set(camera.rtx_ssrcs) & set(camera.ssrcs)
    assert re.fullmatch(r"[0-9a-f-]{36}", camera.cid) and re.fullmatch(r"[0-9a-f-]{36}", camera.stream)
    # Chromium announces no SSRCs with rids, Firefox does.
    assert sending(offer_of("chromium-v0-vp8"), "video").ssrcs == ()
    firefox = sending(offer_of("firefox-vp8"), "video")
    assert len(firefox.ssrcs) == len(firefox.rtx_ssrcs) == 3 and firefox.cid.startswith("{")
    assert offer_of("chromium-join").sections[0].cid == ""


def test_an_ice_restart_is_seen() -> None:
    before, after = offer_of("chromium-v0-vp8"), offer_of("chromium-v0-restart")
    assert before.ufrag != after.ufrag and before.fingerprint == after.fingerprint


@pytest.mark.parametrize(("name", "mime_type", "expected"), [
    ("chromium-v0-vp8", "video/VP8", (96, "VP8", 97)),
    ("chromium-v0-vp8", "video/vp9", (98, "VP9", 99)),
    ("chromium-v0-vp8", "VIDEO/AV1", (45, "AV1", 46)),
    ("chromium-v0-vp8", "video/H264", (108, "H264", 109)),
    ("chromium-v0-vp8", "video/H265", None),
    ("chromium-v0-vp8", "video/rtx", None),
    ("chromium-v0-vp8", "audio/VP8", None),
    ("chromium-join", "video/H264", (108, "H264", 109)),
    # The SDK's sending section has nothing but VP8.
    ("sdk-simulcast", "video/VP8", (96, "VP8", None)),
    ("sdk-join", "video/VP8", (96, "VP8", 97)),
    ("firefox-vp8", "video/VP8", (120, "VP8", 124)),
    ("firefox-vp8", "video/AV1", (99, "AV1", 100)),
])
def test_payload_types_are_the_clients(name: str, mime_type: str, expected: tuple[int, str, int] | None) -> None:
    section = [section for section in offer_of(name).sections if section.kind == "video"][-1]
    codec = choose_codec(section, mime_type)
    assert (codec and (codec.payload_type, codec.name, codec.rtx)) == expected


def h264(payload_type: int, level_id: str, mode: str = "1") -> Codec:
    return Codec(payload_type, "H264", 90000, fmtp=f"profile-level-id={level_id};packetization-mode={mode}")


def section_with(*codecs: Codec) -> sdp.Section:
    return attrs.evolve(offer_of("chromium-join").sections[3], codecs=codecs)


@pytest.mark.parametrize(("like", "offered", "chosen"), [
    (None, [h264(1, "42001f"), h264(2, "42e01f", "0"), h264(3, "42e01f")], 3),
    (None, [h264(1, "42001f"), h264(2, "42e01f", "0")], 1),
    (None, [h264(2, "640c1f", "0")], 2),
    (h264(9, "42e01f"), [h264(1, "42001f"), h264(2, "42e034")], 2),
    (h264(9, "42e01f"), [h264(1, "64001f"), h264(2, "4d001f")], 2),
    (h264(9, "42e01f", "0"), [h264(1, "42e01f")], None),
    (h264(9, "640c1f"), [h264(1, "42e01f"), h264(2, "64001f")], 2),
    (h264(9, "64001f"), [h264(1, "42e01f"), h264(2, "640c1f")], None),
    (h264(9, "42001f"), [h264(1, "42e01f")], None),
    (h264(9, "4d801f"), [h264(1, "42e01f")], 1),
    (h264(9, "zz"), [h264(1, "42e01f")], None),
])
def test_h264_needs_a_decoder_for_the_profile(like: Codec | None, offered: list[Codec], chosen: int | None) -> None:
    codec = choose_codec(section_with(*offered), "video/h264", like)
    assert (codec and codec.payload_type) == chosen


def test_vp9_and_av1_need_the_same_profile() -> None:
    two = [Codec(1, "VP9", 90000, fmtp="profile-id=2"), Codec(2, "VP9", 90000)]
    for like, chosen in ((None, 2), (two[0], 1), (two[1], 2), (Codec(3, "VP9", 90000, fmtp="profile-id=1"), None)):
        codec = choose_codec(section_with(*two), "video/VP9", like)
        assert (codec and codec.payload_type) == chosen
    assert choose_codec(section_with(two[0]), "video/VP9") is two[0]
    assert choose_codec(section_with(Codec(1, "AV1", 90000, fmtp="profile=1")), "video/AV1",
                        Codec(2, "AV1", 90000)) is None


# -- answering


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("answer")])
def test_an_answer_mirrors_its_offer(name: str) -> None:
    offer = offer_of(name)
    plans = everything(offer)
    head, *sections = blocks(write_answer(offer, LOCAL, plans))
    assert head[0] == "v=0" and "a=ice-lite" in head
    assert "o=- 4611731400430051336 3 IN IP4 0.0.0.0" in head
    assert "a=group:BUNDLE " + " ".join(section.mid for section in offer.sections) in head
    assert ("a=extmap-allow-mixed" in head) == offer.allows_mixed_extensions
    assert len(sections) == len(offer.sections)
    assert sum(line.startswith("a=candidate:") for lines in sections for line in lines) == 1
    opposite = {Receive: "a=recvonly", Send: "a=sendonly", Inactive: "a=inactive"}
    accepted: dict[str, set[str]] = {}
    for section, lines in zip(offer.sections, sections, strict=True):
        word, port, protocol, *numbers = lines[0].split()
        assert (word, port) == ("m=" + section.kind, "9") and f"a=mid:{section.mid}" in lines
        assert {"a=setup:passive", "a=ice-ufrag:ourufrag", f"a=fingerprint:sha-256 {LOCAL.fingerprint}"} <= set(lines)
        if section.kind == "application":
            assert {"a=sctp-port:5000", "a=max-message-size:65536"} <= set(lines)
            continue
        plan = plans.get(section.mid, Inactive())
        assert protocol == section.protocol and "a=rtcp-mux" in lines
        assert [line for line in lines if line in opposite.values()] == [opposite[type(plan)]]
        # One codec and its retransmissions, with the client's numbers.
        assert len([line for line in lines if line.startswith("a=rtpmap:")]) == len(numbers) <= 2
        assert set(numbers) <= set(section.formats)
        for line in lines:
            if line.startswith("a=extmap:"):
                number, uri = re.fullmatch(r"a=extmap:(\d+)(?:/\w+)? (\S+)", line).groups()
                assert section.extensions[uri] == int(number)
                accepted.setdefault(section.kind, set()).add(uri)
            if line.startswith("a=rtcp-fb:"):
                offered = next(codec for codec in section.codecs if str(codec.payload_type) == numbers[0])
                assert line.split(" ", 1)[1] in offered.feedback
        # Whatever the direction: Chromium publishes no simulcast otherwise.
        assert {line.split()[-1] for line in lines if line.startswith("a=extmap:")} == set(section.extensions)
    parse(write_answer(offer, LOCAL, plans))


def lines_for(name: str, mid: str, plan: Plan, **changes: Any) -> list[str]:
    offer = offer_of(name)
    for find, replace in changes.items():
        offer = parse(text_of(name).replace(find, replace))
    found = blocks(write_answer(offer, LOCAL, {mid: plan}))
    return next(lines for lines in found if f"a=mid:{mid}" in lines)


@pytest.mark.parametrize(("name", "rids"), [
    ("chromium-v0-vp8", "q h f"), ("sdk-v0-simulcast", "h q"), ("firefox-v0-vp8", "q h f"),
])
def test_simulcast_is_taken_in_the_offered_order(name: str, rids: str) -> None:
    section = sending(offer_of(name), "video")
    codec = choose_codec(section, "video/VP8")
    assert codec is not None
    lines = lines_for(name, section.mid, Receive(codec))
    assert [line for line in lines if line.startswith(("a=rid:", "a=simulcast:"))] == [
        *(f"a=rid:{rid} recv" for rid in rids.split()), "a=simulcast:recv " + ";".join(rids.split())]
    for answered, taken in ((set(lines), "a=rtcp-fb:%d transport-cc"), (set(lines), "a=rtcp-fb:%d nack pli")):
        assert taken % codec.payload_type in answered
    assert not any("goog-remb" in line for line in lines)


def test_start_bitrate_and_format_parameters_are_said_again() -> None:
    section = sending(offer_of("chromium-v0-vp8"), "video")
    assert "x-google-start-bitrate=1000" in section.codecs[0].fmtp
    lines = lines_for("chromium-v0-vp8", section.mid, Receive(section.codecs[0]))
    assert "a=fmtp:96 x-google-start-bitrate=1000" in lines and "a=fmtp:97 apt=96" in lines


def test_what_we_send() -> None:
    offer = offer_of("chromium-join")
    codec = choose_codec(offer.sections[3], "video/H264")
    assert codec is not None
    lines = lines_for("chromium-join", "3", Send(codec, "PA_x|camera", "TR_y", 11, 12, "ann"))
    assert "a=msid:PA_x|camera TR_y" in lines and "a=ssrc-group:FID 11 12" in lines
    assert {"a=ssrc:11 cname:ann", "a=ssrc:12 cname:ann", "a=ssrc:12 msid:PA_x|camera TR_y"} <= set(lines)
    assert "a=rtcp-fb:108 goog-remb" in lines and not any("transport-cc" in line for line in lines if "rtcp-fb" in line)
    audio = lines_for("chromium-join", "0", Send(offer.sections[0].codecs[0], "PA_x|camera", "TR_y", 11, 12, "ann"))
    assert not any("FID" in line or "ssrc:12" in line for line in audio)


@pytest.mark.parametrize(("plan", "expected"), [
    ({}, {"usedtx": "1"}),
    ({"has_dtx": False}, {}),
    ({"is_stereo": True}, {"usedtx": "1", "stereo": "1"}),
    ({"is_stereo": True, "has_dtx": False}, {"stereo": "1"}),
])
def test_opus(plan: dict[str, Any], expected: dict[str, str]) -> None:
    section = sending(offer_of("chromium-screen"), "audio")
    assert section.codecs[0].parameters()["stereo"] == "1"          # livekit-client writes it to receive stereo
    lines = lines_for("chromium-screen", section.mid, Receive(section.codecs[0], **plan))
    fmtp = next(line for line in lines if line.startswith("a=fmtp:111 "))
    assert Codec(111, "opus", 48000, 2, fmtp.split(" ", 1)[1]).parameters() == {
        "minptime": "10", "useinbandfec": "1", **expected}
    assert lines[0].endswith(" 111") and not any("red" in line for line in lines if line.startswith("a=rtpmap"))


def test_directions_of_extensions_are_turned_round() -> None:
    lines = lines_for("firefox-vp8", "8", Receive(offer_of("firefox-vp8").sections[8].codecs[0]))
    assert "a=extmap:9/recvonly " + rtp.RID in lines and "a=extmap:6/sendonly " + rtp.PLAYOUT_DELAY in lines
    assert "a=extmap:3 " + rtp.MID in lines


def test_who_connects() -> None:
    text = text_of("chromium-v0-vp8")
    for offered, answered in (("actpass", "passive"), ("active", "passive"), ("passive", "active")):
        found = write_answer(parse(text.replace("a=setup:actpass", "a=setup:" + offered)), LOCAL, {})
        assert set(re.findall("a=setup:([a-z]+)", found)) == {answered}


def test_sections_that_cannot_be_used() -> None:
    text = text_of("chromium-v0-vp8")
    audio, video = text.index("m=audio"), text.index("m=video")
    for changed, rejected in (
        (text[:video] + text[video:].replace("m=video 9", "m=video 0", 1), "2"),
        (text.replace("BUNDLE 0 1 2", "BUNDLE 0 1"), "2"),
        (text.replace("m=audio", "m=image").replace("a=mid:1", "a=mid:1"), "1"),
        (text[:audio] + text[audio:].replace("UDP/TLS/RTP/SAVPF", "RTP/AVP", 1), "1"),
        (text[:video] + re.sub(r"(m=video \d+ \S+) .*", r"\1 118 120", text[video:], count=1), "2"),
    ):
        offer = parse(changed)
        assert [section.mid for section in offer.sections if section.is_rejected] == [rejected]
        head, *sections = blocks(write_answer(offer, LOCAL, {}))
        lines = sections[int(rejected)]
        assert lines[0].split()[1] == "0" and f"a=mid:{rejected}" in lines
        assert rejected not in next(line for line in head if "BUNDLE" in line).split()
        with pytest.raises(ValueError, match="cannot be used"):
            write_answer(offer, LOCAL, {rejected: Receive(Codec(96, "VP8", 90000))})


def test_a_section_without_a_port_may_be_bundled() -> None:
    assert "m=video 0 UDP/TLS/RTP/SAVPF" in text_of("firefox-vp8")
    section = offer_of("firefox-vp8").sections[8]
    assert section.is_sending and not section.is_rejected


def test_a_second_data_section_is_rejected() -> None:
    text = text_of("chromium-v0-vp8")
    data = text[text.index("m=application"):text.index("m=audio")]
    offer = parse(text.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 3") + data.replace("a=mid:0", "a=mid:3"))
    assert [section.is_rejected for section in offer.sections] == [False, False, False, True]


def test_plans_have_to_fit() -> None:
    offer = offer_of("chromium-v0-vp8")
    codec = offer.sections[2].codecs[0]
    with pytest.raises(ValueError, match="no section 7"):
        write_answer(offer, LOCAL, {"7": Inactive()})
    with pytest.raises(ValueError, match="does not receive"):
        write_answer(offer, LOCAL, {"2": Send(codec, "a", "b", 1, 2, "c")})
    with pytest.raises(ValueError, match="does not send"):
        write_answer(offer_of("chromium-join"), LOCAL, {"3": Receive(codec)})


def test_nothing_of_a_client_breaks_out_of_its_line() -> None:
    codec = choose_codec(offer_of("chromium-join").sections[3], "video/VP8")
    assert codec is not None
    bad = "x\r\na=ice-lite\r\nm=audio 9 x" + "y" * 100
    lines = lines_for("chromium-join", "3", Send(codec, bad, "TR_y", 11, 12, bad + "\0ü "))
    msid = next(line for line in lines if line.startswith("a=msid:"))
    assert msid.startswith("a=msid:x__a=ice-lite__m=audio_9_x") or "_" in msid
    assert len(msid) < 90 and msid.endswith(" TR_y") and len(msid.split(" ")) == 2
    with pytest.raises(ValueError):
        lines_for("chromium-join", "3", Send(codec, "PA", "TR y", 11, 12, "c"))


# -- own offers


def test_an_own_offer() -> None:
    like = h264(7, "640c1f")
    offer = write_offer(LOCAL, [
        OfferSection("0", "audio", Send(own_codec("audio/opus"), "PA_a|TR_1", "TR_1", 1, None, "ann", is_stereo=True)),
        OfferSection("1", "video", Send(own_codec("video/H264", like), "PA_a|TR_2", "TR_2", 2, 3, "ann")),
        OfferSection("2", "video"),
    ])
    head, data, audio, video, idle = blocks(offer)
    assert "a=group:BUNDLE data 0 1 2" in head and "a=ice-lite" in head
    assert data[0].startswith("m=application 9 UDP/DTLS/SCTP") and "a=mid:data" in data
    assert "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1" in audio
    assert video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 116 117" and "a=ssrc-group:FID 2 3" in video
    assert "a=inactive" in idle and idle[0].endswith(" 96 97")
    read = parse(offer)
    assert read.is_lite and read.setup == "actpass" and [s.direction for s in read.sections[1:]] == [
        "sendonly", "sendonly", "inactive"]
    assert read.sections[2].codecs[0].parameters()["profile-level-id"] == "640c1f"
    assert read.extensions == answer.OWN_EXTENSIONS


def test_our_numbers_mean_one_thing_each() -> None:
    found = [own_codec("audio/opus"), own_codec("video/VP8")]
    found += [own_codec("video/VP9", Codec(1, "VP9", 90000, fmtp=f"profile-id={n}")) for n in range(4)]
    found += [own_codec("video/AV1", Codec(1, "AV1", 90000, fmtp=f"profile={n}")) for n in range(3)]
    levels = ("42e01f", "42001f", "4d001f", "640c1f", "64001f")
    found += [own_codec("video/H264", h264(1, level, mode)) for level in levels for mode in "01"]
    numbers = [number for codec in found for number in (codec.payload_type, codec.rtx) if number is not None]
    assert len(set(numbers)) == len(numbers) == 2 * len(found) - 1
    # RFC 5761: 64 to 95 are taken for RTCP.
    assert all(35 <= number <= 63 or 96 <= number <= 127 for number in numbers)
    assert codecchoice.h264_profile(own_codec("video/H264")) == "constrained baseline"
    for mime_type, like in (("video/H265", None), ("video/VP9", Codec(1, "VP9", 90000, fmtp="profile-id=9")),
                            ("video/H264", h264(1, "f4001f")), ("opus", None), ("audio/red", None)):
        with pytest.raises(ValueError):
            own_codec(mime_type, like)


@pytest.mark.parametrize(("name", "numbers"), [
    ("chromium-v0-answer", [None, 111, 96, 111, 96]), ("firefox-v0-answer", [None, 111, 96]),
])
def test_answers_of_the_older_mode(name: str, numbers: list[int | None]) -> None:
    found = offer_of(name)
    assert [s.codecs[0].payload_type if s.codecs else None for s in found.sections] == numbers
    assert all(section.is_receiving for section in found.sections)
    assert found.extensions.items() <= answer.OWN_EXTENSIONS.items()


# -- refused

GOOD = text_of("chromium-v0-vp8")


def changed(find: str, replace: str) -> str:
    assert find in GOOD
    return GOOD.replace(find, replace)


@pytest.mark.parametrize(("text", "why"), [
    ("", "v=0"),
    ("v=0", "sections"),
    ("v=0\r\n" * 20, "sections"),
    ("{}", "v=0"),
    ("x" * (sdp.MOST_CHARACTERS + 1), "over"),
    ("v=0\r\n" + "m=audio 9 RTP/SAVPF 1\r\n" * 401, "sections"),
    ("v=0\r\nm=\r\nm=\r\n", "m= line"),
    (GOOD + "a=x\r\n" * 601, "lines"),
    (GOOD + "a=x:" + "y" * 5000 + "\r\n", "line over"),
    (GOOD.replace("\r\n", "\r"), "control"),
    (changed("a=mid:1", "a=mid:1\0"), "control"),
    (changed("a=mid:1", "a=mid:1\x0bm=x"), "control"),
    (changed("m=video 9", "m=video nine"), "m= line"),
    (changed("m=video 9", "m=video 999999"), "m= line"),
    (changed("m=video 9", "m=video -1"), "m= line"),
    (changed("a=mid:1", "a=mid:2"), "same a=mid"),
    (changed("a=mid:1", "a=mid: "), "without a=mid"),
    (changed("a=mid:1", "a=mid:a b"), "without a=mid"),
    (changed("a=mid:1", "a=mid:" + "x" * 65), "without a=mid"),
    (re.sub("a=ice-ufrag:.*\r\n", "", GOOD), "ice-ufrag"),
    (re.sub("a=ice-pwd:.*", "a=ice-pwd:tooshort", GOOD), "ice-ufrag"),
    (re.sub("a=ice-ufrag:.*", "a=ice-ufrag:a b c d", GOOD), "ice-chars"),
    (re.sub("a=fingerprint:.*\r\n", "", GOOD), "fingerprint"),
    (re.sub("a=fingerprint:.*", "a=fingerprint:md5 AA", GOOD), "fingerprint"),
    (re.sub("a=fingerprint:.*", "a=fingerprint:sha-256 zz", GOOD), "fingerprint"),
    (changed("a=setup:actpass", "a=setup:holdconn"), "a=setup"),
    (re.sub(r"m=(\w+) \d+", r"m=\1 0", GOOD), "can be used"),
    (changed("a=group:BUNDLE 0 1 2", "a=group:LS 0 1 2"), "can be used"),
    (changed("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8"), "rtpmap"),
    (changed("a=rtpmap:96 VP8/90000", "a=rtpmap:999 VP8/90000"), "number"),
    (changed("a=rtcp-fb:96 nack", "a=rtcp-fb:x nack"), "number"),
    (changed("a=fmtp:96 ", "a=fmtp:96 ü"), "ASCII"),
    (changed("a=rid:q send", "a=rid:q/../ send"), "rid"),
    (changed("a=rid:q send", "a=rid:q both"), "rid"),
    (re.sub("a=extmap:[0-9]+ urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:x y", GOOD), "extmap"),
    (GOOD + "a=ssrc:99999999999 cname:x\r\n", "number"),
    (GOOD + "a=ssrc:² cname:x\r\n", "number"),
    (GOOD + "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(65)), "SSRCs"),
    (changed("a=sctp-port:5000", "a=sctp-port:70000"), "number"),
    (changed("a=max-message-size:262144", "a=max-message-size:1e9"), "number"),
])
def test_refused(text: str, why: str) -> None:
    with pytest.raises(BadSdp, match=why):
        parse(text)


def test_one_id_means_one_extension() -> None:
    number = parse(GOOD).extensions[rtp.MID]
    video = GOOD.index("m=video")
    line = f"a=extmap:{number} {rtp.MID}"
    with pytest.raises(BadSdp, match="two ids"):
        parse(GOOD[:video] + GOOD[video:].replace(line, f"a=extmap:200 {rtp.MID}"))
    with pytest.raises(BadSdp, match="one id"):
        parse(GOOD[:video] + GOOD[video:].replace(line, f"{line}\r\na=extmap:{number} {rtp.PLAYOUT_DELAY}"))
    # What nobody can write is as if it were not there.
    for odd in ("0", "15", "256", "4096"):
        assert rtp.MID not in parse(GOOD.replace(line, f"a=extmap:{odd} {rtp.MID}")).extensions


@pytest.mark.parametrize("extra", [
    "a=group:", "a=ssrc-group:", "a=ssrc-group:FID 1", "a=ssrc-group:FID 1 2 3", "a=ssrc-group:SIM 1 2", "a=msid:",
    "a=simulcast:", "a=simulcast:send", "a=simulcast:recv q", "a=fmtp:5", "a=rtcp-fb:* nack", "a=", "a", "", "m",
    "b=AS:1", "a=foo:\u2028m=x", "a=ssrc:1", "a=rid:q recv", "a=setup:actpass", "i=ü",
])
def test_what_is_odd_but_harmless_is_read(extra: str) -> None:
    assert len(parse(GOOD + extra + "\r\n").sections) == 3
    assert len(parse(GOOD.replace("s=-", "s=-\r\n" + extra, 1)).sections) == 3


def test_more_streams_than_ranks_are_cut() -> None:
    text = GOOD + "a=rid:x send\r\na=rid:y send\r\n"
    section = sending(parse(text.replace("send q;h;f", "send ~f;h,g;q;x;y")), "video")
    assert section.offered_rids == ("f", "h", "q") and section.rids == ("q", "h", "f")
