"""LDAP (RFC 4511) with ldaptor: connect with TLS, bind, search, and text that is safe inside filters and DNs."""

from __future__ import annotations

from typing import Any, Final

from ldaptor.ldapfilter import InvalidLDAPFilter, parseFilter
from ldaptor.protocols import pureber, pureldap
from ldaptor.protocols.ldap import ldaperrors
from ldaptor.protocols.ldap.ldapclient import LDAPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatd.core.errors import Unavailable
from chatd.outside.tls import Server

__all__ = ["Connection", "connect", "dn_text", "filter_text", "parse_filter"]

_SUBTREE: Final = 2
_NO_ATTRIBUTES: Final = "1.1"                  # RFC 4511 4.5.1.8
_FOUND: Final = frozenset({0, 4, 32})          # success, sizeLimitExceeded (then there are two), noSuchObject
_TOO_MANY: Final = 4
_WHOLE: Final = frozenset({0})
_PAGES: Final = b"1.2.840.113556.1.4.319"
_REFUSALS: Final = frozenset({32, 48, 49})     # noSuchObject, inappropriateAuthentication, invalidCredentials


def filter_text(text: str) -> str:
    """A text as a value in a filter (RFC 4515 3): what means something there is escaped."""
    return "".join(f"\\{ord(char):02x}" if char in "\\*()" or char < " " else char for char in text)


def dn_text(text: str) -> str:
    """A text as a value in a DN (RFC 4514 2.4): anything but ASCII letters and digits is escaped."""
    return "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"\\{byte:02x}" for byte in text.encode())


def parse_filter(text: str) -> Any:
    """A filter as ldaptor has it; raises Unavailable where it is none."""
    try:
        return parseFilter(text)
    except InvalidLDAPFilter:
        raise Unavailable(f"{text!r} is not a filter") from None


async def connect(server: Server, reactor: Any, timeout_s: float) -> Connection:
    """A connection, with TLS if it is to be; raises whatever keeps it from being made."""
    factory = Factory.forProtocol(_Client)
    factory.noisy = False
    client: _Client = await server.connect(reactor, factory, timeout_s)
    try:
        if server.security == "starttls":
            await client.startTLS(server.options())
            # What came along in the clear could be anybody's; taken for an answer it would let anybody in.
            if client.buffer:
                raise Unavailable("something was slipped in before TLS")
    except BaseException:
        client.leave()
        raise
    return Connection(client)


class Connection:
    """One connection; use it in `with`."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.leave()

    async def bind(self, dn: str, password: str) -> bool:
        """Is this the password of that entry? Raises Unavailable where it cannot be said, and ValueError without
        a password: LDAP lets in anybody who gives none (RFC 4513 5.1.2)."""
        if not dn or not password:
            raise ValueError("a DN and a password")
        answer = await self._client.send(pureldap.LDAPBindRequest(dn=dn, auth=password.encode()))
        if answer.resultCode == 0:
            return True
        if answer.resultCode in _REFUSALS:
            return False
        raise Unavailable(f"it answers {_said(answer)}")

    def bind_as(self, dn: str, password: str) -> Deferred[None]:
        """Logs in to search; nothing to do without a DN. Fails with Unavailable."""
        return Deferred.fromCoroutine(self._bind_as(dn, password))

    async def _bind_as(self, dn: str, password: str) -> None:
        if dn and not await self.bind(dn, password):
            raise Unavailable(f"it does not let in {dn} (bind_dn, bind_password)")

    async def find(self, base: str, filter_: str) -> str | None:
        """The DN of the one entry that fits; None for none, or for several. Raises Unavailable."""
        request = pureldap.LDAPSearchRequest(
            baseObject=base, scope=_SUBTREE, filter=parse_filter(filter_), attributes=[_NO_ATTRIBUTES], sizeLimit=2)
        found, _ = await self._client.search(request, None, _FOUND)
        return found[0].objectName.decode() if len(found) == 1 else None

    def page(self, base: str, filter_: str, attributes: list[str], size: int,
             cookie: bytes) -> Deferred[tuple[list[dict[str, list[bytes]]], bytes]]:
        """Up to `size` entries (attributes by their names in small letters), and the cookie for the page after them,
        b"" at the end (RFC 2696). A server without pages gives all at once. Fails with Unavailable."""
        request = pureldap.LDAPSearchRequest(
            baseObject=base, scope=_SUBTREE, filter=parse_filter(filter_), attributes=attributes)
        value = pureber.BERSequence([pureber.BERInteger(size), pureber.BEROctetString(cookie)])

        def given(result: tuple[list[Any], bytes]) -> tuple[list[dict[str, list[bytes]]], bytes]:
            entries, next_cookie = result
            return [{name.decode("utf-8", "replace").lower(): values for name, values in entry.attributes}
                    for entry in entries], next_cookie

        return self._client.search(request, [(_PAGES, None, value.toWire())], _WHOLE).addCallback(given)


def _cookie(controls: Any) -> bytes:
    """Of the control that came with the end of a page."""
    for kind, _, value in controls or ():
        if kind == _PAGES and value:
            found: bytes = pureber.berDecodeObject(pureber.BERDecoderContext(), value)[0][1].value
            return found
    return b""


def _said(answer: Any) -> str:
    text = answer.errorMessage.decode("utf-8", "replace") if answer.errorMessage else ""
    shown = "".join(char if char.isprintable() else "?" for char in text)[:200]
    name = type(ldaperrors.get(answer.resultCode, None)).__name__
    return f"{answer.resultCode} {name} {shown}".strip()


class _Client(LDAPClient):  # type: ignore[misc]
    """ldaptor's client, with an end to what it waits for."""

    def search(self, request: Any, controls: Any, good: frozenset[int]) -> Deferred[tuple[list[Any], bytes]]:
        """The entries that were found, and the cookie of the next page. good: the result codes of an answer."""
        done: Deferred[tuple[list[Any], bytes]] = Deferred()
        found: list[Any] = []

        def take(answer: Any, answered: Any) -> bool:
            if isinstance(answer, pureldap.LDAPSearchResultEntry):
                found.append(answer)
            if not isinstance(answer, pureldap.LDAPSearchResultDone):
                return False            # a referral to another server is not followed
            if not done.called:
                if answer.resultCode in good:
                    done.callback((found, _cookie(answered)))
                elif answer.resultCode == _TOO_MANY:
                    done.errback(Unavailable("it gives bind_dn only a part of the people (its limit of size)"))
                else:
                    done.errback(Unavailable(f"it answers {_said(answer)}"))
            return True

        sent = self.send_multiResponse_ex(request, controls, take)
        sent.addErrback(lambda failure: None if done.called else done.errback(failure))     # the connection is lost
        return done

    def dataReceived(self, recd: bytes) -> None:
        try:
            super().dataReceived(recd)
        except Exception:
            failure = Failure(Unavailable("it does not speak LDAP as it should"))
            waiting = list(self.onwire.values())
            self.onwire.clear()
            for answer, *_ in waiting:
                if not answer.called:
                    answer.errback(failure)
            self.leave()

    def leave(self) -> None:
        """Hang up."""
        if self.connected:
            self.transport.abortConnection()

    def unsolicitedNotification(self, msg: Any) -> None:
        """Notice of Disconnection (RFC 4511 4.4.1): the end of the connection follows."""
