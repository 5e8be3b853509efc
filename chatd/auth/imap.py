"""Passwords that a mail server knows: one log-in over IMAP (RFC 9051 6.2), and out again.

AUTHENTICATE PLAIN or LOGIN where one is offered, otherwise the command LOGIN with literals, so that a password may hold
anything but a zero byte. A refusal counts as a wrong password only if the server says so: of NO with a code of RFC 5530
that means "not now", of BAD and of BYE nobody's password is said to be wrong.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.mail.imap4 import Command, IMAP4Client, IMAP4Exception
from twisted.python.failure import Failure

from chatd.core.errors import Unavailable
from chatd.outside.tls import Server

__all__ = ["ImapPasswords"]

_NOT_NOW: Final = frozenset({b"UNAVAILABLE", b"SERVERBUG", b"INUSE", b"LIMIT", b"PRIVACYREQUIRED", b"CONTACTADMIN"})
_GOODBYE_S: Final = 2.0
_CODE: Final = re.compile(rb"\[([A-Z-]+)")


class ImapPasswords:
    """Asks one server. reactor: connects; timeout_s: for connecting alone, the asker limits the whole."""

    def __init__(self, server: Server, reactor: Any, timeout_s: float) -> None:
        self.server = server
        self._reactor = reactor
        self._timeout_s = timeout_s

    def check(self, login: str, password: str) -> Deferred[bool]:
        """Does the server take them? Fails where it cannot be said."""
        return Deferred.fromCoroutine(self._check(login.encode(), password.encode()))

    def probe(self) -> Deferred[None]:
        """Fires when the server is ready to be asked, with TLS where it is to be; fails otherwise."""
        return Deferred.fromCoroutine(self._probe())

    async def _check(self, login: bytes, password: bytes) -> bool:
        client = await self._connected()
        try:
            is_right = await self._log_in(client, await client.getCapabilities(), login, password)
        except BaseException:
            client.leave()
            raise
        client.leave(is_polite=True)
        return is_right

    async def _probe(self) -> None:
        (await self._connected()).leave(is_polite=True)

    async def _connected(self) -> _Client:
        factory = Factory.forProtocol(lambda: _Client(self._reactor))
        factory.noisy = False
        client: _Client = await self.server.connect(self._reactor, factory, self._timeout_s)
        try:
            await client.greeted
            if self.server.security == "starttls":
                if b"STARTTLS" not in await client.getCapabilities():
                    raise Unavailable("it offers no STARTTLS")
                await client.startTLS(self.server.options())
        except BaseException:
            client.leave()
            raise
        return client

    async def _log_in(self, client: _Client, offered: dict[bytes, Any], login: bytes, password: bytes) -> bool:
        if client.state == "auth":
            raise Unavailable("it lets in everybody (PREAUTH)")
        if b"PLAIN" in (offered.get(b"AUTH") or ()):
            command = _said(b"AUTHENTICATE", b"PLAIN", client, [b64encode(b"\0".join((b"", login, password)))])
        elif b"LOGIN" in (offered.get(b"AUTH") or ()):
            command = _said(b"AUTHENTICATE", b"LOGIN", client, [b64encode(login), b64encode(password)])
        elif b"LOGINDISABLED" in offered:
            raise Unavailable("it takes no passwords")
        else:
            command = _said(b"LOGIN", b"{%d}" % len(login), client, [login + b" {%d}" % len(password), password])
        try:
            await client.sendCommand(command)
        except IMAP4Exception as refused:
            text = refused.args[0] if refused.args else b""
            code = _CODE.match(text)
            if client.answered != b"NO" or (code is not None and code[1] in _NOT_NOW):
                raise Unavailable(f"it answers {client.answered.decode('latin-1')} {_shown(text)}") from None
            return False
        return True


def _said(name: bytes, first: bytes, client: _Client, lines: list[bytes]) -> Command:
    """A command in several lines: each "+" of the server gets the next one."""

    def go_on(rest: bytes) -> None:
        if not lines:
            raise Unavailable("it asks for more than there is")
        client.sendLine(lines.pop(0))

    return Command(name, first, continuation=go_on)


def _shown(text: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in text.decode("latin-1"))[:200]


class _Client(IMAP4Client):
    """One connection. greeted: the server has said hello. answered: the word of the last answer to a command."""

    answered = b""

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self.clock = clock
        self.greeted: Deferred[None] = Deferred()
        self._hung_up: IDelayedCall | None = None
        self._is_left = False

    def serverGreeting(self, caps: Any) -> None:
        self._greet(None)

    def _greet(self, result: Any) -> None:
        if not self.greeted.called:
            self.greeted.callback(result)

    def lineReceived(self, line: bytes) -> None:
        if line.strip() and not self._is_left:
            super().lineReceived(line)

    def dispatchCommand(self, tag: bytes, rest: bytes) -> None:
        word = rest.split(None, 1)[0].upper() if rest.strip() else b""
        if self.state is None and word not in (b"OK", b"PREAUTH"):
            self._greet(Failure(Unavailable(f"it greets with {_shown(rest)}")))
            self.leave()
            return
        if tag not in (b"*", b"+"):
            self.answered = word
            if b" " not in rest.strip():
                rest = word + b" -"     # a text must follow, but some servers send none
        super().dispatchCommand(tag, rest)

    def _startedTLS(self, result: Any, context: Any) -> Any:
        # What came along in the clear could be anybody's; taken for answers it would let anybody in.
        if self.clearLineBuffer():
            raise Unavailable("something was slipped in before TLS")
        return super()._startedTLS(result, context)

    def _setupForLiteral(self, rest: bytes, octets: int) -> None:
        """No answer that is waited for has a literal, and it could be of any size."""
        self.leave()

    def _extraInfo(self, lines: Any) -> None:
        """What the server tells unasked is nothing to us."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._greet(reason)
        if self._hung_up is not None and self._hung_up.active():
            self._hung_up.cancel()
        super().connectionLost(reason)

    def leave(self, is_polite: bool = False) -> None:
        """Hang up; politely: log out before, and give the server a moment for its own end."""
        if self.transport is None or not self.connected:
            return
        self._is_left = True
        transport: Any = self.transport
        if not is_polite:
            transport.abortConnection()
        elif self._hung_up is None:
            self.sendLine(b"Z LOGOUT")
            transport.loseConnection()
            self._hung_up = self.clock.callLater(_GOODBYE_S, transport.abortConnection)
