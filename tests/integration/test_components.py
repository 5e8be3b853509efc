"""Components (XEP-0114) at a real daemon: slixmpp's ComponentXMPP, and what it would not do by itself, in bytes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slixmpp

from tests.daemon import DOMAIN, Daemon, free_ports
from tests.integration.slix import Client

PAT = f"pat@{DOMAIN}"
ECHO, ELSEWHERE = f"echo.{DOMAIN}", "gateway.elsewhere.example"
SECRET = "a secret of some length"
HEADER = "<stream:stream xmlns='{ns}' xmlns:stream='http://etherx.jabber.org/streams' to='{to}'>"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With two components, one's secret in a file."""
    folder = Path(tmp_path_factory.mktemp("chatd"))
    (port,) = free_ports(1)
    (folder / "secret").write_text(SECRET + "\n")
    extra = (f'[[component]]\ndomain = "{ECHO}"\nsecret = "{SECRET}"\n'
             f'[[component]]\ndomain = "{ELSEWHERE}"\nsecret_file = "secret"\n')
    daemon = Daemon(folder, extra)
    text = daemon.config.read_text().replace("[listen]\n", f'[listen]\ncomponent = ["127.0.0.1:{port}"]\n')
    daemon.config.write_text(text)
    daemon.ports["component"] = port
    daemon.start()
    try:
        daemon.add(PAT)
        yield daemon
    finally:
        daemon.stop()


class Echo(slixmpp.ComponentXMPP):
    """Says what it hears; lets everybody see whether it is there."""

    def __init__(self, daemon: Daemon, domain: str = ECHO) -> None:
        super().__init__(domain, SECRET, "127.0.0.1", daemon.ports["component"])
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.subscribed: asyncio.Queue[Any] = asyncio.Queue()
        self.add_event_handler("message", self._answer)
        self.add_event_handler("presence_subscribe", self.subscribed.put_nowait)

    def _answer(self, message: Any) -> None:
        if message["type"] != "error":
            message.reply(f"you said {message['body']}").send()

    async def __aenter__(self) -> Echo:
        started = asyncio.ensure_future(self.wait_until("session_start", 30))
        self.connect()
        await started
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()


def test_a_component(daemon: Daemon) -> None:
    """Found in disco, chatted with, subscribed to, asked; two of them talk to each other; one that is gone is said
    to be gone."""

    async def run() -> None:
        async with Client(daemon, PAT) as pat:
            async with Echo(daemon) as echo, Echo(daemon, ELSEWHERE) as other:
                items = await pat.plugin["xep_0030"].get_items(DOMAIN)
                found = {str(item[0]) for item in items["disco_items"]["items"]}
                assert ECHO in found and ELSEWHERE not in found
                info = await pat.plugin["xep_0030"].get_info(ECHO)
                assert ("component", "generic") in {one[:2] for one in info["disco_info"]["identities"]}

                pat.send_message(mto=f"somebody@{ECHO}/there", mbody="<good> & bad \t ", mtype="chat")
                got = await pat.text("you said <good> & bad \t ")
                assert got["from"].full == f"somebody@{ECHO}/there"
                await pat.plugin["xep_0199"].ping(ECHO, timeout=15)

                pat.send_presence_subscription(pto=f"somebody@{ECHO}", ptype="subscribe")
                await asyncio.wait_for(echo.subscribed.get(), 15)
                echo.send_presence(pto=PAT, pfrom=f"somebody@{ECHO}", ptype="subscribed")
                echo.send_presence(pto=PAT, pfrom=f"somebody@{ECHO}/there")
                await pat.presence_of(f"somebody@{ECHO}/there")

                await other.plugin["xep_0199"].ping(ECHO, ifrom=ELSEWHERE, timeout=15)
                status = daemon.ctl("status")["result"]["components"]
                assert status[ECHO].startswith("127.0.0.1:") and status[ELSEWHERE]

            pat.send_message(mto=f"somebody@{ECHO}", mbody="are you there?", mtype="chat")
            error = await pat.message(lambda stanza: stanza["type"] == "error")
            assert error["error"]["condition"] == "service-unavailable" and error["error"]["type"] == "wait"

    asyncio.run(asyncio.wait_for(run(), 120))


class Raw:
    """A component in bytes."""

    def __init__(self, daemon: Daemon, to: str = ECHO, ns: str = "jabber:component:accept") -> None:
        self.socket = socket.create_connection(("127.0.0.1", daemon.ports["component"]), 30)
        self.got = b""
        self.send(HEADER.format(ns=ns, to=to))

    def send(self, xml: str) -> None:
        self.socket.sendall(xml.encode())

    def until(self, pattern: bytes) -> re.Match[bytes]:
        """What matches, in what has come behind the last match."""
        while not (found := re.search(pattern, self.got)):
            data = self.socket.recv(65536)
            assert data, f"{pattern!r} is not in {self.got!r}"
            self.got += data
        self.got = self.got[found.end():]
        return found

    def shake(self, secret: str = SECRET) -> Raw:
        id_ = self.until(rb"<stream:stream[^>]* id='([^']+)'")[1].decode()
        self.send(f"<handshake>{hashlib.sha1((id_ + secret).encode()).hexdigest().upper()}</handshake>")
        return self

    def refused(self, condition: bytes) -> None:
        """Until the end, which this error explains."""
        self.until(b"<stream:error><" + condition + b" ")
        self.until(b"</stream:stream>")
        self.socket.settimeout(30)
        assert self.socket.recv(1) == b""
        self.socket.close()


@pytest.mark.parametrize(("to", "ns", "condition"), [
    ("unknown.example", "jabber:component:accept", b"host-unknown"),
    (DOMAIN, "jabber:component:accept", b"host-unknown"),
    (f"somebody@{ECHO}", "jabber:component:accept", b"host-unknown"),
    ("", "jabber:component:accept", b"host-unknown"),
    (ECHO, "jabber:client", b"invalid-namespace"),
    (ECHO, "jabber:server", b"invalid-namespace"),
])
def test_headers_that_are_refused(daemon: Daemon, to: str, ns: str, condition: bytes) -> None:
    """With an error that says what is wrong."""
    Raw(daemon, to, ns).refused(condition)


@pytest.mark.parametrize("first", [
    "<handshake>0</handshake>", "<handshake/>", "<handshake>é</handshake>", "<handshake><x/></handshake>",
    f"<message from='{ECHO}' to='{PAT}'><body>let me in</body></message>", "<a xmlns='b'/>",
])
def test_who_does_not_know_the_secret(daemon: Daemon, first: str) -> None:
    """Is not authorized, whatever is said in place of the right handshake."""
    raw = Raw(daemon)
    raw.until(b"<stream:stream")
    raw.send(first)
    raw.refused(b"not-authorized")


def test_streams_that_go_wrong(daemon: Daemon) -> None:
    """One component a domain; nobody sends as somebody else; what is no address is said to the component alone."""
    first = Raw(daemon).shake()
    first.until(b"<handshake/>")
    Raw(daemon).shake().refused(b"conflict")
    first.send(f"<message from='{ECHO}' to='a@b@c' id='m1'><body>x</body></message>")
    assert b"jid-malformed" in first.until(b"<message[^>]*type=.error.*?</message>")[0]
    first.send(f"<message from='{ECHO}' to='nobody@{DOMAIN}' id='m2'><body>x</body></message>")
    assert b"service-unavailable" in first.until(b"<message[^>]*type=.error.*?</message>")[0]
    first.send(f"<message from='{PAT}' to='{PAT}'><body>I am not Pat</body></message>")
    first.refused(b"invalid-from")
    for xml, condition in (
        (f"<message to='{PAT}'><body>from nobody</body></message>", b"improper-addressing"),
        ("<handshake/>", b"policy-violation"),
        ("<message><!-- --></message>", b"restricted-xml"),
        ("<message", b""),
    ):
        raw = Raw(daemon).shake()
        raw.until(b"<handshake/>")
        raw.send(xml)
        if condition:
            raw.refused(condition)
        raw.socket.close()


def test_many_that_say_nothing(daemon: Daemon) -> None:
    """Find the door closed; the component still comes in when they are gone."""
    crowd = [Raw(daemon) for _ in range(10)]
    Raw(daemon).refused(b"policy-violation")
    for raw in crowd:
        raw.socket.close()
    for _ in range(200):                # until the daemon has seen that they are gone
        raw = Raw(daemon)
        try:
            raw.shake().until(b"<handshake/>")
            break
        except (AssertionError, OSError):
            raw.socket.close()
    else:
        raise AssertionError("nobody is let in any more")
    raw.socket.close()
