"""What a log-in by XEP-0388 asks for along with it: tokens (XEP-0484), and a resource with features (XEP-0386).

A part of `chatd.server.login.LogIn`. Between the moment the resource is bound and <success/> nothing happens, so what
is delivered to the session comes behind it, and the end of the archive told with <bound/> is that of the moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.logger import Logger

from chatd.core.errors import StanzaError, StreamError
from chatd.core.jid import JID
from chatd.core.sasl_ht import FindTokens, UseToken
from chatd.core.stream_table import BindInline, IssueToken, Register

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatd.core.accounts import FastRow
    from chatd.core.negotiation import Negotiation
    from chatd.server.accounts import Account
    from chatd.server.session import Session
    from chatd.server.stream import ClientStream
    from chatd.server.streams import ClientStreams

__all__ = ["InlineLogIn"]

log = Logger()

CLIENT: Final = "client"
"""Under this name a session's state has the id of its user agent."""


class InlineLogIn:
    """What LogIn has for XEP-0388."""

    __slots__ = ("_rows", "_told")

    if TYPE_CHECKING:
        _stream: ClientStream
        _streams: ClientStreams
        negotiation: Negotiation | None
        _go_on: Callable[..., None]
        _may_try: Callable[[str, str], bool]
        _not_looked_up: Callable[[Any], None]
        _refusal: Callable[[Account | None, JID], StanzaError | None]
        _begin: Callable[[Account, JID], Session]
        _began: Callable[[Session], None]
        _grant: Any

    def __init__(self) -> None:
        self._told: dict[str, str] = {}         # before log-in, by XEP-0445
        self._rows: tuple[int | None, dict[str, FastRow]] = (None, {})

    # -- tokens, XEP-0484
    def _find_tokens(self, action: FindTokens) -> None:
        if self._may_try(action.local, action.domain):
            self._streams.fast.find(action.local, action.domain, action.client).addCallbacks(
                self._tokens_found, self._not_looked_up)

    def _tokens_found(self, found: Any) -> None:
        account, disabled, tokens = found
        self._rows = account, {token.slot: row for token, row in tokens}
        assert self.negotiation is not None
        self._go_on(self.negotiation.tokens, [token for token, _ in tokens], disabled, self._streams.fast.now())

    def _use_token(self, action: UseToken) -> None:
        account, rows = self._rows
        assert account is not None
        self._streams.fast.use(account, rows[action.token.slot], action).addCallbacks(
            self._token_used, self._not_looked_up)

    def _token_used(self, is_good: bool) -> None:
        assert self.negotiation is not None
        self._go_on(self.negotiation.token_used, is_good)

    @inlineCallbacks
    def _issue_token(self, action: IssueToken) -> Any:
        given = b""
        try:
            account = yield maybeDeferred(self._streams.router.accounts.load, JID.parse(action.jid.bare))
            # Who came by a token of Webmail may stay as long as Webmail says, not longer.
            if account is not None and self._grant is None:
                given = yield self._streams.fast.issue(account.id, action)
        except Exception:
            log.failure("no token could be given to {jid}", jid=action.jid.bare)
        assert self.negotiation is not None
        self._go_on(self.negotiation.token_issued, given)

    # -- an account, XEP-0445
    @inlineCallbacks
    def _register(self, action: Register) -> Any:
        n, streams, source, stanza = self.negotiation, self._streams, self._stream.source, action.stanza
        assert n is not None
        try:
            if not streams.may_try_token(source):
                raise StanzaError("resource-constraint", "wait", text="That was tried too often. Wait a moment.")
            inner = yield Deferred.fromCoroutine(
                streams.invitations.before_log_in(stanza, action.domain, self._told))
            answer = stanza.result(inner)
        except StanzaError as error:
            if error.condition == "item-not-found":
                streams.token_failed(source)
            answer = stanza.error(error)
        except Exception:
            log.failure("no account could be made")
            answer = stanza.error(StanzaError("internal-server-error"))
        answer.attrs["from"] = action.domain
        self._go_on(n.registered, answer)

    # -- binding, XEP-0386
    @inlineCallbacks
    def _bind_inline(self, action: BindInline) -> Any:
        n, accounts = self.negotiation, self._streams.router.accounts
        assert n is not None
        bare = JID.parse(action.jid.bare)
        try:
            account = yield maybeDeferred(accounts.load, bare)
            told = []
            if account is not None:
                for prepare in self._streams.router.hooks.bind_info:
                    told.append((yield prepare(account)))
                if accounts.find(bare.bare) is not account:     # disabled, deleted or loaded anew meanwhile
                    account = yield maybeDeferred(accounts.load, bare)
        except Exception:
            log.failure("no resource could be bound for {jid}", jid=action.jid.bare)
            self._go_on(n.not_bound, "temporary-auth-failure", "bind")
            return
        stream = self._stream
        if n.state != "settling" or stream.is_closing:
            return
        self._go_on(self._bind_now, n, account, action, told)
        if stream.session is not None:
            self._streams.router.hooks.tell("session.bound.inline", stream.session)
            stream.settle()
            self._began(stream.session)

    def _bind_now(self, n: Negotiation, account: Account | None, action: BindInline, told: list[Any]) -> Any:
        """In one go up to <success/>, whose actions it gives."""
        if account is not None and action.client:
            for other in list(account.sessions.values()):
                if other.state is not None and other.state.get(CLIENT) == action.client:    # XEP-0386 3.2
                    other.close(StreamError("conflict", "The same client has logged in again."))
        refused = self._refusal(account, action.jid)
        if refused is not None or account is None:
            is_shut = refused is not None and refused.condition == "not-allowed"
            return n.not_bound("account-disabled" if is_shut else "temporary-auth-failure", "bind")
        session = self._begin(account, action.jid)
        session.state = {**(session.state or {}), CLIENT: action.client}
        hooks, said = self._streams.router.hooks, []
        for element in action.asked:
            hook = hooks.bind_features.get(f"{element.ns} {element.name}")
            if hook is not None:
                said.append(hook(session, element) or b"")
        said += [tell() for tell in told]
        return n.bound_inline(session.jid, b"".join(said))
