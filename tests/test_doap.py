"""doap.xml says what is implemented: all of it, nothing else, in the version the modules name."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from chatd.modules import module_classes

ROOT = Path(__file__).resolve().parents[1]
XMPP = "{https://linkmauve.fr/ns/xmpp-doap#}"
RESOURCE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"

#: XEPs that are no module's but part of the streams or of the web site: number, version, the file that speaks them.
ELSEWHERE = (
    ("0114", "1.6", "chatd/server/component.py"),
    ("0124", "1.11.2", "chatd/server/bosh.py"),
    ("0156", "1.4.0", "chatd/web/hostmeta.py"),
    ("0175", "1.2", "chatd/core/sasl_anonymous.py"),
    ("0178", "1.2", "chatd/server/s2s/outgoing.py"),
    ("0185", "1.0", "chatd/core/dialback.py"),
    ("0198", "1.6.3", "chatd/core/smacks.py"),
    ("0206", "1.4", "chatd/server/bosh.py"),
    ("0220", "1.1.1", "chatd/core/dialback.py"),
    ("0227", "1.1", "chatd/core/portable.py"),
    ("0288", "1.0.1", "chatd/server/s2s/incoming.py"),
    ("0368", "1.1.0", "chatd/server/certificates.py"),
    ("0386", "1.1.0", "chatd/server/login_inline.py"),
    ("0388", "1.0.4", "chatd/core/negotiation_sasl2.py"),
    ("0440", "1.0.0", "chatd/core/stream_xml.py"),
    ("0474", "0.5.0", "chatd/core/sasl.py"),
    ("0484", "0.2.0", "chatd/server/fast.py"),
    ("0487", "0.1.0", "chatd/core/host_meta.py"),
)


def listed() -> list[tuple[str, str]]:
    """(number, version) of each entry of doap.xml."""
    found = []
    for xep in ElementTree.parse(ROOT / "doap.xml").iter(f"{XMPP}SupportedXep"):
        address = xep.find(f"{XMPP}xep")
        assert address is not None
        number = address.attrib[RESOURCE].removeprefix("https://xmpp.org/extensions/xep-").removesuffix(".html")
        version, status, since = (xep.findtext(f"{XMPP}{name}") for name in ("version", "status", "since"))
        assert number.isdigit() and version and since and status in ("complete", "partial"), number
        found.append((number, version))
    return found


def implemented() -> list[tuple[str, str]]:
    """(number, version) of what the modules declare, and of what is elsewhere."""
    found = [(number, version) for number, version, _ in ELSEWHERE]
    for kind in module_classes():
        found += [(kind.xep, kind.version)] if kind.xep else []
        found += kind.also
    return found


def test_both_ways() -> None:
    """Each XEP once on either side, in the same version."""
    assert len(set(listed())) == len(listed()) == len({number for number, _ in listed()})
    assert len(implemented()) == len({number for number, _ in implemented()}), "one module is answerable for a XEP"
    assert sorted(implemented()) == sorted(listed())


def test_elsewhere_is_there() -> None:
    """The files named above speak of the XEP they are named for."""
    for number, _, file in ELSEWHERE:
        assert number in (ROOT / file).read_text(), (number, file)


def test_in_order() -> None:
    """By number, so that a look finds it."""
    assert listed() == sorted(listed())
