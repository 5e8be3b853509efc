"""The accounts chatd keeps itself: a checker over the store's SCRAM verifiers."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from chatd.auth.passwords import BadPassword, check_password, make_verifiers
from chatd.auth.portal import AccountDisabled
from chatd.core.accounts import Verifier
from chatd.core.sasl import ITERATIONS
from chatd.interfaces import IAccountChecker, IAccountStore

__all__ = ["BadPassword", "InternalChecker", "make_verifiers"]


@implementer(ICredentialsChecker, IAccountChecker)
class InternalChecker:
    """The accounts of the store.

    accounts: an IAccountStore. iterations: of new verifiers, which is what checking an unknown account costs.
    in_thread: calls a function with arguments in a thread and gives a Deferred.
    """

    credentialInterfaces = (IUsernamePassword,)
    has_verifiers = True
    keeps_passwords = True

    def __init__(self, accounts: IAccountStore, iterations: int = ITERATIONS,
                 in_thread: Callable[..., Deferred[Any]] = deferToThread) -> None:
        self._accounts = accounts
        self._iterations = iterations
        self._in_thread = in_thread

    @inlineCallbacks
    def find(self, local: str, domain: str, mechanism: str) -> Any:
        """See IAccountChecker."""
        row = yield self._accounts.get(local, domain)
        if row is None:
            return None, False
        verifier: Verifier | None = row.verifiers.get(mechanism)
        return verifier, row.disabled

    @inlineCallbacks
    def requestAvatarId(self, credentials: Any) -> Any:
        """See IAccountChecker."""
        jid = credentials.username.decode()
        local, _, domain = jid.rpartition("@")
        row = yield self._accounts.get(local, domain)
        verifiers = None if row is None else row.verifiers
        is_right = yield self._in_thread(
            check_password, credentials.password.decode(), verifiers, self._iterations)
        if not is_right:
            raise UnauthorizedLogin("wrong password" if row is not None else "no such account")
        if row.disabled:
            raise AccountDisabled(jid)
        return credentials.username
