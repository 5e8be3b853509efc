"""Host Meta 2 (XEP-0487): what is taken of a document that anybody may have written, and what ours says."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.core.host_meta import C2S_TLS, S2S_TLS, HostMeta, Way, link, read, written

GOOD: dict[str, Any] = {"rel": S2S_TLS, "port": 5270, "ips": ["192.0.2.1", "2001:DB8::1"], "priority": 1, "weight": 2,
                        "sni": "XMPP.example.org"}
WAY = Way(("192.0.2.1", "2001:db8::1"), 5270, "xmpp.example.org", 1, 2)
PIN = b"\x07" * 32


def document(*links: Any, **xmpp: Any) -> bytes:
    return json.dumps({"xmpp": {"ttl": 600, **xmpp}, "links": list(links)}).encode()


def test_what_is_for_servers_is_taken() -> None:
    others = {**GOOD, "rel": "urn:xmpp:alt-connections:s2s-quic"}, {**GOOD, "rel": C2S_TLS}, {"rel": "lrdd"}
    said = document(*others, GOOD, **{"public-key-pins-sha-256": [b64encode(PIN).decode(), "short", 3]})
    assert read(said) == HostMeta(600, (WAY,), frozenset({PIN}))


@pytest.mark.parametrize("said", [
    b"", b"no json", b"[]", b"3", b"{}", b'{"links": []}', b'{"xmpp": 1}', b'{"xmpp": {}}', b'{"xmpp": {"ttl": "1"}}',
    b'{"xmpp": {"ttl": -1}}', b'{"xmpp": {"ttl": true}}', b'{"xmpp": {"ttl": 1e400}}', b"\xff", b"[" * 100_000])
def test_what_is_no_document_says_nothing(said: bytes) -> None:
    assert read(said) is None


@pytest.mark.parametrize("broken", [
    {"port": 0}, {"port": 65536}, {"port": "5270"}, {"port": None}, {"port": True}, {"ips": []}, {"ips": "192.0.2.1"},
    {"ips": ["xmpp.example.org", 1, "fe80::1%lo", None]}, {"sni": ""}, {"sni": "a b"}, {"sni": "x" * 300}, {"sni": 1},
    {"sni": "evil\n"}, {"priority": -1}, {"priority": None}, {"weight": "1"}, {"rel": 1}])
def test_a_link_that_is_broken_is_left_out(broken: dict[str, Any]) -> None:
    found = read(document({**GOOD, **broken}, GOOD))
    assert found is not None and found.ways == (WAY,)


def test_it_is_bounded() -> None:
    pins = [b64encode(bytes([number]) * 32).decode() for number in range(200)]
    found = read(document(*[{**GOOD, "ips": ["192.0.2.1"] * 1000}] * 1000, **{"public-key-pins-sha-256": pins}))
    assert found is not None
    assert (len(found.ways), len(found.ways[0].ips), len(found.pins)) == (50, 8, 10)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*map(str, GOOD), S2S_TLS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["xmpp", "links", "ttl", "public-key-pins-sha-256", *GOOD]) | st.text(), inner, max_size=6),
    max_leaves=30)


@settings(max_examples=200)
@given(JSON, st.dictionaries(st.sampled_from(list(GOOD)), JSON))
def test_whatever_json_it_is(whole: Any, part: dict[str, Any]) -> None:
    for said in (json.dumps(whole).encode(), document({**GOOD, **part}, whole)):
        found = read(said)
        assert found is None or all(way.ips and 0 < way.port < 65536 and way.sni for way in found.ways)


def test_what_we_write_is_what_others_read() -> None:
    links = [link(C2S_TLS, ["192.0.2.1"], "example.org", port=5223),
             link(S2S_TLS, ["192.0.2.1", "2001:db8::1"], "example.org", port=5270)]
    found = read(written(links, is_complete=True))
    assert found is not None and found.ways == (Way(("192.0.2.1", "2001:db8::1"), 5270, "example.org", 10, 10),)
    assert read(written(links, is_complete=False)) is None
