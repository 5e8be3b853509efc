"""A server with a good certificate of its own that pretends to be others, beside people who must not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chatd.core import ns
from tests.daemon import PASSWORD
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.rawserver import DIALBACK, EVIL, RawServer, showing
from tests.raw import Cut, Raw


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Country, Country, Callable[..., RawServer]]]:
    folder = Path(tmp_path_factory.mktemp("forged"))
    authority = Authority(folder)
    certificate, key = authority.issue(folder, [EVIL])
    context = showing(certificate, key)
    with Names() as dns, countries(*(
            Country(folder / domain, domain, authority, dns, extra="[limits]\nauth_s = 5") for domain in (HERE, THERE)
    )) as (here, there):
        yield here, there, lambda: RawServer(here, context)


def message(from_: str, to: str = f"romeo@{HERE}", body: str = "forged") -> str:
    return f"<message from='{from_}' to='{to}' type='chat'><body>{body}</body></message>"


@pytest.mark.parametrize("from_", [
    f"juliet@{THERE}", f"juliet@{HERE}", HERE, f"room@conference.{HERE}/juliet", f"someone@guest.{HERE}",
    f"juliet@{EVIL}.{THERE}", f"{EVIL}@{THERE}/{EVIL}"])
def test_a_forged_from_reaches_nobody(world: tuple[Country, Country, Callable[..., RawServer]], from_: str) -> None:
    here, _, evil = world
    with Raw(here).login(f"romeo@{HERE}", PASSWORD) as romeo, evil().proved() as server, evil().proved() as good:
        server.send(message(from_))
        assert server.stream_error() == "invalid-from"
        good.send(message(f"known@{EVIL}", body="in order"))
        assert romeo.body() == "in order"


def test_it_cannot_prove_to_be_another_by_dialback(
        world: tuple[Country, Country, Callable[..., RawServer]]) -> None:
    """Whoever DNS names for the domain is asked, and knows nothing of it."""
    _, _, evil = world
    with evil() as server:
        server.own = THERE
        assert "EXTERNAL" not in ET.tostring(server.secured()).decode()
        server.send(f"<db:result from='{THERE}' to='{HERE}'>{'ab' * 32}</db:result>")
        assert server.until(DIALBACK + "result").attrib["type"] == "invalid"
        server.ended()
    with evil().proved() as server:
        server.send(f"<db:result from='{THERE}' to='{HERE}'>{'ab' * 32}</db:result>")
        assert server.until(DIALBACK + "result").attrib["type"] == "error"
        server.send(message(f"juliet@{THERE}"))
        assert server.stream_error() == "invalid-from"


@pytest.mark.parametrize("own", [HERE, f"conference.{HERE}", f"meet.{HERE}"])
def test_it_cannot_be_one_of_ours(world: tuple[Country, Country, Callable[..., RawServer]], own: str) -> None:
    _, _, evil = world
    with evil() as server:
        server.own = own
        server.send(server.header())
        assert server.stream_error() == "invalid-from"


def test_guests_are_not_to_be_reached(world: tuple[Country, Country, Callable[..., RawServer]]) -> None:
    _, _, evil = world
    with evil() as server:
        server.send(server.header(f"guest.{HERE}"))
        assert server.stream_error() == "host-unknown"
    with evil().proved() as server:
        server.send(message(f"x@{EVIL}", f"someone@guest.{HERE}"))
        assert server.stream_error() == "host-unknown"


def test_a_room_knows_them_by_what_they_proved(world: tuple[Country, Country, Callable[..., RawServer]]) -> None:
    """The pair is that of the room's domain, so a stream for the other domain is not enough."""
    _, _, evil = world
    with evil().proved() as server:
        server.send(f"<presence from='x@{EVIL}/y' to='room@conference.{HERE}/nick'/>")
        assert server.stream_error() == "invalid-from"
    with evil().proved(f"conference.{HERE}") as server:
        server.send(f"<iq type='get' id='p' from='x@{EVIL}/y' to='conference.{HERE}'><ping xmlns='{ns.PING}'/></iq>"
                    f"<r xmlns='{ns.SM}'/>")
        assert server.stream_error() == "unsupported-stanza-type"       # <r/> without <enable/>; the iq came first


def test_silence_and_noise_end_in_time(world: tuple[Country, Country, Callable[..., RawServer]]) -> None:
    here, _, evil = world
    silent = evil()
    silent.secured()
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"<" * 20_000, b"<a>" * 5000):
        with evil() as server:
            server.put(noise)
            with pytest.raises((Cut, ET.ParseError)):
                while True:
                    server.read()
    assert silent.stream_error() == "connection-timeout"
    silent.close()
    assert not here.logged("Traceback"), here.log.read_text()[-3000:]
