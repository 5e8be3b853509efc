"""Tokens of people who sign on from Webmail: given to its server, taken as a password over WebSocket and BOSH.

A token lets one address in, for some minutes, as often as a connection breaks meanwhile. Sessions know which Webmail
session they came from, so that logging out there ends them here.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core.errors import StreamError
from chatd.core.jid import JID
from chatd.core.webmail import GRANT, Grant, TokenRow, Webmail, hashed, make_token, session_hash
from chatd.interfaces import IAccounts, ISession, ITokens

__all__ = ["Tokens"]

log = Logger()

_ENDED_MOST: Final = 10_000
_ENDED_S: Final = 600.0     # no log-in takes as long
_Whose = tuple[str | None, bytes | None, str | None]


@implementer(ITokens)
class Tokens:
    """The ITokens of the daemon.

    store: IStore. accounts: who is in memory. webmails(): those of the settings as they are now. welcome: makes the
    account of a first log-in (chatd.auth.outside.FirstLogins.welcome). named(jid, name): told the name of a person
    whose account was made. now(): seconds since 1970.
    """

    def __init__(self, store: Any, accounts: IAccounts, webmails: Callable[[], Iterable[Webmail]],
                 welcome: Callable[[str, str], Any], now: Callable[[], float],
                 named: Callable[[JID, str], object] = lambda jid, name: None) -> None:
        self._store = store
        self._accounts = accounts
        self._webmails = webmails
        self._welcome = welcome
        self._named = named
        self._now = now
        # What ended a moment ago, so that a log-in under way at that moment ends too: the number and time of each
        # log-out, by Webmail, session and address, None for all of them.
        self._ends = 0
        self._ended: OrderedDict[_Whose, tuple[int, float]] = OrderedDict()

    # -- for Webmail's server
    @inlineCallbacks
    def give(self, webmail: Webmail, jid: JID, session: str, name: str = "") -> Any:
        """See ITokens."""
        grant = Grant(webmail.name, session_hash(webmail.name, session), self._ends)
        is_new = (yield self._store.accounts.get(jid.local, jid.domain)) is None
        if (yield self._welcome(jid.local, jid.domain)):
            return None
        if is_new and name:
            self._named(jid, name)
        token, now_ms = make_token(secrets.token_urlsafe(32)), int(self._now() * 1000)
        yield self._store.webmail.add(TokenRow(
            hashed(token), jid.local, jid.domain, grant.webmail, grant.session, now_ms,
            now_ms + webmail.token_s * 1000))
        if self._has_ended(grant, jid.bare):        # while it was made: whoever logged out stays logged out
            yield self._store.webmail.revoke(grant.webmail, grant.session, (jid.local, jid.domain))
        return token

    @inlineCallbacks
    def log_out(self, webmail: str, session: str | None = None, jid: JID | None = None) -> Any:
        """See ITokens."""
        digest = None if session is None else session_hash(webmail, session)
        ended = yield self.revoke(webmail, digest, jid)
        return ended

    # -- for log-ins
    @inlineCallbacks
    def check(self, local: str, domain: str, token: str) -> Any:
        """See ITokens."""
        ends = self._ends       # before the look: a log-out meanwhile may find neither token nor session
        row = yield self._store.webmail.find(hashed(token))
        reason = self._wrong_with(row, local, domain)
        if reason:
            log.info("a token of Webmail for {local}@{domain} was refused: {reason}", local=local, domain=domain,
                     reason=reason)
            return None, False
        account = yield self._store.accounts.get(local, domain)
        return Grant(row.webmail, row.session, ends), account is None or account.disabled

    def _wrong_with(self, row: TokenRow | None, local: str, domain: str) -> str:
        if row is None:
            return "there is no such token, or not any more"
        if (row.local, row.domain) != (local, domain):
            return f"it is one of {row.local}@{row.domain}"
        if row.expires_ms <= self._now() * 1000:
            return "it has expired"
        webmail = next((one for one in self._webmails() if one.name == row.webmail), None)
        if webmail is None or domain not in webmail.domains:
            return f"{row.webmail} may not sign on people of {domain} any more"
        return ""

    def began(self, session: ISession, grant: Grant) -> None:
        """See ITokens."""
        if session.state is None:
            session.state = {}
        session.state[GRANT] = grant
        if self._has_ended(grant, session.jid.bare):
            session.close(StreamError("not-authorized", "You have logged out of Webmail."))

    # -- for both, and for chatctl
    @inlineCallbacks
    def revoke(self, webmail: str | None = None, session: bytes | None = None, jid: JID | None = None) -> Any:
        """See ITokens."""
        revoked = yield self._store.webmail.revoke(
            webmail, session, None if jid is None else (jid.local, jid.domain))
        # Only now no log-in can find them any more.
        self._note_end((webmail, session, None if jid is None else jid.bare))
        found = self._sessions(webmail, session, jid)
        for one in found:
            one.close(StreamError("not-authorized", "You have logged out of Webmail."))
        return revoked, len(found)

    def _sessions(self, webmail: str | None, session: bytes | None, jid: JID | None) -> list[ISession]:
        """Sessions opened with such tokens. There is no index of them: looking through all who are online is quick, and
        logging out is rare."""
        found = []
        for account in self._accounts.online():
            if jid is not None and account.bare != jid.bare:
                continue
            for one in account.sessions.values():
                grant = (one.state or {}).get(GRANT)
                if grant is not None and webmail in (None, grant.webmail) and session in (None, grant.session):
                    found.append(one)
        return found

    def _note_end(self, whose: _Whose) -> None:
        now = self._now()
        self._ends += 1
        self._ended[whose] = self._ends, now
        self._ended.move_to_end(whose)
        while len(self._ended) > _ENDED_MOST or next(iter(self._ended.values()))[1] < now - _ENDED_S:
            self._ended.popitem(last=False)

    def _has_ended(self, grant: Grant, bare: str) -> bool:
        """Was there a log-out of any kind since?"""
        return any(self._ended.get(whose, (0, 0.0))[0] > grant.ends
                   for whose in product((None, grant.webmail), (None, grant.session), (None, bare)))
