"""The daemon ends in good order and comes back; it reloads while people are there; each domain shows its own
certificate."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatd.core import ns
from chatd.selfsigned import write_pair
from tests.daemon import DOMAIN, HOST, OTHER, Daemon, running
from tests.hostile.bystanders import wait_for_log
from tests.raw import CLIENT, SM, Raw, RawWebSocket, condition

ALICE, BOB, CAROL, DAVE, ERIN = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol", "dave", "erin"))


def terminate(daemon: Daemon) -> None:
    """SIGTERM, and no waiting."""
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGTERM)


def gone(daemon: Daemon) -> float:
    """Waits for the end; the seconds it took."""
    began = time.monotonic()
    assert daemon.process is not None
    code = daemon.process.wait(20)
    daemon.process = None
    assert code in (0, -signal.SIGTERM)
    return time.monotonic() - began


def delayed(raw: Raw, count: int) -> list[str]:
    """The bodies of the next messages, each with the time it was sent (XEP-0203)."""
    bodies = []
    for _ in range(count):
        message = raw.until("message")
        assert message.find("{%s}delay" % ns.DELAY) is not None
        bodies.append(message.findtext(CLIENT + "body") or "")
    return bodies


def test_an_orderly_end(tmp_path: Path) -> None:
    """Everybody is told system-shutdown, over every carrier.  What their clients had not acknowledged is there after
    the restart, once and in order: for one who was online, for one whose link was cut, and for one who was offline."""
    with running(tmp_path, ALICE, BOB, CAROL, DAVE, ERIN) as daemon:
        alice = Raw(daemon).login(ALICE)
        bob = RawWebSocket(daemon).login(BOB)
        carol = Raw(daemon, "c2s_tls").login(CAROL)
        erin = Raw(daemon, "c2s_tls")
        erin.open()                                 # not logged in yet
        bob.enable()
        carol.enable()
        carol.reset()
        for n in range(30):
            for address in (BOB, CAROL, DAVE):
                alice.message(address, f"{address} {n}")
        assert [bob.body() for _ in range(10)] == [f"{BOB} {n}" for n in range(10)]
        bob.acknowledge()
        alice.ping()
        bob.ping()                                  # behind the acknowledgement; drops the twenty it never acknowledges
        terminate(daemon)
        for raw in (alice, bob, erin):
            assert raw.stream_error() == "system-shutdown"
            raw.close()
        assert gone(daemon) < 10
        daemon.start()
        with Raw(daemon, "c2s_tls").login(BOB) as again:
            assert delayed(again, 20) == [f"{BOB} {n}" for n in range(10, 30)]
        for address in (CAROL, DAVE):
            with Raw(daemon, "c2s_tls").login(address) as again:
                assert delayed(again, 30) == [f"{address} {n}" for n in range(30)]
                with Raw(daemon, "c2s_tls").login(ALICE) as alice:
                    alice.message(address, "the last")
                    assert again.body() == "the last", "something came twice"
        assert "Traceback" not in daemon.log.read_text()


def test_an_end_with_a_dead_client(tmp_path: Path) -> None:
    """A client that takes nothing any more does not hold the end up for long."""
    with running(tmp_path, ALICE, BOB) as daemon:
        with Raw(daemon, "c2s_tls", receive_bytes=4096) as deaf, Raw(daemon, "c2s_tls") as alice:
            deaf.login(BOB)
            alice.login(ALICE)
            for n in range(20):
                alice.message(deaf.jid, f"{n} " + "x" * 200_000)
            alice.ping()
            terminate(daemon)
            assert gone(daemon) < 10
        daemon.start()


def test_a_session_does_not_outlive_a_restart(tmp_path: Path) -> None:
    """Resumption of a session of the former process fails in good order, and the client binds anew (XEP-0198 5)."""
    with running(tmp_path, ALICE) as daemon:
        with Raw(daemon, "c2s_tls").login(ALICE) as raw:
            token = raw.enable()
        daemon.stop()
        daemon.start()
        with Raw(daemon, "c2s_tls") as raw:
            raw.authenticate(ALICE)
            raw.send(f"<resume xmlns='{ns.SM}' h='0' previd='{token}'/>")
            assert condition(raw.until(SM + "failed")) == "item-not-found"
            assert raw.bind().get("type") == "result"


# -- reload
def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's context that trusts this certificate only, and checks the name."""
    return ssl.create_default_context(cafile=str(certificate))


def sees(daemon: Daemon, port: str, name: str, certificate: Path) -> bool:
    """Is it this certificate that a new connection to a port sees under a name (SNI)?"""
    raw = Raw(daemon, via=("127.0.0.1", daemon.ports[port]))
    try:
        if port == "c2s":
            raw.open(name)
            raw.send(f"<starttls xmlns='{ns.TLS}'/>")
            raw.until("{%s}proceed" % ns.TLS)
        raw.sock.settimeout(20)
        with trusting(certificate).wrap_socket(raw.sock, server_hostname=name):
            return True
    except ssl.SSLCertVerificationError:
        return False
    finally:
        raw.close()


def own_certificates(daemon: Daemon, *domains: str) -> dict[str, Path]:
    """Gives each domain a certificate of its own, in its configuration; that is not reloaded yet."""
    text = daemon.config.read_text()
    made = {}
    for domain in domains:
        certificate, key = daemon.folder / f"{domain}.pem", daemon.folder / f"{domain}.key"
        write_pair(certificate, key, [domain], datetime.now(UTC))
        text = text.replace(f'name = "{domain}"\ncertificate = "certificate.pem"\nkey = "key.pem"',
                            f'name = "{domain}"\ncertificate = "{domain}.pem"\nkey = "{domain}.key"')
        made[domain] = certificate
    daemon.config.write_text(text)
    return made


@pytest.mark.parametrize("port", ["c2s", "c2s_tls", "https"])
def test_domains_with_certificates_of_their_own(tmp_path: Path, port: str) -> None:
    """By SNI, for STARTTLS, direct TLS and HTTPS; a client of one domain never sees the other's."""
    daemon = Daemon(tmp_path)
    made = own_certificates(daemon, DOMAIN, OTHER)
    daemon.start()
    try:
        for name in (DOMAIN, OTHER):
            assert sees(daemon, port, name, made[name])
        assert not sees(daemon, port, DOMAIN, made[OTHER])
        assert not sees(daemon, port, OTHER, made[DOMAIN])
    finally:
        daemon.stop()


def test_a_reload_while_people_are_there(tmp_path: Path) -> None:
    """SIGHUP: new connections see the new certificate and the new limits, nobody is disconnected; a bad one changes
    nothing."""
    with running(tmp_path, ALICE, BOB) as daemon:
        first = daemon.certificate
        people = [Raw(daemon).login(ALICE), RawWebSocket(daemon).login(BOB)]
        for name in (HOST, DOMAIN, OTHER):
            assert sees(daemon, "c2s", name, first)
        made = own_certificates(daemon, OTHER)
        with daemon.config.open("a") as config:
            config.write("[limits]\nvcard_bytes = 2000\n")
        daemon.reload()
        wait_for_log(daemon, "Reloaded; changed: ")
        for port in ("c2s", "c2s_tls", "https"):
            assert sees(daemon, port, OTHER, made[OTHER])
            assert sees(daemon, port, DOMAIN, first)
        vcard = f"<vCard xmlns='{ns.VCARD}'><NOTE>{'x' * 3000}</NOTE></vCard>"
        for raw in people:
            assert raw.ping().get("type") == "result"
            assert condition(raw.ask("set", vcard)) == "not-acceptable"
        people[0].message(people[1].jid, "still here")
        assert people[1].body() == "still here"
        (tmp_path / f"{OTHER}.pem").write_text("no certificate")
        daemon.reload()
        wait_for_log(daemon, "Everything stays as it was")
        for raw in people:
            assert raw.ping().get("type") == "result"
            raw.close()
        with socket.create_connection(("127.0.0.1", daemon.ports["c2s_tls"]), 10) as sock:
            context = ssl._create_unverified_context()
            with context.wrap_socket(sock, server_hostname=OTHER) as tls:
                assert tls.getpeercert(binary_form=True)
        assert "Traceback" not in daemon.log.read_text()
