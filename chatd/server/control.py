"""The control socket: how chatctl talks to the running daemon.

A Unix socket of mode 0600 in a folder of mode 0700; who may open it may do everything, so there is no
log-in. One JSON object a line each way, one answer for each request, in order:

    -> {"command": "user add", "arguments": {"jid": "john@example.com", "password": "..."}}
    <- {"ok": true, "result": {"jid": "john@example.com"}}
    <- {"ok": false, "error": "conflict", "text": "john@example.com is there already."}

`error` is a stable word for programs, an XMPP condition where one fits (RFC 6120 8.3.3); `text` a sentence
for people. Arguments are never logged: they hold passwords.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from twisted.words.protocols.jabber.error import StanzaError

REQUEST_BYTES = 4 << 20
"""A vCard with its picture, or what somebody has published, comes in one piece (chatd.commands.portable)."""
IDLE_S = 60.0
CONNECTIONS = 32

log = Logger()


class CommandError(Exception):
    """A command that cannot be carried out: `condition` is the word for programs, `text` the sentence for
    people.
    """

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(condition, text)
        self.condition = condition
        self.text = text


@attrs.frozen
class Registered:
    """One command: its words ("user add"), what carries it out, and a sentence for the help."""

    words: str
    run: Callable[[Mapping[str, Any]], Any]
    says: str = ""


class Commands:
    """What the control socket can do, by words. Every room and module registers its own."""

    def __init__(self) -> None:
        self._known: dict[str, Registered] = {}
        self.register("help", self._help, "list the commands of the running daemon")

    def register(self, words: str, run: Callable[[Mapping[str, Any]], Any], says: str = "") -> None:
        """Offer a command: run(arguments) returns a JSON value or a Deferred of one, or raises CommandError.

        Raises ValueError for words that are taken.
        """
        if words in self._known:
            raise ValueError(f"the command {words!r} is registered twice")
        self._known[words] = Registered(words, run, says)

    def forget(self, words: str) -> None:
        """Take a command back; none of that name is no error."""
        self._known.pop(words, None)

    def run(self, words: str, arguments: Mapping[str, Any]) -> Deferred[Any]:
        """Carry a command out; the Deferred fails with CommandError, also for what is unknown."""
        found = self._known.get(words)
        if found is None:
            return maybeDeferred(self._unknown, words)
        return maybeDeferred(found.run, arguments)

    def _unknown(self, words: str) -> None:
        raise CommandError(
            "feature-not-implemented", f"There is no command {words!r}; `chatctl help` lists them."
        )

    def _help(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        return {words: found.says for words, found in sorted(self._known.items())}


def text_argument(arguments: Mapping[str, Any], name: str) -> str:
    """Return the argument of that name, a text that is not empty; raises CommandError."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise CommandError("bad-request", f"The command needs {name}.")
    return value


class ControlProtocol(LineOnlyReceiver, TimeoutMixin):
    """One connection of chatctl. Requests are worked off in order, one at a time."""

    delimiter = b"\n"
    MAX_LENGTH = REQUEST_BYTES
    factory: Any
    transport: Any

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self._waiting: list[bytes] = []
        self._is_busy = False
        self._is_gone = False

    def connectionMade(self) -> None:
        """Refuse more connections than a person can need."""
        self.factory.count += 1
        if self.factory.count > CONNECTIONS:
            self._refuse("resource-constraint", "Too many connections to the control socket.")
            return
        self.setTimeout(IDLE_S)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget what still waited; a command under way is carried out to its end."""
        self.factory.count -= 1
        self._is_gone = True
        self._waiting.clear()
        self.setTimeout(None)

    def lineReceived(self, line: bytes) -> None:
        """Take a request; while one is under way no more are read."""
        self.resetTimeout()
        self._waiting.append(line)
        self._next()

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a request above REQUEST_BYTES and hang up: where the next one begins is not known."""
        self._refuse("policy-violation", f"A request may have {REQUEST_BYTES} bytes.")

    def timeoutConnection(self) -> None:
        """Hang up on silence, but not on a command that takes long."""
        if not self._is_busy:
            super().timeoutConnection()

    def _next(self) -> None:
        if self._is_busy or not self._waiting:
            return
        line = self._waiting.pop(0)
        try:
            request = json.loads(line)
            words, arguments = request["command"], request.get("arguments", {})
            if not isinstance(words, str) or not isinstance(arguments, dict):
                raise TypeError(words)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._answer(
                {"ok": False, "error": "bad-request", "text": "This is not a request; see chatctl(1)."}
            )
            self._next()
            return
        self._is_busy = True
        self.transport.pauseProducing()
        done = self.commands.run(words, arguments)
        done.addCallbacks(lambda result: {"ok": True, "result": result}, self._failed, errbackArgs=(words,))
        done.addCallback(self._done)
        done.addErrback(lambda failure: log.failure("an answer could not be sent", failure=failure))

    def _failed(self, failure: Failure, words: str) -> dict[str, Any]:
        error = failure.value
        if isinstance(error, CommandError):
            return {"ok": False, "error": error.condition, "text": error.text}
        if isinstance(error, StanzaError):
            return {"ok": False, "error": error.condition, "text": error.text or error.condition}
        log.failure("the command {words} failed", failure, words=words)
        text = "The daemon could not do it; its log says why."
        return {"ok": False, "error": "internal-server-error", "text": text}

    def _done(self, answer: dict[str, Any]) -> None:
        self._is_busy = False
        if self._is_gone:
            return
        self.resetTimeout()
        self._answer(answer)
        self.transport.resumeProducing()
        self._next()

    def _answer(self, answer: dict[str, Any]) -> None:
        self.sendLine(json.dumps(answer, ensure_ascii=False).encode("utf-8"))

    def _refuse(self, condition: str, text: str) -> None:
        self._answer({"ok": False, "error": condition, "text": text})
        self.transport.loseConnection()


class ControlFactory(Factory):
    """Gives every connection the one set of commands; `count` says how many are open."""

    noisy = False

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.count = 0

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        """Return the protocol of a new connection."""
        protocol = ControlProtocol(self.commands)
        protocol.factory = self
        return protocol
