"""Another server, by hand: `RawServer` connects to a daemon, `RawListener` is where a daemon connects to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from chatd.core import ns
from tests.integration.abroad import HERE, Country
from tests.raw import SASL, Raw

EVIL = "evil.example"
DIALBACK = "{jabber:server:dialback}"
EXTERNAL = f"<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'>=</auth>"


def showing(certificate: Path, key: Path, *, listens: bool = False) -> ssl.SSLContext:
    """A context that shows this certificate and does not look at others'."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if listens else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context


class RawServer(Raw):
    """It connects; own: the domain it says it is."""

    def __init__(self, daemon: Country, context: ssl.SSLContext, port: str = "s2s", own: str = EVIL,
                 **options: Any) -> None:
        self.context = context
        self.own = own
        super().__init__(daemon, port, **options)

    def header(self, to: str = HERE) -> str:
        return (f"<stream:stream xmlns='jabber:server' xmlns:stream='{ns.STREAMS}' xmlns:db='{ns.DIALBACK}' "
                f"from={quoteattr(self.own)} to={quoteattr(to)} version='1.0'>")

    def secured(self, to: str = HERE) -> ET.Element:
        """Up to the features under TLS."""
        self.open(to)
        self.send(f"<starttls xmlns='{ns.TLS}'/>")
        self.until("{%s}proceed" % ns.TLS)
        self.secure(self.context, to)
        return self.open(to)

    def proved(self, to: str = HERE) -> RawServer:
        """By its certificate."""
        self.secured(to)
        self.send(EXTERNAL)
        self.until(SASL + "success")
        self.open(to)
        return self

    def dial(self, own: str, to: str = HERE, key: str = "ab" * 32) -> str:
        """Asks to be believed as `own` by dialback; the answer's type."""
        self.send(f"<db:result from='{own}' to='{to}'>{key}</db:result>")
        return self.until(DIALBACK + "result", **{"from": to, "to": own}).attrib["type"]


class RawListener(threading.Thread):
    """It is connected to, under TLS from the start, and offers dialback alone.

    answer: what it says to a <db:verify/>, of which it gets the element. asked: how many there were.
    """

    def __init__(self, context: ssl.SSLContext, answer: Callable[[ET.Element], str]) -> None:
        super().__init__(daemon=True)
        self.answer = answer
        self.asked = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> RawListener:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ET.ParseError), self._context.wrap_socket(connection, server_side=True) as peer:
            parser, depth = ET.XMLPullParser(("start", "end")), 0
            while data := peer.recv(65536):
                parser.feed(data)
                events: Any = parser.read_events()
                for event, element in events:
                    depth += 1 if event == "start" else -1
                    if event == "start" and depth == 1:
                        to, from_ = element.get("from"), element.get("to")
                        peer.sendall(
                            f"<stream:stream xmlns='jabber:server' xmlns:stream='{ns.STREAMS}' "
                            f"xmlns:db='{ns.DIALBACK}' from='{from_}' to='{to}' id='theirs' version='1.0'>"
                            f"<stream:features><dialback xmlns='{ns.DIALBACK_FEATURES}'/></stream:features>".encode())
                    elif event == "end" and depth == 1 and element.tag == DIALBACK + "verify":
                        self.asked += 1
                        peer.sendall(self.answer(element).encode())
