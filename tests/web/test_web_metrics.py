"""Figures are for this machine only, unless the site says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from twisted.internet.task import Clock

from chatd.web.site import make_metrics_site
from tests.web.browser_like import ask, site_of


@pytest.fixture
def registry() -> CollectorRegistry:
    own = CollectorRegistry()
    Counter("chatd_stanzas", "Stanzas routed.", registry=own).inc(3)
    return own


def test_this_machine_reads_them(folder: Path, registry: CollectorRegistry) -> None:
    answer = ask(site_of(folder, registry=registry), "/metrics", peer="127.0.0.1")
    assert answer.code == 200
    assert b"chatd_stanzas_total 3.0" in answer.body
    assert answer.headers["content-type"].startswith("text/plain")


def test_openmetrics_when_asked(folder: Path, registry: CollectorRegistry) -> None:
    site = site_of(folder, registry=registry)
    answer = ask(site, "/metrics", peer="127.0.0.1", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}),
    ],
)
def test_strangers_do_not(folder: Path, registry: CollectorRegistry, peer: str, headers: dict[str, Any]) -> None:
    answer = ask(site_of(folder, registry=registry), "/metrics", peer=peer, **headers)
    assert answer.code == 403
    assert b"chatd_stanzas" not in answer.body


def test_without_a_registry_there_is_no_such_page(folder: Path) -> None:
    assert ask(site_of(folder), "/metrics", peer="127.0.0.1").code == 404


def test_own_listener_refuses_to_be_open_to_everybody(registry: CollectorRegistry) -> None:
    with pytest.raises(ValueError, match="open to everybody"):
        make_metrics_site(registry, "0.0.0.0", reactor=Clock())
    site = make_metrics_site(registry, "0.0.0.0", reactor=Clock(), allowed=("10.0.0.0/8",))
    assert ask(site, "/metrics", peer="10.1.2.3").code == 200
    assert ask(site, "/metrics", peer="192.0.2.7").code == 403
    assert ask(site, "/", peer="10.1.2.3").code == 503


def test_own_listener_on_loopback(registry: CollectorRegistry) -> None:
    site = make_metrics_site(registry, "127.0.0.1", reactor=Clock())
    assert ask(site, "/metrics", peer="127.0.0.1").code == 200
