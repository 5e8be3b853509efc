"""Session descriptions of clients, read (RFC 8866, JSEP RFC 9429). Answers are written by `answer.py`::

    offer = sdp.parse(text)                     # BadSdp with a sentence for the peer
    for section in offer.sections: …            # in order; section.mid, .kind, .direction, .codecs, .rids, .cid …
    codec = choose_codec(section, "video/VP8")  # codecchoice.py

The same `parse` reads an answer of a client (the older mode with two connections). Only what a forwarding bridge
needs is read; attributes not known here are skipped, as RFC 8866 section 5 wants it. Everything is bounded: what is
longer, or has more sections or lines than any client makes, is refused before it is looked at. Whatever may be said
again in an answer (mids, rids, codec names, format parameters) consists of printable ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from chatd.bridge.codecchoice import choose_codec
from chatd.bridge.sections import (
    Attributes,
    BadSdp,
    Codec,
    Section,
    attributes,
    fingerprint_in,
    ice_word,
    one,
    read_section,
)

__all__ = ["BadSdp", "Codec", "Offer", "Section", "choose_codec", "parse"]

MOST_CHARACTERS = 1 << 20
MOST_SECTIONS = 400

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@attrs.frozen
class Offer:
    """A whole description. `ufrag`, `pwd`, `fingerprint` ("sha-256 AB:CD:…"), `setup` ("actpass", "active",
    "passive") are of the one bundled transport. `extensions`: URI -> id over all sections, for
    `Transport.set_extensions`. `bundle`: mids of the BUNDLE group. `is_lite`: a=ice-lite.
    """

    sections: tuple[Section, ...]
    ufrag: str
    pwd: str
    fingerprint: str
    setup: str
    extensions: Mapping[str, int]
    bundle: tuple[str, ...] = ()
    is_lite: bool = False
    allows_mixed_extensions: bool = False

    def section(self, mid: str) -> Section | None:
        """The section with this mid."""
        return next((section for section in self.sections if section.mid == mid), None)


def parse(text: str) -> Offer:
    """Read an offer or an answer. BadSdp: not SDP, without transport, over a limit, or contradicting itself."""
    if len(text) > MOST_CHARACTERS:
        raise BadSdp(f"a session description over {MOST_CHARACTERS} characters")
    text = text.replace("\r\n", "\n")
    if _CONTROL.search(text):
        raise BadSdp("control characters in a session description")
    head, *blocks = text.split("\nm=", MOST_SECTIONS + 1)
    if not head.startswith("v=0"):
        raise BadSdp("not a session description: it has to begin with v=0")
    if not blocks or len(blocks) > MOST_SECTIONS:
        raise BadSdp(f"a session description needs 1 to {MOST_SECTIONS} sections")
    session = attributes(head.split("\n"))
    bundle = _bundle(session)
    sections = _usable([read_section(block) for block in blocks], bundle)
    first = next((section for section in sections if not section.is_rejected), None)
    if first is None:
        raise BadSdp("no section of this session description can be used")
    ufrag, pwd = first.ufrag or ice_word(session, "ice-ufrag"), first.pwd or ice_word(session, "ice-pwd")
    fingerprint = first.fingerprint or fingerprint_in(session)
    setup = first.setup or one(session, "setup") or "actpass"
    if not ufrag or not pwd or len(pwd) < 22:
        raise BadSdp("no a=ice-ufrag and a=ice-pwd (RFC 8839 5.4)")
    if not fingerprint:
        raise BadSdp("no a=fingerprint with sha-256, sha-384 or sha-512 (RFC 8122)")
    if setup not in ("actpass", "active", "passive"):
        raise BadSdp("an a=setup that cannot be answered (RFC 8842 5.2)")
    return Offer(tuple(sections), ufrag, pwd, fingerprint, setup, _extensions(sections), bundle,
                 "ice-lite" in session, "extmap-allow-mixed" in session)


def _bundle(session: Attributes) -> tuple[str, ...]:
    for value in session.get("group", ()):
        words = value.split()
        if words[:1] == ["BUNDLE"]:
            return tuple(words[1:])
    return ()


def _usable(sections: list[Section], bundle: tuple[str, ...]) -> list[Section]:
    """Sections marked as rejected where only the whole tells: not bundled (there is one transport), a second data
    section.
    """
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise BadSdp("two sections with the same a=mid")
    bundled = frozenset(bundle)
    has_data = False
    for at, section in enumerate(sections):
        is_bundled = section.mid in bundled or (len(sections) == 1 and not bundle)
        is_second = section.kind == "application" and has_data
        if not section.is_rejected and (not is_bundled or is_second):
            sections[at] = section = attrs.evolve(section, is_rejected=True)
        has_data = has_data or (section.kind == "application" and not section.is_rejected)
    return sections


def _extensions(sections: list[Section]) -> dict[str, int]:
    """RFC 9143 section 8: in one bundle an id means one extension."""
    found: dict[str, int] = {}
    for section in sections:
        if not section.is_rejected:
            for uri, number in section.extensions.items():
                if found.setdefault(uri, number) != number:
                    raise BadSdp(f"two ids for the header extension {uri}")
    if len(set(found.values())) != len(found):
        raise BadSdp("one id for two header extensions")
    return found


