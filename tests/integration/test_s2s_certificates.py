"""Certificates that prove a domain, and those that do not: what still works, and what is said where it does not."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.daemon import free_ports
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, NoAuthority, countries
from tests.raw import CLIENT, PATIENCE_S, Raw, condition

ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"
STRICT = "dialback = false"


def exchange(here: Country, there: Any, theirs: type[Raw] = Raw) -> tuple[ET.Element, ET.Element]:
    """A message each way; gives what the other got, or the error the sender got. theirs: makes Juliet's connection."""
    with ExitStack() as stack:
        romeo, juliet = (stack.enter_context(kind(country).login(address)) for kind, country, address in (
            (Raw, here, ROMEO), (theirs, there, JULIET)))
        got = []
        for sender, receiver, to in ((romeo, juliet, JULIET), (juliet, romeo, ROMEO)):
            sender.message(to, "hello", id="first")
            got.append(first(sender, receiver))
        return got[0], got[1]


def first(*people: Raw) -> ET.Element:
    """The next message of any of them, nobody knows whose."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for person in people:
            person.timeout_s = 0.1
            try:
                return person.until("message")
            except TimeoutError:
                continue
            finally:
                person.timeout_s = PATIENCE_S
    raise AssertionError("neither the message nor an error")


def is_refused(stanza: ET.Element, *words: str) -> bool:
    """Is it an error whose text has these words?"""
    said = "".join(stanza.itertext())
    return stanza.get("type") == "error" and all(word in said for word in words)


def arrived(*stanzas: ET.Element) -> bool:
    """Did both get there?"""
    return all(stanza.findtext(CLIENT + "body") == "hello" and stanza.get("type") == "chat" for stanza in stanzas)


BAD: dict[str, dict[str, Any]] = {
    "expired": {"days": -1}, "of another name": {"names": ["somebody.example"]},
    "of nobody known": {"signed_by": Authority}, "signed by itself": {"signed_by": NoAuthority}}


def bad_options(kind: str, folder: Path) -> dict[str, Any]:
    """What makes a certificate bad in this way."""
    options = dict(BAD[kind])
    if "signed_by" in options:
        (folder / "other").mkdir()
        options["signed_by"] = options["signed_by"](folder / "other", "Somebody Else")
    return options


@pytest.mark.parametrize("bad", [*list(BAD)[:3], pytest.param("signed by itself", marks=pytest.mark.long)])
@pytest.mark.parametrize("s2s", ["", STRICT], ids=["dialback", "strict"])
def test_a_bad_certificate(bad: str, s2s: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Names() as dns, countries(
            Country(tmp_path / HERE, HERE, authority, dns, s2s=s2s),
            Country(tmp_path / THERE, THERE, authority, dns, **bad_options(bad, tmp_path))) as (here, there):
        out, back = exchange(here, there)
        if s2s:
            assert is_refused(out, "certificate", THERE), ET.tostring(out)
            assert is_refused(back, "Your certificate does not prove"), ET.tostring(back)
            assert there.logged("does not prove that you are")
        else:
            assert arrived(out, back)
            assert not here.logged("Traceback") and not there.logged("Traceback")


def test_blocked_and_not_allowed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Names() as dns, countries(
            Country(tmp_path / HERE, HERE, authority, dns, s2s=f'block = ["{THERE}"]'),
            Country(tmp_path / THERE, THERE, authority, dns)) as (here, there):
        out, back = exchange(here, there)
        assert is_refused(out, "list of blocked domains") and condition(out) == "not-allowed"
        assert is_refused(back, "blocked"), ET.tostring(back)
        config = here.config.read_text().replace(f'block = ["{THERE}"]', f'allow = ["{THERE}"]')
        here.config.write_text(config)
        here.ctl("reload")

        with Raw(here).login(ROMEO) as romeo, Raw(there).login(JULIET) as juliet:
            romeo.message(JULIET, "welcome")
            assert juliet.body() == "welcome"


def test_without_encryption_for_an_exception_only(tmp_path: Path) -> None:
    """An exception is no reason to do without TLS where both sides have it."""
    exception = f'exceptions = {{ "{THERE}" = {{ encryption = false }} }}'
    authority = Authority(tmp_path)
    with Names() as dns, countries(
            Country(tmp_path / HERE, HERE, authority, dns, s2s=exception),
            Country(tmp_path / THERE, THERE, authority, dns)) as (here, there):
        out, back = exchange(here, there)
        assert arrived(out, back)
        assert here.ctl("check", "domain", THERE)["result"][3]["step"] == "tls"


def test_an_address_instead_of_dns(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Names() as dns:
        there = Country(tmp_path / THERE, THERE, authority, dns)
        here = Country(tmp_path / HERE, HERE, authority, dns, s2s=(
            f'exceptions = {{ "{THERE}" = {{ address = "127.0.0.1:{there.ports["s2s"]}" }} }}'))
        dns.srv.clear()
        dns.serve(HERE, here.ports["s2s"])
        with countries(here, there):
            out, back = exchange(here, there)
            assert arrived(out, back)


def test_direct_tls_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Names() as dns:
        made = [Country(tmp_path / domain, domain, authority, dns) for domain in (HERE, THERE)]
        for country in made:
            dns.serve(country.domain, 0, country.ports["s2s_tls"])
        with countries(*made) as (here, there):
            out, back = exchange(here, there)
            assert arrived(out, back)
            assert here.logged("direct TLS")


def swallow(port: int, stack: ExitStack) -> None:
    """Makes [::1]:port neither refuse nor answer: the queue of those who wait to be taken in is full."""
    stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6, backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket(socket.AF_INET6))
        waiting.setblocking(False)
        waiting.connect_ex(("::1", port))


def test_ipv6_that_leads_nowhere_costs_a_moment(tmp_path: Path) -> None:
    """IPv4 is tried beside it."""
    authority = Authority(tmp_path)
    with Names() as dns, ExitStack() as stack:
        made = [Country(tmp_path / domain, domain, authority, dns, direct=False) for domain in (HERE, THERE)]
        for country in made:
            swallow(country.ports["s2s"], stack)
            dns.six[f"xmpp.{country.domain}"] = "::1"
        with countries(*made) as (here, there):
            out, back = exchange(here, there)
            assert arrived(out, back)


def test_addresses_that_do_not_answer_are_passed_over(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Names() as dns, countries(*(
            Country(tmp_path / domain, domain, authority, dns) for domain in (HERE, THERE))) as (here, there):
        [closed] = free_ports(1)
        for country in (here, there):
            dns.six[f"xmpp.{country.domain}"] = "::1"
            dns.srv[f"_xmpp-server._tcp.{country.domain}"].insert(0, (closed, f"xmpp.{country.domain}"))
            dns.srv[f"_xmpps-server._tcp.{country.domain}"] = [(closed, f"gone.{country.domain}")]
        out, back = exchange(here, there)
        assert arrived(out, back)
