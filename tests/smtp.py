"""A mail server that takes what Webmail sends and puts it into the inboxes of its people; on a free port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.mail import smtp
from zope.interface import implementer

listener: Any = reactor


@implementer(smtp.IMessage)
class _Message:
    def __init__(self, put: Callable[[str, bytes], None], to: str) -> None:
        self._put = put
        self._to = to
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self._lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        return deferToThread(self._put, self._to, b"\n".join(self._lines) + b"\n")

    def connectionLost(self) -> None:
        self._lines.clear()


@implementer(smtp.IMessageDelivery)
class _Delivery:
    def __init__(self, put: Callable[[str, bytes], None]) -> None:
        self._put = put

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b"Received: by post.example"

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        return origin

    def validateTo(self, user: Any) -> Callable[[], _Message]:
        return lambda: _Message(self._put, str(user.dest))


class PostOffice:
    """put: what becomes of a message, called in a thread with the address of each that it is for. `port` is where."""

    def __init__(self, put: Callable[[str, bytes], None]) -> None:
        factory = smtp.SMTPFactory()
        factory.protocol = smtp.ESMTP
        factory.buildProtocol = self._protocol  # type: ignore[method-assign]
        self._put = put
        self._listening = listener.listenTCP(0, factory, interface="127.0.0.1")
        self.port: int = self._listening.getHost().port

    def _protocol(self, _address: Any) -> smtp.ESMTP:
        made = smtp.ESMTP()
        made.delivery = _Delivery(self._put)
        return made

    def stop(self) -> None:
        self._listening.stopListening()
