"""The portal: every domain's accounts behind one door, twisted.cred's.

A site may keep each domain's accounts elsewhere (internal, IMAP, LDAP, SQL); `Authentication` asks the checker
of the domain. SCRAM asks it for a verifier, and the proof is checked by `chatd.core.sasl`; a password goes
through the portal. Counting failed attempts is the asker's (chatd.core.limits).
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from zope.interface import implementer

from chatd.core.accounts import Verifier
from chatd.interfaces import IAuthentication, IIdentity

__all__ = ["AccountDisabled", "Authentication", "Identity", "Realm"]


class AccountDisabled(UnauthorizedLogin):
    """The password is right, but the account may not log in."""


@implementer(IIdentity)
@attrs.frozen
class Identity:
    """Whom the portal lets in."""

    local: str
    domain: str

    @property
    def jid(self) -> str:
        """The bare JID."""
        return f"{self.local}@{self.domain}"


@implementer(IRealm)
class Realm:
    """Gives an Identity for the avatar id, a bare JID; there is nothing to be undone at log-out."""

    def requestAvatar(self, avatarId: bytes | tuple[()], mind: object, *interfaces: Any) -> Any:
        """twisted.cred; NotImplementedError unless IIdentity is asked for, and for the anonymous."""
        if IIdentity not in interfaces or not avatarId:
            raise NotImplementedError("chatd's avatars are IIdentity")
        local, _, domain = avatarId.decode().rpartition("@")
        return IIdentity, Identity(local, domain), lambda: None


@implementer(ICredentialsChecker)
class _ByDomain:
    """A portal takes one checker per kind of credentials; this one passes on to the domain's."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, checkers: Mapping[str, Any]) -> None:
        self._checkers = checkers

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        domain = credentials.username.decode().rpartition("@")[2]
        checker = self._checkers.get(domain)
        if checker is None:
            return fail(UnauthorizedLogin("no accounts in that domain"))
        result: Deferred[Any] = checker.requestAvatarId(credentials)
        return result


@implementer(IAuthentication)
class Authentication:
    """The IAuthentication of the daemon. checkers: an IAccountChecker for each domain. welcome(local, domain,
    is_log_in): called for whom a checker has let in; makes the account at the first log-in, and fires with whether it
    is disabled."""

    has_plain = True

    def __init__(self, checkers: Mapping[str, Any],
                 welcome: Callable[[str, str, bool], Deferred[bool]] | None = None) -> None:
        self._checkers = dict(checkers)
        self._welcome = welcome
        self.portal = Portal(Realm(), [_ByDomain(self._checkers)])

    @property
    def has_verifiers(self) -> bool:
        """See IAuthentication."""
        return any(checker.has_verifiers for checker in self._checkers.values())

    @property
    def without_scram(self) -> frozenset[str]:
        """See IAuthentication."""
        return frozenset(domain for domain, checker in self._checkers.items() if not checker.has_verifiers)

    @property
    def elsewhere(self) -> frozenset[str]:
        """See IAuthentication."""
        return frozenset(domain for domain, checker in self._checkers.items() if not checker.keeps_passwords)

    def find(self, local: str, domain: str, mechanism: str) -> Deferred[tuple[Verifier | None, bool]]:
        """See IAuthentication."""
        checker = self._checkers.get(domain)
        if checker is None or not checker.has_verifiers:
            return succeed((None, False))
        result: Deferred[tuple[Verifier | None, bool]] = checker.find(local, domain, mechanism)
        return result

    @inlineCallbacks
    def check(self, local: str, domain: str, password: str, is_log_in: bool = True) -> Any:
        """See IAuthentication."""
        credentials = UsernamePassword(f"{local}@{domain}".encode(), password.encode())
        try:
            yield self.portal.login(credentials, None, IIdentity)
        except AccountDisabled:
            return True, True
        except UnauthorizedLogin:
            return False, False
        if self._welcome is None:
            return True, False
        is_disabled = yield self._welcome(local, domain, is_log_in)
        return True, is_disabled
