"""Publish-subscribe without a wire: capabilities, settings, who may read; bookmarks and pictures in their two forms."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1

import pytest

from chatd.core import ns
from chatd.core.avatars import Photo, is_empty, photo_of_data, photo_of_vcard, published_id, stamped, with_photo
from chatd.core.bookmarks import Bookmark, bookmarks_of, item_xml, of_items, others_of, storage_xml
from chatd.core.entity_caps import Claim, claim_of, hash_of, interests_of
from chatd.core.errors import StanzaError
from chatd.core.pubsub import Item, Node, Reader, may_publish, may_read
from chatd.core.pubsub_config import DEFAULTS, complete, differing, parse_config, unmet, usual
from chatd.core.stanza import Stanza, parse_element

CAPS = f"{ns.CAPS} c"
FORM = "<x xmlns='jabber:x:data' type='result'>{}</x>"


def field(var: str, *values: str) -> str:
    return f"<field var='{var}'>" + "".join(f"<value>{value}</value>" for value in values) + "</field>"


def query(inner: str):
    return parse_element(f"<query xmlns='{ns.DISCO_INFO}'>{inner}</query>".encode())


def psi(more: str = "") -> str:
    """XEP-0115 5.3."""
    features = "".join(f"<feature var='{var}'/>" for var in (
        ns.CAPS, ns.DISCO_INFO, ns.DISCO_ITEMS, "http://jabber.org/protocol/muc"))
    form = FORM.format(field("FORM_TYPE", "urn:xmpp:dataforms:softwareinfo") + field("ip_version", "ipv4", "ipv6")
                       + field("os", "Mac") + field("os_version", "10.5.1") + field("software", "Psi")
                       + field("software_version", "0.11"))
    return ("<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
            f"<identity xml:lang='el' category='client' name='\u03a8 0.11' type='pc'/>{features}{form}{more}")


def test_the_hash_with_languages_and_a_form():
    assert hash_of(query(psi()), "sha-1") == "q07IKJEyjvHSyhy//CH0CxmKi8w="
    assert hash_of(query(psi()), "sha-256") != hash_of(query(psi()), "sha-1")


@pytest.mark.parametrize("more", [
    f"<feature var='{ns.CAPS}'/>", "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>",
    FORM.format(field("FORM_TYPE", "urn:xmpp:dataforms:softwareinfo")),
])
def test_an_answer_that_is_ill_formed_proves_nothing(more):
    """XEP-0115 5.4: what is there twice could hide something else."""
    assert hash_of(query(psi(more)), "sha-1") is None


def test_interests_are_bounded():
    many = "".join(f"<feature var='urn:{number}+notify'/>" for number in range(500))
    assert len(interests_of(query(many))) == 100
    odd = f"<feature var='{'x' * 2000}+notify'/><feature var='b'/><feature/>"
    assert interests_of(query(odd + "<feature var='urn:a+notify'/>")) == {"urn:a"}


@pytest.mark.parametrize(("inner", "claim"), [
    ("<c xmlns='%s' hash='sha-1' node='n' ver='v='/>", Claim("n", "v=", "sha-1")),
    ('<show>away</show><c hash="sha-1" ver="v" node="n" xmlns="%s"></c>', Claim("n", "v", "sha-1")),
    ("<c xmlns='%s' hash='sha-1' node='a&amp;b' ver='v'/>", Claim("a&b", "v", "sha-1")),
    ("<c xmlns='%s' node='n' ver='1.0' ext='a b'/>", Claim("n", "1.0", "")),
    ("<c xmlns='%s' hash='sha-1' node='n'/>", None),
    ("<c xmlns='%s' hash='sha-1' node='n' ver=''/>", None),
    ("<c xmlns='%s' hash='sha-1' node='n' ver='" + "v" * 600 + "'/>", None),
    ("<status>&lt;c node='x' ver='y'</status><c xmlns='%s' hash='sha-1' node='n' ver='v'/>", Claim("n", "v", "sha-1")),
    ("<p:c xmlns:p='%s' hash='sha-1' node='n' ver='v'/>", Claim("n", "v", "sha-1")),
])
def test_what_presence_claims(inner, claim):
    stanza = Stanza("presence", {}, (inner % ns.CAPS).encode(), (CAPS,))
    assert claim_of(stanza) == claim
    assert claim is None or claim.is_proof == (claim.hash == "sha-1")


def test_only_what_differs_is_kept():
    assert differing(complete({})) == {} and differing(complete({"access": "open"})) == {"access": "open"}
    form = parse_element(FORM.format(field("pubsub#max_items", "max") + field("pubsub#title", " T ")).encode())
    assert differing(parse_config(form, complete(usual("urn:x")))) == {"max_items": 0, "title": "T"}
    wrong = parse_element(FORM.format(field("FORM_TYPE", "urn:other") + field("pubsub#title", "T")).encode())
    with pytest.raises(StanzaError, match="bad-request"):
        parse_config(wrong, DEFAULTS)


@pytest.mark.parametrize(("wanted", "config", "expected"), [
    ({}, {}, ""), ({"access": "open"}, {"access": "open"}, ""), ({"access": "open"}, {}, "pubsub#access_model"),
    ({"max_items": 0}, {"max_items": 0}, ""), ({"max_items": 0}, {"max_items": 50}, ""),
    ({"max_items": 60}, {"max_items": 50}, ""), ({"max_items": 0}, {"max_items": 49}, "pubsub#max_items"),
])
def test_preconditions(wanted, config, expected):
    """max is 50 here, and so is whatever is more."""
    assert unmet(wanted, complete(config), 50) == expected


MODELS = ("open", "presence", "roster", "authorize", "whitelist")


@pytest.mark.parametrize(("reader", "lets_in"), [
    (Reader("a@b", True), MODELS), (Reader("s@b", False), ("open",)),
    (Reader("c@b", False, True), ("open", "presence")),
    (Reader("c@b", False, True, ("Band",)), ("open", "presence", "roster")),
    (Reader("s@b", False, False, ("Band",)), ("open",)),
    (Reader("sub@b", False), ("open", "authorize")), (Reader("pending@b", False), ("open",)),
    (Reader("member@b", False), MODELS), (Reader("publisher@b", False), MODELS), (Reader("outcast@b", False, True), ()),
])
def test_who_may_read(reader, lets_in):
    people = {f"{standing}@b": standing for standing in ("member", "publisher", "outcast")}
    for model in MODELS:
        node = Node("n", {"access": model, "groups": ["Band"]}, people, {"sub@b": "subscribed", "pending@b": "pending"})
        assert (may_read(node, reader) is None) == (model in lets_in), model
        assert may_publish(node, reader) == (reader.is_owner or reader.bare == "publisher@b")


def test_bookmarks_there_and_back():
    given = {"r@c": Bookmark("r@c", "A & B <1>", True, "n\"i'", "p<w"), "s@c": Bookmark("s@c")}
    storage = parse_element(storage_xml(given, b"<url url='u'/>"))
    assert bookmarks_of(storage) == given and b"url" in others_of(storage)
    items = [Item(room, item_xml(one), "a@b") for room, one in given.items()]
    assert of_items(items) == given
    former = (f"<conference xmlns='{ns.BOOKMARKS}'><nick>x</nick><extensions><e xmlns='urn:e' k='1'/></extensions>"
              "</conference>").encode()
    changed = parse_element(item_xml(given["s@c"], former))
    assert changed.extensions.e["k"] == "1" and changed.nick is None


def test_pictures():
    data = b"RIFF\0\0\0\0WEBPxx"
    photo = Photo(data, "image/webp")
    assert photo.sha1 == sha1(data).hexdigest()
    assert photo_of_data(parse_element(photo.data_xml), photo.sha1) == photo
    assert photo_of_data(parse_element(photo.data_xml), "0" * 40) is None
    metadata = parse_element(photo.metadata_xml)
    assert published_id(metadata) == photo.sha1 and not is_empty(metadata)
    former = b"<vCard xmlns='vcard-temp'><FN>x</FN><PHOTO><BINVAL>QQ==</BINVAL></PHOTO></vCard>"
    vcard = with_photo(parse_element(former), photo)
    assert photo_of_vcard(vcard) == photo and str(vcard.FN) == "x"
    assert photo_of_vcard(with_photo(vcard, None)) is None
    inner = f"<TYPE>text/html</TYPE><BINVAL>{b64encode(b'x').decode()}</BINVAL>"
    said = parse_element(f"<vCard xmlns='vcard-temp'><PHOTO>{inner}</PHOTO></vCard>".encode())
    assert photo_of_vcard(said).type == "image/png", "never what is no picture"


def test_a_stamp_is_put_in_once():
    plain = Stanza("presence", {"from": "a@b/c"}, b"<show>away</show>", (f"{ns.CLIENT} show",))
    once = stamped(plain, "ab")
    assert once.inner.endswith(b"<photo>ab</photo></x>") and stamped(once, "ab") is None
    assert stamped(once, "cd").inner.count(b"<photo>") == 1 and stamped(stamped(once, ""), "cd") is None
