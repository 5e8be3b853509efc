"""XEP-0156: both forms, any site may read them, only what is mounted is listed."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from twisted.web.resource import Resource

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
