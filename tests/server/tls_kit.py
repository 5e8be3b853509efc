"""Certificates, server protocols and blocking clients for the tests of the TLS transport.

Clients are of other makes than the server: Python's ssl module (Debian's OpenSSL) and, for what it cannot do, the same
library through ctypes. They block, so they run in a thread: `await in_thread(function)`.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import datetime
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from chatd.server.certificates import C2S, Certificates
from chatd.server.port import TLSPort

TIMEOUT_S = 10.0
in_thread = deferToThread


@attrs.frozen
class Pem:
    """A domain as the settings have it."""

    name: str
    certificate: Path
    key: Path


def make_certificate(
    folder: Path, name: str, *names: str, kind: str = "ec", passphrase: bytes | None = None, file: str = ""
) -> Pem:
    """Write a self-signed certificate for `name` (valid for `names`, default: itself) and its key."""
    key: Any = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names or (name,)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = Pem(name, folder / f"{file or name}.pem", folder / f"{file or name}.key")
    pem.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    locked: Any = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    return pem


@pytest.fixture(scope="session")
def pem(tmp_path_factory) -> Pem:
    """The certificate of localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture(scope="session")
def contexts(pem) -> Any:
    """Contexts of a port for XMPP clients."""
    return Certificates("localhost", [pem]).contexts(C2S)


class Served(Protocol):
    """Keeps what happens to it, and tells whoever waits for its end."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.received = bytearray()
        self.lost: Deferred[Any] = Deferred()
        self.made: Deferred[Any] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.events.append(reason.type.__name__)
        self.lost.callback(reason.type.__name__)


class Echo(Served):
    """Answers a few commands, else sends back what it gets."""

    context: Any = None  # for STARTTLS

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data == b"STARTTLS\n":
            self.transport.write(b"GO\n")
            self.transport.startTLS(self.context)
        elif data == b"BYE\n":
            self.transport.write(b"x" * 1000000)
            self.transport.loseConnection()
        elif data == b"HALF\n":
            self.transport.write(b"last\n")
            self.transport.loseWriteConnection()
        else:
            self.transport.write(data)


class Served1(Factory):
    """Builds `protocol` and keeps what it built."""

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.built: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.built.append(super().buildProtocol(addr))
        return self.built[-1]


@contextlib.contextmanager
def listening(protocol: Any, context: Any = None, times: Any = None) -> Iterator[Any]:
    """Listen on a free port of 127.0.0.1 with a factory for `protocol`; `.number` and `.built` of what it gives."""
    factory = Served1(protocol)
    port: Any = TLSPort(0, factory, context, "127.0.0.1", reactor, times)
    port.startListening()
    port.number, port.built = port.getHost().port, factory.built
    try:
        yield port
    finally:
        port.stopListening()
        for built in factory.built:
            if built.transport is not None:
                built.transport.abortConnection()


# -- clients; all of them block

def tcp(number: int, receive_buffer: int = 0) -> socket.socket:
    s = socket.socket()
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    s.settimeout(TIMEOUT_S)
    s.connect(("127.0.0.1", number))
    return s


def client_context(version: Any = None, alpn: tuple[str, ...] = ("xmpp-client",)) -> ssl.SSLContext:
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if alpn:
        c.set_alpn_protocols(list(alpn))
    if version:
        c.maximum_version = version
    return c


def tls(number: int, version: Any = None, name: str = "localhost", alpn: tuple[str, ...] = ("xmpp-client",)) -> Any:
    return client_context(version, alpn).wrap_socket(tcp(number), server_hostname=name, suppress_ragged_eofs=False)


def exactly(s: Any, size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        data = s.recv(65536)
        assert data, f"ended after {len(out)} of {size} bytes"
        out += data
    return bytes(out)


def until_end(s: Any) -> bytes:
    """Read to the peer's close_notify; ssl.SSLError or OSError if it ends in another way."""
    out = bytearray()
    while data := s.recv(65536):
        out += data
    return bytes(out)


def reset(s: socket.socket) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def exchange(s: Any, data: bytes) -> bytes:
    """Send and receive at the same time, so that no buffer between us and an echo fills up.

    In one thread, because an SSLSocket must not be used in two at once.
    """
    out, rest = bytearray(), memoryview(data)
    end = time.monotonic() + TIMEOUT_S
    s.setblocking(False)
    while len(out) < len(data):
        assert time.monotonic() < end, f"{len(out)} of {len(data)} bytes came back"
        writers = [s] if rest else []
        select.select([s], writers, [], 1)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if rest:
                rest = rest[s.send(rest[:16384]):]
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while piece := s.recv(65536):
                out += piece
            raise AssertionError("ended early")
    s.settimeout(TIMEOUT_S)
    return bytes(out)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class LibSSL:
    """A client by Debian's libssl itself: for key updates and small records, which no Python module offers."""

    def __init__(self, number: int, fragment: int = 0, receive_buffer: int = 0) -> None:
        """`fragment`: 1 to 4 asks for records of at most 512, 1024, 2048 or 4096 bytes (RFC 6066 4)."""
        name = ctypes.util.find_library("ssl")
        if name is None:
            pytest.skip("libssl of the system is needed")
        self._lib = lib = ctypes.CDLL(name)
        for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(lib, function).restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        if fragment:
            assert lib.SSL_CTX_set_tlsext_max_fragment_length(self._context, ctypes.c_uint8(fragment)) == 1
        self._socket = tcp(number, receive_buffer)
        # A timeout would make the descriptor non-blocking, which this client is not made for.
        self._socket.settimeout(None)
        limit = struct.pack("ll", int(TIMEOUT_S), 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._ssl = ctypes.c_void_p(lib.SSL_new(self._context))
        lib.SSL_set_fd(self._ssl, self._socket.fileno())
        assert lib.SSL_connect(self._ssl) == 1

    def send(self, data: bytes) -> bool:
        return self._lib.SSL_write(self._ssl, data, len(data)) == len(data)

    def receive(self, size: int) -> bytes:
        out, room = b"", ctypes.create_string_buffer(65536)
        while len(out) < size:
            n = self._lib.SSL_read(self._ssl, room, 65536)
            assert n > 0, f"ended after {len(out)} of {size} bytes"
            out += room.raw[:n]
        return out

    def key_update(self, answer: bool = False) -> bool:
        """Change our sending key; `answer` asks the peer to change its own too. False if the connection is cut."""
        done = self._lib.SSL_key_update(self._ssl, int(answer)) == 1 and self._lib.SSL_do_handshake(self._ssl) == 1
        return bool(done)

    def close(self) -> None:
        self._lib.SSL_free(self._ssl)
        self._lib.SSL_CTX_free(self._context)
        self._socket.close()
