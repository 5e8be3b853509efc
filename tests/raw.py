"""A client that is nothing but a socket, TLS and hand-made XML, for tests that say exactly which bytes travel.

Every wait has a time limit, and one thread may write while another reads.  `Raw` speaks TCP, `RawWebSocket` RFC 7395;
both log in by PLAIN and read first-level elements as ElementTree elements, with tags as it writes them
("{jabber:client}message").
"""

from __future__ import annotations

import base64
import itertools
import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from chatd.core import ns
from tests.daemon import DOMAIN, HOST, PASSWORD, Daemon

PATIENCE_S = 20.0
HEADER = f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAMS}' to={{to}} version='1.0'>"
CLIENT, STREAMS, ERRORS, STANZAS, SASL, SASL2, SM = (
    "{%s}" % name for name in (ns.CLIENT, ns.STREAMS, ns.STREAM_ERRORS, ns.STANZAS, ns.SASL, ns.SASL2, ns.SM))

T = TypeVar("T")

_serial = itertools.count(1)
_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_tls.check_hostname = False
_tls.verify_mode = ssl.CERT_NONE        # who is at the other end is not what these tests are about


class Cut(Exception):
    """The connection is over: ended by the peer, reset, or never made."""


def fresh(word: str = "x") -> str:
    """A text that no other call gives."""
    return f"{word}{next(_serial)}"


class Raw:
    """A connection to a daemon.

    port: a name of tests.daemon.PORTS; "c2s_tls" and "https" begin with TLS.  source: the address the client comes
    from, any of 127.0.0.0/8.  via: another address to connect to, such as a relay's.
    """

    def __init__(self, daemon: Daemon, port: str = "c2s", *, source: str = "127.0.0.1",
                 via: tuple[str, int] | None = None, timeout_s: float = PATIENCE_S, receive_bytes: int = 0) -> None:
        self.jid = ""
        self.handled = 0                # stanzas of the server: the h of XEP-0198
        self.is_over = False            # the server has ended its stream
        self.timeout_s = timeout_s
        self._lock = threading.Lock()   # OpenSSL's state is not for two threads at once
        self.sock = socket.socket()
        try:
            self.sock.settimeout(timeout_s)
            if receive_bytes:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.sock.bind((source, 0))
            self.sock.connect(via or ("127.0.0.1", daemon.ports[port]))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.setblocking(False)
            if port in ("c2s_tls", "https"):
                self.secure()
        except OSError as error:
            self.sock.close()
            raise Cut(f"not connected: {error}") from None
        self._restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- bytes
    def secure(self, context: ssl.SSLContext = _tls, name: str = DOMAIN) -> None:
        """The TLS handshake, now."""
        try:
            self.sock.settimeout(self.timeout_s)
            self.sock = context.wrap_socket(self.sock, server_hostname=name)
            self.sock.setblocking(False)
        except OSError as error:
            raise Cut(f"no TLS: {error}") from None

    def put(self, data: bytes) -> None:
        """Sends bytes as they are; raises TimeoutError where nobody takes them."""
        rest = memoryview(data)
        while rest:
            sent = self._try(self.sock.send, rest[:16384])
            if sent is None:
                self._wait(writes=True)
            else:
                rest = rest[sent:]

    def get(self) -> bytes:
        """Some bytes; raises Cut at the end, TimeoutError where nothing comes in time."""
        while (data := self._try(self.sock.recv, 65536)) is None:
            self._wait(writes=False)
        if not data:
            raise Cut("the server has closed the connection")
        return data

    def _try(self, call: Callable[[Any], T], argument: object) -> T | None:
        """None where the socket is not ready."""
        try:
            with self._lock:
                return call(argument)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise Cut(f"{type(error).__name__}: {error}") from None

    def _wait(self, writes: bool) -> None:
        try:
            ready = select.select([] if writes else [self.sock], [self.sock] if writes else [], [], self.timeout_s)
        except (OSError, ValueError) as error:
            raise Cut(f"closed meanwhile: {error}") from None
        if not any(ready):
            raise TimeoutError(f"nothing {'taken' if writes else 'received'} for {self.timeout_s} s")

    def close(self) -> None:
        """Closes the socket without a word."""
        self.sock.close()

    def reset(self) -> None:
        """Closes it so that the server sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- elements
    def _restart(self) -> None:
        self._parser = ET.XMLPullParser(("start", "end"))
        self._depth = 0
        self._root: ET.Element | None = None
        self._elements: list[ET.Element] = []

    def send(self, xml: str | bytes) -> None:
        """Sends a first-level element, or what pretends to be one."""
        self.put(xml.encode() if isinstance(xml, str) else xml)

    def read(self) -> ET.Element:
        """The next first-level element; raises Cut where there is none any more."""
        while not self._elements:
            if self.is_over:
                raise Cut("the server has ended the stream")
            self._take(self.get())
        element = self._elements.pop(0)
        if element.tag in (CLIENT + "message", CLIENT + "presence", CLIENT + "iq"):
            self.handled += 1
        return element

    def _take(self, data: bytes) -> None:
        self._parser.feed(data)
        events: Any = self._parser.read_events()
        for event, element in events:
            if event == "start":
                self._depth += 1
                if self._depth == 1:
                    self._root = element
            else:
                self._depth -= 1
                if self._depth == 1:
                    assert self._root is not None
                    self._root.clear()
                    self._elements.append(element)
                elif self._depth == 0:
                    self.is_over = True

    @property
    def waiting(self) -> int:
        """Elements that have come and were not read."""
        return len(self._elements)

    def until(self, *tags: str, **attributes: str) -> ET.Element:
        """The next element with one of these tags (of jabber:client where no namespace is given) and attributes.

        What comes before it is dropped; a stream error is an AssertionError unless it is what is waited for.
        """
        wanted = [tag if tag.startswith("{") else CLIENT + tag for tag in tags]
        while True:
            element = self.read()
            if element.tag in wanted and attributes.items() <= element.attrib.items():
                return element
            assert element.tag != STREAMS + "error", ET.tostring(element).decode()

    # -- a stream
    def header(self, to: str = DOMAIN) -> str:
        """What begins a stream."""
        return HEADER.format(to=quoteattr(to))

    def open(self, to: str = DOMAIN) -> ET.Element:
        """Begins a stream; gives the features."""
        self._restart()
        self.send(self.header(to))
        return self.until(STREAMS + "features")

    def starttls(self) -> None:
        """RFC 6120 5; the stream has been opened."""
        self.send(f"<starttls xmlns='{ns.TLS}'/>")
        self.until("{%s}proceed" % ns.TLS)
        self.secure()

    def auth(self, address: str, password: str = PASSWORD) -> ET.Element:
        """SASL PLAIN; <success/> or <failure/>."""
        self.send(plain(address, password))
        return self.until(SASL + "success", SASL + "failure")

    def authenticate(self, address: str, password: str = PASSWORD) -> ET.Element:
        """From the connection to the features behind the log-in."""
        domain = address.partition("@")[2]
        self.open(domain)
        if not isinstance(self.sock, ssl.SSLSocket):
            self.starttls()
            self.open(domain)
        answer = self.auth(address, password)
        assert answer.tag == SASL + "success", ET.tostring(answer).decode()
        return self.open(domain)

    def authenticate2(self, address: str, more: str = "", password: str = PASSWORD, *, mechanism: str = "PLAIN",
                      initial: bytes | None = None) -> ET.Element:
        """From the connection to the <success/> or <failure/> of XEP-0388, the features behind it read too. more: what
        is asked for along with it, the user agent included."""
        domain = address.partition("@")[2]
        self.open(domain)
        if isinstance(self.sock, socket.socket) and not isinstance(self.sock, ssl.SSLSocket):
            self.starttls()
            self.open(domain)
        said = base64.b64encode(initial or f"\0{address}\0{password}".encode()).decode()
        self.send(f"<authenticate xmlns='{ns.SASL2}' mechanism='{mechanism}'><initial-response>{said}"
                  f"</initial-response>{more}</authenticate>")
        answer = self.until(SASL2 + "success", SASL2 + "failure")
        if answer.tag == SASL2 + "success":
            jid = answer.findtext(SASL2 + "authorization-identifier") or ""
            self.jid = jid if "/" in jid else ""
            self.until(STREAMS + "features")
        return answer

    def bind(self, resource: str = "") -> ET.Element:
        """The answer to a bind request."""
        wanted = f"<resource>{resource}</resource>" if resource else ""
        answer = self.ask("set", f"<bind xmlns='{ns.BIND}'>{wanted}</bind>")
        jid = answer.find("{%s}bind/{%s}jid" % (ns.BIND, ns.BIND))
        self.jid = jid.text or "" if jid is not None else ""
        return answer

    def login(self, address: str, password: str = PASSWORD, resource: str = "", presence: bool = True) -> Self:
        """All of it; with presence the account is available when this returns."""
        self.authenticate(address, password)
        assert self.bind(resource).get("type") == "result"
        if presence:
            self.send("<presence/>")
            self.until("presence", **{"from": self.jid})
        return self

    def ask(self, kind: str, payload: str, to: str = "") -> ET.Element:
        """An iq; its answer."""
        number = fresh("iq")
        target = f" to={quoteattr(to)}" if to else ""
        self.send(f"<iq xmlns='{ns.CLIENT}' type='{kind}' id='{number}'{target}>{payload}</iq>")
        return self.until("iq", id=number)

    def ping(self) -> ET.Element:
        """XEP-0199 of the domain: behind it everything sent before has been worked off."""
        return self.ask("get", f"<ping xmlns='{ns.PING}'/>", to=self.jid.partition("@")[2].partition("/")[0])

    def message(self, to: str, body: str, id: str = "") -> None:
        """A chat message."""
        self.send(chat(to, body, id))

    def body(self) -> str:
        """The body of the next message that has one."""
        while True:
            body = self.until("message").findtext(CLIENT + "body")
            if body is not None:
                return body

    # -- XEP-0198
    def enable(self) -> str:
        """Stream management, to be resumed; its SM-ID."""
        self.send(f"<enable xmlns='{ns.SM}' resume='true'/>")
        answer = self.until(SM + "enabled", SM + "failed")
        assert answer.tag == SM + "enabled", ET.tostring(answer).decode()
        self.handled = 0
        return answer.attrib["id"]

    def request(self) -> None:
        """<r/>."""
        self.send(f"<r xmlns='{ns.SM}'/>")

    def acknowledge(self) -> None:
        """<a/> for everything read."""
        self.send(f"<a xmlns='{ns.SM}' h='{self.handled}'/>")

    # -- ends
    def stream_error(self) -> str:
        """The condition of the stream error that comes next, after which server and connection must end; what comes
        before it is dropped."""
        while True:
            element = self.read()
            if element.tag == STREAMS + "error":
                break
        condition = element[0].tag.removeprefix(ERRORS)
        self.ended()
        return condition

    def ended(self) -> None:
        """Waits for the end of the server's stream and of the connection."""
        try:
            while True:
                self._take(self.get())
        except Cut:
            pass
        assert self.is_over, "the connection ended without </stream:stream>"


class RawWebSocket(Raw):
    """RFC 7395, by hand; `frame` sends any frame."""

    def __init__(self, daemon: Daemon, port: str = "https", **options: Any) -> None:
        super().__init__(daemon, port, **options)
        self._input = b""
        self.put(handshake())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.get()
        head, _, self._input = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Cut(head.decode())

    def frame(self, payload: bytes, opcode: int = 1, *, final: bool = True, masked: bool = True, bits: int = 0,
              length: int | None = None) -> None:
        """One frame (RFC 6455 5.2); length: what it claims to be."""
        size = len(payload) if length is None else length
        first = opcode | (0x80 if final else 0) | bits
        flag = 0x80 if masked else 0
        if size < 126:
            head = struct.pack("!BB", first, flag | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", first, flag | 126, size)
        else:
            head = struct.pack("!BBQ", first, flag | 127, size)
        if masked:
            mask = os.urandom(4)
            key = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)])
            payload = mask + (int.from_bytes(payload) ^ key).to_bytes(len(payload))
        self.put(head + payload)

    def next_frame(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and payload; raises Cut."""
        head = self._exactly(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8))
        return head[0] & 0x0F, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        while len(self._input) < size:
            self._input += self.get()
        data, self._input = self._input[:size], self._input[size:]
        return data

    def header(self, to: str = DOMAIN) -> str:
        """<open/>."""
        return f"<open xmlns='{ns.FRAMING}' to={quoteattr(to)} version='1.0'/>"

    def send(self, xml: str | bytes) -> None:
        """One element in one text frame; the namespace is added where it is jabber:client's."""
        data = xml.encode() if isinstance(xml, str) else xml
        for name in (b"<message", b"<presence", b"<iq"):
            if data.startswith(name) and b" xmlns=" not in data.partition(b">")[0]:
                data = name + b" xmlns='jabber:client'" + data[len(name):]
        self.frame(data)

    def read(self) -> ET.Element:
        """See Raw."""
        while True:
            opcode, payload = self.next_frame()
            if opcode == 9:
                self.frame(payload, 10)
            elif opcode == 8:
                raise Cut(f"closed: {payload!r}")
            elif opcode == 1:
                element = ET.fromstring(payload)
                if element.tag == "{%s}close" % ns.FRAMING:
                    self.is_over = True
                    self.frame(b"<close xmlns='%b'/>" % ns.FRAMING.encode())
                    continue
                if element.tag in (CLIENT + "message", CLIENT + "presence", CLIENT + "iq"):
                    self.handled += 1
                return element

    def authenticate(self, address: str, password: str = PASSWORD) -> ET.Element:
        """See Raw; TLS is below, or a proxy has it."""
        domain = address.partition("@")[2]
        self.open(domain)
        answer = self.auth(address, password)
        assert answer.tag == SASL + "success", ET.tostring(answer).decode()
        return self.open(domain)

    def ended(self) -> None:
        """Waits for <close/> and the end of the connection."""
        try:
            while True:
                self.read()
        except Cut:
            pass
        assert self.is_over, "the connection ended without <close/>"


def handshake(path: str = "/xmpp-websocket", **headers: str) -> bytes:
    """A WebSocket handshake (RFC 6455 4.1); headers replace or add, "" leaves out; `_` stands for `-`."""
    lines = {"Host": HOST, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Protocol": "xmpp"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"GET {path} HTTP/1.1\r\n{text}\r\n".encode()


def plain(address: str, password: str = PASSWORD) -> str:
    """<auth/> with SASL PLAIN (RFC 4616)."""
    initial = base64.b64encode(b"\0%b\0%b" % (address.encode(), password.encode())).decode()
    return f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{initial}</auth>"


def chat(to: str, body: str, id: str = "") -> str:
    """A chat message; the body is XML already."""
    return f"<message to='{to}' type='chat'{f' id={quoteattr(id)}' if id else ''}><body>{body}</body></message>"


def condition(stanza: ET.Element) -> str:
    """The condition of a stanza error, or of a SASL or SM failure; "" where it is none."""
    if stanza.tag in (SASL + "failure", SM + "failed"):
        return stanza[0].tag.rpartition("}")[2]
    error = stanza.find(CLIENT + "error")
    if error is None:
        return ""
    return next((child.tag.removeprefix(STANZAS) for child in error if child.tag.startswith(STANZAS)), "")
