"""Checkers whose passwords another server knows, several of them in order; the first log-in that makes an account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatd.auth.portal import AccountDisabled
from chatd.auth.remembered import Remembered
from chatd.core.accounts import AccountExists, Verifier
from chatd.core.errors import Unavailable
from chatd.core.escaping import unescape
from chatd.core.sasl import PASSWORD_BYTES
from chatd.interfaces import IAccountChecker, IAccountStore
from chatd.outside.tls import reason_of

__all__ = ["FirstLogins", "InOrder", "OutsideChecker", "Passwords"]

log = Logger()

_QUEUE: Final = 20
"""So many more may wait for a connection as there are connections; beyond that nobody would be answered in time."""


class Passwords(Protocol):
    """A server that knows passwords."""

    def check(self, login: str, password: str) -> Deferred[bool]:
        """Are they right? Fails where it cannot be said; any failure means that."""

    def probe(self) -> Deferred[None]:
        """Fires when the server is ready to be asked; fails otherwise."""


@implementer(ICredentialsChecker, IAccountChecker)
class OutsideChecker:
    """Asks another server.

    name: of that server, for the log. passwords: asks it. login: a template, what the server gets as user name.
    remembered: right passwords. connections: questions at a time; timeout_s: for each, the waiting included.
    clock: IReactorTime. has_verifiers: SCRAM verifiers are kept with what is remembered.
    """

    credentialInterfaces = (IUsernamePassword,)
    keeps_passwords = False

    def __init__(self, name: str, passwords: Passwords, login: str, remembered: Remembered, connections: int,
                 timeout_s: float, clock: Any, has_verifiers: bool = False) -> None:
        self.name = name
        self.has_verifiers = has_verifiers
        self._passwords = passwords
        self._login = login
        self._remembered = remembered
        self._turn = DeferredSemaphore(connections)
        self._most = connections * _QUEUE
        self._timeout_s = timeout_s
        self._clock = clock

    def find(self, local: str, domain: str, mechanism: str) -> Deferred[tuple[Verifier | None, bool]]:
        """See IAccountChecker; what is remembered is all there is."""
        return succeed((self._remembered.verifiers(f"{local}@{domain}").get(mechanism), False))

    @inlineCallbacks
    def requestAvatarId(self, credentials: Any) -> Any:
        """See IAccountChecker."""
        jid, password = credentials.username.decode(), credentials.password.decode()
        login = self._login_of(jid)
        if login is None or not password or "\0" in password or len(password.encode()) > PASSWORD_BYTES:
            raise UnauthorizedLogin("no such address or password can be")
        is_remembered = yield self._remembered.is_right(jid, password)
        if is_remembered:
            return credentials.username
        if not (yield self._ask(login, password)):
            self._remembered.forget(jid)
            raise UnauthorizedLogin("refused")
        yield self._remembered.keep(jid, password)
        return credentials.username

    def _login_of(self, jid: str) -> str | None:
        """What the server calls the person; None for what no mail server would."""
        local, _, domain = jid.rpartition("@")
        local = unescape(local)
        if not local.isprintable() or not domain.isprintable():
            return None
        return self._login.format(address=f"{local}@{domain}", local=local, domain=domain)

    @inlineCallbacks
    def _ask(self, login: str, password: str) -> Any:
        if len(self._turn.waiting) >= self._most:
            raise Unavailable(f"{self.name}: too many log-ins wait for it")
        question = self._turn.run(self._passwords.check, login, password)
        question.addTimeout(self._timeout_s, self._clock)
        try:
            return (yield question)
        except (Exception, CancelledError):
            raise Unavailable(f"{self.name}: {reason_of(Failure())}") from None


@implementer(ICredentialsChecker, IAccountChecker)
class InOrder:
    """Several checkers of one domain: who is right for one is right. One that cannot say does not keep the others from
    being asked, but then nobody's password is said to be wrong. verdicts of disabled accounts are final."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, checkers: Iterable[Any]) -> None:
        self.checkers = tuple(checkers)
        self.has_verifiers = all(checker.has_verifiers for checker in self.checkers)
        self.keeps_passwords = all(checker.keeps_passwords for checker in self.checkers)

    @inlineCallbacks
    def find(self, local: str, domain: str, mechanism: str) -> Any:
        """See IAccountChecker; an account that one of them says is disabled is."""
        found, is_disabled = None, False
        for checker in self.checkers:
            verifier, disabled = yield checker.find(local, domain, mechanism)
            found, is_disabled = found or verifier, is_disabled or disabled
        return found, is_disabled

    @inlineCallbacks
    def requestAvatarId(self, credentials: Any) -> Any:
        """See IAccountChecker."""
        open_question: Exception | None = None
        for checker in self.checkers:
            try:
                return (yield checker.requestAvatarId(credentials))
            except AccountDisabled:
                raise
            except UnauthorizedLogin:
                continue
            except Exception as error:
                log.debug("{jid}: {error}", jid=credentials.username.decode(), error=error)
                open_question = error
        raise open_question or UnauthorizedLogin("refused by all")


class FirstLogins:
    """The account of somebody whose password was right elsewhere: made at the first log-in. accounts: the store's.
    now(): seconds since 1970. created(jid): told when one is made."""

    def __init__(self, accounts: IAccountStore, now: Callable[[], float],
                 created: Callable[[str], None] = lambda jid: None) -> None:
        self._created = created
        self._accounts = accounts
        self._now = now

    @inlineCallbacks
    def welcome(self, local: str, domain: str, is_log_in: bool = True) -> Any:
        """Fires with whether the account is disabled. is_log_in: it is made where there is none."""
        row = yield self._accounts.get(local, domain)
        if row is None and is_log_in:
            try:
                yield self._accounts.create(local, domain, {}, self._now())
                self._created(f"{local}@{domain}")
                log.info("{local}@{domain} logs in for the first time: the account is made", local=local, domain=domain)
            except AccountExists:
                pass                    # by another client at the same moment
            row = yield self._accounts.get(local, domain)
        return row is not None and row.disabled
