"""pyOpenSSL as the TLS transport uses it: a connection over a socket, and what it says about itself.

`SocketConnection` is public pyOpenSSL only. `LeanConnection` saves a tenth of the cost of a message through
private names; `lean_contract()` lists what of them is missing, and if anything is, `Connection` is the plain one.
tests/server/test_tls_contract.py names each of them.
"""

from __future__ import annotations

import hashlib
from fcntl import ioctl
from termios import FIONREAD
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

#: The most plain text one TLS record carries (RFC 8446 5.1). A read never asks for less, so nothing readable is
#: ever left inside OpenSSL, where no poll of the socket would find it.
RECORD = 16384

#: RFC 9266 4: label and length of tls-exporter.
EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
EXPORTER_BYTES = 32

_NOTHING = bytes(4)


class SocketConnection(SSL.Connection):
    """A TLS connection that reads and writes a non-blocking socket itself."""

    _socket: Any

    #: What following the peer's certificate chain found, where it was asked for one (s2s/trust.py).
    chain_checked = False
    chain_fault = 0

    def __getattr__(self, name: str) -> Any:
        # pyOpenSSL would look for it on the socket: a typing error would become a system call.
        raise AttributeError(name)

    def recv_more(self) -> bytes:
        """Read the next record of a burst; b"" if there is none now. Other outcomes raise as `recv` does."""
        # Asking the kernel costs half of what the exception does.
        if ioctl(self._socket.fileno(), FIONREAD, _NOTHING) == _NOTHING:
            return b""
        return self.recv(RECORD)


def lean_contract() -> list[str]:
    """Name each private thing `LeanConnection` needs that this pyOpenSSL does not have."""
    wanted: list[tuple[Any, str]] = [
        (SSL, "_lib"), (SSL, "_ffi"), (SSL.Connection, "_raise_ssl_error"),
    ]
    lib, ffi = getattr(SSL, "_lib", None), getattr(SSL, "_ffi", None)
    wanted += [(lib, name) for name in ("SSL_read", "SSL_write", "SSL_get_error", "SSL_ERROR_WANT_READ")]
    wanted += [(ffi, name) for name in ("new", "buffer", "from_buffer")]
    return [f"{getattr(owner, '__name__', owner)}.{name}" for owner, name in wanted if not hasattr(owner, name)]


def _lean_connection() -> type[SocketConnection]:
    binding: Any = SSL
    lib, ffi = binding._lib, binding._ffi
    ssl_read, ssl_write, ssl_get_error = lib.SSL_read, lib.SSL_write, lib.SSL_get_error
    want_read, buffer, from_buffer = lib.SSL_ERROR_WANT_READ, ffi.buffer, ffi.from_buffer
    # One room for all reads: its content is copied out at once, and only the reactor's thread reads.
    room = ffi.new("char[]", RECORD)

    class LeanConnection(SocketConnection):
        """Reads into one shared buffer and asks for the error only when there is one."""

        def recv(self, size: int, flags: int | None = None) -> bytes:
            n = ssl_read(self._ssl, room, RECORD)
            if n > 0:
                return buffer(room, n)[:]
            self._failed(n)

        def recv_more(self) -> bytes:
            n = ssl_read(self._ssl, room, RECORD)
            if n > 0:
                return buffer(room, n)[:]
            if ssl_get_error(self._ssl, n) == want_read:
                return b""
            self._failed(n)

        def send(self, data: Any, flags: int = 0) -> int:
            n = ssl_write(self._ssl, data if type(data) is bytes else from_buffer(data), len(data))
            if n > 0:
                return n
            self._failed(n)

        def _failed(self, result: int) -> NoReturn:
            self._raise_ssl_error(self._ssl, result)
            raise SSL.SysCallError(-1, "no error named by OpenSSL")

    return LeanConnection


#: None if pyOpenSSL does not keep the contract.
LeanConnection: type[SocketConnection] | None = None if lean_contract() else _lean_connection()

#: What the transport uses.
Connection: type[SocketConnection] = LeanConnection or SocketConnection


def channel_binding(connection: SSL.Connection, kind: str, is_client: bool) -> bytes | None:
    """Give the channel binding data of a finished handshake, None where it is not defined or not safe.

    `kind` is "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929 4); of other kinds nothing is known.
    """
    if kind == "tls-exporter":
        if connection.get_protocol_version() < SSL.TLS1_3_VERSION and not _has_extended_master_secret(connection):
            return None  # RFC 9266 2: without it, two connections may share the exporter's secret
        return connection.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES, b"")
    if kind == "tls-server-end-point":
        get = connection.get_peer_certificate if is_client else connection.get_certificate
        certificate = get(as_cryptography=True)
        return None if certificate is None else end_point_hash(certificate)
    return None


def end_point_hash(certificate: x509.Certificate) -> bytes | None:
    """Hash `certificate` for tls-server-end-point; None if its signature names no single hash (RFC 5929 4.1)."""
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest()


def _has_extended_master_secret(connection: SSL.Connection) -> bool:
    # pyOpenSSL has no call of its own for it (RFC 7627); without the private one the safe answer is no.
    ask = getattr(getattr(SSL, "_lib", None), "SSL_get_extms_support", None)
    return ask is not None and ask(connection._ssl) == 1
