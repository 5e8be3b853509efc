"""XEP-0156: both forms, any site may read them, only what is mounted is listed. XEP-0487: all, where it is true."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from twisted.web.resource import Resource

from chatd.core.host_meta import C2S_TLS, S2S_TLS
from chatd.settings.kinds import Address
from chatd.web.hostmeta import Ways
from tests.web.browser_like import ask, settings, site_of

MOUNTS = {"/xmpp-websocket": Resource(), "/http-bind": Resource()}
XRD = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}"
WEBSOCKET, XBOSH = "urn:xmpp:alt-connections:websocket", "urn:xmpp:alt-connections:xbosh"


@pytest.mark.parametrize(
    ("public_url", "host", "tls", "base"),
    [
        ("", "chat.example.org", True, "s://chat.example.org"),
        ("", "chat.example.org:5280", False, "://chat.example.org:5280"),
        ("", "[2001:db8::1]:5281", True, "s://[2001:db8::1]:5281"),
        ("https://xmpp.example.com:5281/", "evil.example", False, "s://xmpp.example.com:5281"),
    ],
)
def test_both_forms_say_the_same(folder: Path, public_url: str, host: str, tls: bool, base: str) -> None:
    site = site_of(folder, conf=settings(public_url), mounts=MOUNTS)
    expected = {WEBSOCKET: f"ws{base}/xmpp-websocket", XBOSH: f"http{base}/http-bind"}

    xrd = ask(site, "/.well-known/host-meta", tls=tls, host=host)
    assert xrd.headers["content-type"].startswith("application/xrd+xml")
    links = ElementTree.fromstring(xrd.body).findall(f"{XRD}Link")
    assert {link.attrib["rel"]: link.attrib["href"] for link in links} == expected

    jrd = ask(site, "/.well-known/host-meta.json", tls=tls, host=host)
    assert jrd.headers["content-type"] == "application/json"
    assert {link["rel"]: link["href"] for link in json.loads(jrd.body)["links"]} == expected
    assert xrd.headers["access-control-allow-origin"] == jrd.headers["access-control-allow-origin"] == "*"


def test_only_what_is_mounted_is_listed(folder: Path) -> None:
    site = site_of(folder, mounts={"/http-bind": Resource()})
    links = json.loads(ask(site, "/.well-known/host-meta.json").body)["links"]
    assert [link["rel"] for link in links] == [XBOSH]


@pytest.mark.parametrize("host", ['a"><script>', "a b", "a/b", "user@host", ""])
def test_a_bogus_host_is_refused(folder: Path, host: str) -> None:
    answer = ask(site_of(folder, mounts=MOUNTS), "/.well-known/host-meta", host=host)
    assert answer.code == 400
    assert b"script" not in answer.body


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def full(**listen: str) -> Ways | None:
    """Of a daemon's settings with these addresses to listen on."""
    ports = {"c2s_tls": "0.0.0.0:5223", "s2s_tls": "[::]:5270", **listen}
    return Ways.of(SimpleNamespace(
        server=SimpleNamespace(host="xmpp.example.org", addresses=("192.0.2.1", "2001:db8::1")),
        domains=[SimpleNamespace(name="example.org")], has_federation=True,
        listen=SimpleNamespace(**{name: (_address(text),) if text else () for name, text in ports.items()})))


@pytest.mark.parametrize(("host", "sni"), [("example.org", "example.org"), ("EXAMPLE.org:443", "example.org"),
                                           ("elsewhere.example", "xmpp.example.org")])
def test_with_addresses_nobody_has_to_ask_dns(folder: Path, host: str, sni: str) -> None:
    site = site_of(folder, conf=settings("https://xmpp.example.org"), mounts=MOUNTS, ways=full())
    document = json.loads(ask(site, "/.well-known/host-meta.json", host=host).body)
    assert document["xmpp"]["ttl"] > 0
    ips = ["192.0.2.1", "2001:db8::1"]
    assert [(link["rel"], link.get("port"), link["sni"]) for link in document["links"]] == [
        (WEBSOCKET, None, "xmpp.example.org"), (XBOSH, None, "xmpp.example.org"), (C2S_TLS, 5223, sni),
        (S2S_TLS, 5270, sni)]
    assert all(link["ips"] == ips and {"priority", "weight"} <= set(link) for link in document["links"])
    # Who knows XEP-0156 alone sees what it saw before.
    assert document["links"][0]["href"] == "wss://xmpp.example.org/xmpp-websocket"
    assert "5270" not in ask(site, "/.well-known/host-meta", host=host).body.decode()


@pytest.mark.parametrize("listen", [{"c2s_tls": "127.0.0.1:5223"}, {"s2s_tls": ""}, {"s2s_tls": "[::1]:5270"}])
def test_what_is_not_open_to_everybody_is_no_way_to_do_without_dns(listen: dict[str, str]) -> None:
    assert full(**listen) is None and full() is not None
