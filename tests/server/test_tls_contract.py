"""The names of pyOpenSSL and Twisted that the transport and the reactor lean on although nobody promised them.

If one of these tests fails after an upgrade, the daemon still works: without the lean connection or the lean reactor,
or, for the third list, not without a look at tls.py.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet import abstract, epollreactor, posixbase, tcp

from chatd.server import openssl, reactor


def test_the_lean_connection_is_in_use():
    assert openssl.lean_contract() == []
    assert openssl.Connection is openssl.LeanConnection is not None


@pytest.mark.parametrize("name", ["SSL_read", "SSL_write", "SSL_get_error", "SSL_ERROR_WANT_READ"])
def test_names_of_the_openssl_binding(name, monkeypatch):
    class Less:
        def __getattr__(self, other):
            if other == name:
                raise AttributeError(other)
            return getattr(whole, other)

    whole = getattr(SSL, "_lib")  # noqa: B009  (mypy does not know it)
    monkeypatch.setattr(SSL, "_lib", Less())
    assert [missing for missing in openssl.lean_contract() if missing.endswith(name)]


@pytest.mark.parametrize(("owner", "name"), [(SSL, "_lib"), (SSL, "_ffi"), (SSL.Connection, "_raise_ssl_error")])
def test_names_of_pyopenssl(owner, name, monkeypatch):
    monkeypatch.delattr(owner, name)
    assert openssl.lean_contract()


def test_pyopenssl_keeps_the_connection_and_socket_where_we_look():
    source = inspect.getsource(SSL.Connection.__init__)
    assert "self._ssl = " in source
    assert "self._socket = socket" in source


def test_the_extended_master_secret_can_be_asked_for():
    assert hasattr(getattr(SSL, "_lib"), "SSL_get_extms_support")  # noqa: B009


def test_without_that_the_answer_is_no(monkeypatch):
    class Old:
        def get_protocol_version(self):
            return SSL.TLS1_2_VERSION

    monkeypatch.setattr(SSL, "_lib", object())
    old: Any = Old()
    assert openssl.channel_binding(old, "tls-exporter", False) is None


def test_a_typing_error_is_no_system_call():
    connection = openssl.SocketConnection(SSL.Context(SSL.TLS_METHOD), None)
    with pytest.raises(AttributeError):
        connection.receive(1)


def test_names_of_twisteds_connections():
    """Overridden or called by SocketTLS; all of them old, none of them promised."""
    for owner, names in {
        abstract.FileDescriptor: (
            "_maybePauseProducer", "_postLoseConnection", "_closeWriteConnection", "_writeDisconnected",
            "_writeDisconnecting", "dataBuffer", "offset", "SEND_LIMIT", "bufferSize",
            "producer", "producerPaused", "streamingProducer",
        ),
        tcp.Connection: ("_closeSocket", "_aborting", "TLS"),
        tcp.Port: ("_getLogPrefix", "doRead"),
        tcp.Connector: ("_makeTransport",),
    }.items():
        for name in names:
            assert hasattr(owner, name), f"{owner.__name__}.{name}"
    assert tcp.Connection.TLS is False  # else Twisted would hand every write to its own TLS
    made = abstract.FileDescriptor.__init__.__code__.co_names
    assert {"_tempDataBuffer", "_tempDataLen"} <= set(made)
    assert "numberAccepts" in tcp.Port.doRead.__code__.co_names


# -- the reactor

def test_the_lean_reactor_can_be_used():
    assert reactor.lean_contract() == []


@pytest.mark.parametrize(
    ("owner", "name"), [(posixbase._PollLikeMixin, "_doReadOrWrite"), (epollreactor.EPollReactor, "doPoll")]
)
def test_names_of_twisteds_reactor(owner, name, monkeypatch):
    monkeypatch.delattr(owner, name)
    assert reactor.lean_contract()


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    ).stdout.strip()


def test_it_is_installed_where_there_is_none():
    code = """
from chatd.server.reactor import install
print(install(), install())
from twisted.internet import reactor
print(type(reactor).__name__)
reactor.callLater(0, lambda: (reactor.callFromThread(print, "ran"), reactor.callLater(0.01, reactor.stop)))
reactor.run()
"""
    assert run(code).split() == ["True", "True", "TurnReactor", "ran"]


def test_another_that_is_there_stays():
    assert run("""
from twisted.internet import reactor
from chatd.server.reactor import install
print(install())
""") == "False"


def test_without_the_contract_twisteds_own_is_used():
    assert run("""
from twisted.internet import posixbase
from chatd.server import reactor
del posixbase._PollLikeMixin._doReadOrWrite
print(reactor.install(), reactor.lean_contract())
from twisted.internet import reactor as r
print(type(r).__name__)
""").split() == ["False", "['_PollLikeMixin._doReadOrWrite']", "EPollReactor"]


@pytest.mark.parametrize("where", ["event", "timed call", "thread"])
def test_what_is_written_leaves_before_the_reactor_waits(where):
    """Whoever writes; a flush that is forgotten would wait for the next event, here 20 seconds."""
    code = f"""
import socket, time
from chatd.server.reactor import install
assert install()
from twisted.internet import reactor, protocol
from chatd.server.port import TLSPort
class P(protocol.Protocol):
    def dataReceived(self, data):
        if {where!r} == "event": self.transport.write(b"x")
        elif {where!r} == "timed call": reactor.callLater(0.01, self.transport.write, b"x")
        else: reactor.callInThread(reactor.callFromThread, self.transport.write, b"x")
port = TLSPort(0, protocol.Factory.forProtocol(P), None, "127.0.0.1", reactor)
port.startListening()
def client():
    s = socket.create_connection(("127.0.0.1", port.getHost().port)); s.settimeout(5)
    s.sendall(b"a"); print(s.recv(1)); reactor.callFromThread(reactor.stop)
reactor.callInThread(client)
reactor.callLater(20, reactor.stop)
reactor.run()
"""
    assert run(code) == "b'x'"


def test_what_a_flush_leads_to_is_flushed_without_waiting():
    """A producer that is asked for more in each flush, as twisted.web's for files may be."""
    code = """
import socket
from chatd.server.reactor import install
assert install()
from twisted.internet import reactor, protocol
from chatd.server.port import TLSPort
class P(protocol.Protocol):
    left = 50
    def connectionMade(self): self.transport.registerProducer(self, False)
    def resumeProducing(self):
        self.left -= 1
        self.transport.write(b"x")
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()
    def stopProducing(self): pass
port = TLSPort(0, protocol.Factory.forProtocol(P), None, "127.0.0.1", reactor)
port.startListening()
def client():
    s = socket.create_connection(("127.0.0.1", port.getHost().port)); s.settimeout(5)
    n = 0
    while data := s.recv(100): n += len(data)
    print(n); s.close(); reactor.callFromThread(reactor.stop)
reactor.callInThread(client)
reactor.callLater(20, reactor.stop)
reactor.run()
"""
    assert run(code) == "50"


def test_a_protocol_that_raises_at_its_end_hurts_no_other():
    code = """
import socket
from chatd.server.reactor import install
assert install()
from twisted.internet import reactor, protocol
from chatd.server.port import TLSPort
class P(protocol.Protocol):
    def dataReceived(self, data): self.transport.write(data)
    def connectionLost(self, reason): raise ZeroDivisionError
port = TLSPort(0, protocol.Factory.forProtocol(P), None, "127.0.0.1", reactor)
port.startListening()
def client():
    for _ in range(3):
        s = socket.create_connection(("127.0.0.1", port.getHost().port)); s.settimeout(5)
        s.sendall(b"a"); print(s.recv(1)); s.close()
    reactor.callFromThread(reactor.stop)
reactor.callInThread(client)
reactor.run()
"""
    assert run(code).split() == ["b'a'"] * 3
