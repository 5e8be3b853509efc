"""Another server that attacks, beside people of this one and of a third who chat all the time and must not notice."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest

from chatd.core import ns
from chatd.ctl.client import ask
from chatd.server.s2s.incoming import PAIRS_MOST
from tests.daemon import PASSWORD
from tests.hostile.bystanders import Bystanders, Health
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.rawserver import EVIL, RawListener, RawServer, showing
from tests.raw import Cut, Raw

LIMITS = """
[limits]
auth_s = 5
handshake_s = 4
stanzas_per_second = 500
stanzas_burst = 500
"""
BOUND_S = 5.0
"""The longest a message and its answer may take while somebody attacks; far below it on a quiet machine."""
GROWTH_BYTES = 64 << 20
SOURCE = "127.0.0.66"
"""Where it comes from: who shares an address shares the limit of connections."""


@attrs.define
class World:
    """here is attacked; evil is the attacker's certificate, for its domain and all below."""

    here: Country
    there: Country
    dns: Names
    evil: ssl.SSLContext
    listens: ssl.SSLContext
    pairs: tuple[Bystanders, Bystanders]
    health: Health

    def server(self, **options: object) -> RawServer:
        """A connection of the attacker's."""
        return RawServer(self.here, self.evil, source=SOURCE, **options)        # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """At the end the daemon is the same process, takes about what it took, and has nothing to complain of."""
    folder = Path(tmp_path_factory.mktemp("servers"))
    authority = Authority(folder)
    pair = authority.issue(folder, [EVIL, f"*.{EVIL}"])
    with Names() as dns, countries(
            Country(folder / HERE, HERE, authority, dns, extra=LIMITS),
            Country(folder / THERE, THERE, authority, dns), accounts=()) as (here, there):
        for country, name in ((here, "alice"), (here, "bob"), (here, "romeo"), (here, "victim"), (there, "juliet")):
            ask(country.folder / "state" / "chatctl.sock", "user add",
                {"jid": f"{name}@{country.domain}", "password": PASSWORD})
        local = Bystanders(here, *(Raw(here).login(f"{name}@{HERE}") for name in ("alice", "bob")))
        across = Bystanders(here, Raw(here).login(f"romeo@{HERE}"), Raw(there).login(f"juliet@{THERE}"))
        health = Health(here)
        for talk in (local, across):
            talk.start()
        for talk in (local, across):
            talk.after(20)
        sockets, memory = health.sockets(), health.resident_bytes()
        yield World(here, there, dns, showing(*pair), showing(*pair, listens=True), (local, across), health)
        left, grown = health.settled(sockets, 20), health.resident_bytes() - memory
        for talk in (local, across):
            talk.after(len(talk.times))
            talk.stop()
        assert here.process is health.process and here.process is not None and here.process.poll() is None
        assert left <= sockets, f"{sockets} sockets before, {left} after"
        assert grown < GROWTH_BYTES, f"{grown >> 10} KiB more"
        assert health.complaints() == []


@pytest.fixture
def world(whole: World) -> Iterator[World]:
    """Nobody else may notice what the test does: every message arrives, in time."""
    before = [len(talk.times) for talk in whole.pairs]
    yield whole
    for talk, count in zip(whole.pairs, before, strict=True):
        assert max(talk.after(count)) < BOUND_S
    assert whole.health.complaints() == []


def message(body: str, from_: str = f"x@{EVIL}", to: str = f"victim@{HERE}") -> str:
    return f"<message from='{from_}' to='{to}' type='chat'><body>{body}</body></message>"


def test_stanzas_at_full_speed(world: World) -> None:
    """All of them arrive, in order, as fast as one connection may."""
    with Raw(world.here).login(f"victim@{HERE}") as victim, world.server().proved() as server:
        memory = world.health.resident_bytes()
        data = "".join(message(f"flood {number}") for number in range(1200)).encode()
        sender = threading.Thread(target=server.put, args=(data,))
        sender.start()
        for number in range(1200):
            assert victim.body() == f"flood {number}"
        sender.join()
        assert world.health.resident_bytes() - memory < 40 << 20


def test_questions_whose_answers_nobody_reads(world: World) -> None:
    """It is read no further once its answers pile up."""
    with world.server(receive_bytes=4096, timeout_s=2).proved() as server:
        memory = world.health.resident_bytes()
        question = (f"<iq type='get' id='{'i' * 900}' from='x@{EVIL}' to='{HERE}'><query xmlns='{ns.DISCO_INFO}'/></iq>"
                    * 200).encode()
        with pytest.raises((TimeoutError, Cut)):
            for _ in range(100):
                server.put(question)
        assert world.health.resident_bytes() - memory < 40 << 20


@pytest.mark.parametrize(("xml", "condition"), [
    (message("x" * 600_000), "policy-violation"), ("<message>" + "<a>" * 100, "policy-violation"),
    (f"<message from='x@{EVIL}' " + "".join(f"a{number}='' " for number in range(100_000)), "policy-violation"),
    ("<!DOCTYPE a [<!ENTITY b 'c'>]>", "not-well-formed"),
    (f"<message from='x@{EVIL}' to='victim@{HERE}'><body>&x;</body></message>", "restricted-xml"),
    (f"<iq type='get' from='x@{EVIL}' to='{HERE}'/>" * 30 + "<nonsense/>", "unsupported-stanza-type"),
    (message("x", f"juliet@{THERE}"), "invalid-from"), (message("x", f"alice@{HERE}"), "invalid-from"),
    (message("x", to=f"juliet@{THERE}"), "host-unknown")])
def test_what_ends_a_stream_ends_that_stream_alone(world: World, xml: str, condition: str) -> None:
    with world.server().proved() as good, world.server().proved() as bad, \
            Raw(world.here).login(f"victim@{HERE}") as victim:
        sender = threading.Thread(target=_put, args=(bad, xml))
        sender.start()
        assert bad.stream_error() == condition
        sender.join()
        good.send(message("after it"))
        assert victim.body() == "after it"


def _put(server: RawServer, xml: str) -> None:
    try:
        server.send(xml)
    except (Cut, TimeoutError):
        pass            # it is not read any more


def test_handshakes_that_stop_half_way(world: World) -> None:
    """Before TLS, in the middle of it, behind it: all are closed in time, and others come in meanwhile."""
    before = world.health.sockets()
    stuck = [world.server() for _ in range(40)]
    for number, server in enumerate(stuck):
        if number % 4:
            server.send(server.header())
        if number % 4 > 1:
            server.send(f"<starttls xmlns='{ns.TLS}'/>")
        if number % 4 > 2:
            server.put(b"\x16\x03\x01")
    behind = [world.server() for _ in range(5)]
    for server in behind:
        server.secured()
    with Raw(world.here).login(f"victim@{HERE}") as victim, world.server().proved() as good:
        good.send(message("meanwhile"))
        assert victim.body() == "meanwhile"
    for server in (*stuck, *behind):
        with pytest.raises((Cut, ET.ParseError)):       # what stands between TLS and nothing is no XML
            while True:
                server.read()
        server.close()
    assert world.health.settled(before, 20) <= before


def test_more_connections_than_one_address_may_have(world: World) -> None:
    """Those of other addresses come in all the same."""
    many = []
    try:
        for _ in range(230):
            many.append(world.server())
        assert many[-1].stream_error() == "policy-violation"
        with (Raw(world.here).login(f"victim@{HERE}") as victim,
              RawServer(world.here, world.evil, source="127.0.0.67").proved() as other):
            other.send(message("another way"))
            assert victim.body() == "another way"
    finally:
        for server in many:
            server.close()


def answering(**changes: str) -> Callable[[ET.Element], str]:
    """Says that the key is good, with these attributes instead of the right ones."""
    def answer(asked: ET.Element) -> str:
        said = {"from": asked.attrib["to"], "to": asked.attrib["from"], "id": asked.attrib["id"], **changes}
        return f"<db:verify {' '.join(f'{name}={value!r}' for name, value in said.items())} type='valid'/>"

    return answer


@pytest.mark.parametrize(("answer", "is_believed"), [
    (answering(), True), (answering(id="another"), False), (answering(to="guest." + HERE), False),
    (answering(**{"from": THERE}), False), (lambda asked: "<db:verify/>", False),
    (lambda asked: f"<db:result from='{asked.attrib['to']}' to='{HERE}' type='valid'/>", False)],
    ids=["right", "wrong id", "wrong to", "wrong from", "no answer", "another element"])
def test_answers_of_dialback(world: World, answer: Callable[[ET.Element], str], is_believed: bool) -> None:
    """A domain without a good certificate is what the server that DNS names says of this very stream."""
    unknown = "unknown.example"
    with RawListener(world.listens, answer) as listener, world.server(own=unknown) as server:
        world.dns.serve(unknown, 0, listener.port)
        assert "EXTERNAL" not in ET.tostring(server.secured()).decode()
        if is_believed:
            assert server.dial(unknown) == "valid"
            return
        server.send(f"<db:result from='{unknown}' to='{HERE}'>{'ab' * 32}</db:result>")
        server.send(message("not proved", f"x@{unknown}"))
        assert server.stream_error() == "not-authorized"


def test_a_key_for_another_domain(world: World) -> None:
    """Of a domain that has its own server: that one is asked, and knows nothing of it."""
    with world.server(own=THERE) as server:
        server.secured()
        assert server.dial(THERE) == "invalid"
        server.ended()
    with world.server().proved() as server:
        # It is somebody, but not that one; nor is it by saying so itself.
        assert server.dial(THERE) == "error"
        server.send(f"<db:verify from='{THERE}' to='{HERE}' id='x' type='valid'/>"
                    f"<db:result from='{THERE}' to='{HERE}' type='valid'/>")
        server.send(message("x", f"juliet@{THERE}"))
        assert server.stream_error() == "invalid-from"


def test_very_many_domains_over_one_connection(world: World) -> None:
    with world.server().proved() as server:
        said = [server.dial(f"x{number}.{EVIL}") for number in range(PAIRS_MOST + 20)]
        assert said == ["valid"] * (PAIRS_MOST - 1) + ["error"] * 21
        with Raw(world.here).login(f"victim@{HERE}") as victim:
            server.send(message("of one of them", f"x@x7.{EVIL}"))
            assert victim.body() == "of one of them"
        server.send(message("of one too many", f"x@x{PAIRS_MOST + 1}.{EVIL}"))
        assert server.stream_error() == "invalid-from"


def test_very_many_questions_for_domains_that_do_not_exist(world: World) -> None:
    """Each would make us ask DNS and connect."""
    with world.server().proved() as server:
        _put(server, "".join(f"<db:result from='n{number}.nowhere.example' to='{HERE}'>k</db:result>"
                             for number in range(2000)))
        assert server.stream_error() == "policy-violation"
    asked = {name for name in world.dns.asked if name.endswith("nowhere.example")}
    assert len(asked) < 200, len(asked)
