"""Twisted's own tests of transports, run against ours; `test_tls_twisted_suite.py` runs this file under trial.

Each class of Twisted's is built for two reactors whose listenTCP, connectTCP, listenSSL and connectSSL make our ports
and connections: the ordinary epoll reactor and our own. Not collected by pytest, because these tests build reactors
and put them in the place of the running one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import epollreactor
from twisted.internet.test import test_tcp, test_tls
from twisted.internet.test.reactormixins import ReactorBuilder

from chatd.server import port as ports
from chatd.server.reactor import TurnReactor
from chatd.server.tls import Times

#: One of Twisted's tests keeps sending to a connection that has ended, for as long as that lingers.
TIMES = Times(linger_s=0.2)

NO_LOG_CONTEXT = "TurnReactor runs events without a logging context, on purpose"

class OurTransports:
    """The four calls of IReactorTCP and IReactorSSL, with chatd's transport."""

    def listenTCP(self, port: Any, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        return self._listen(port, factory, None, backlog, interface)

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> Any:
        return self._listen(port, factory, contextFactory.getContext(), backlog, interface)

    def _listen(self, port: int, factory: Any, context: Any, backlog: int, interface: str) -> Any:
        listening = ports.TLSPort(port, factory, context, interface, self, TIMES, backlog)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        return ports.connect(self, host, port, factory, None, None, timeout, TIMES, bindAddress)

    def connectSSL(
        self, host: str, port: int, factory: Any, contextFactory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        context = contextFactory.getContext()
        return ports.connect(self, host, port, factory, context, None, timeout, TIMES, bindAddress)


class EpollWithOurs(OurTransports, epollreactor.EPollReactor):
    """The ordinary reactor."""


class TurnWithOurs(OurTransports, TurnReactor):
    """Our reactor."""


REACTORS = [f"{__name__}.{cls.__name__}" for cls in (EpollWithOurs, TurnWithOurs)]


def _build(base: type[ReactorBuilder]) -> dict[str, Any]:
    ours: Any = type(f"Our{base.__name__}", (base,), {"_reactors": REACTORS, "__module__": __name__})
    classes: dict[str, Any] = ours.makeTestCaseClasses()
    for name, case in classes.items():
        if "TurnWithOurs" in name and hasattr(case, "test_logPrefix"):
            case.test_logPrefix = _skipped(NO_LOG_CONTEXT)
    return classes


def _skipped(reason: str) -> Any:
    def test(self: Any) -> None:
        """Left out."""

    test.skip = reason  # type: ignore[attr-defined]
    return test


for builder in (
    test_tcp.TCP4ClientTestsBuilder,
    test_tcp.TCP6ClientTestsBuilder,
    test_tcp.TCPPortTestsBuilder,
    test_tcp.TCPConnectionTestsBuilder,
    test_tcp.TCP4ConnectorTestsBuilder,
    test_tcp.TCP6ConnectorTestsBuilder,
    test_tcp.TCPTransportTestsBuilder,
    test_tcp.AbortConnectionTests,
    test_tls.SSLClientTestsMixin,
    test_tls.StartTLSClientTestsMixin,
    test_tls.TLSPortTestsBuilder,
    test_tls.AbortSSLConnectionTests,
):
    globals().update(_build(builder))
del builder
