"""A stream before its resource is bound: carries out what `chatd.core.negotiation` decides.

Accounts are looked up, passwords checked, sessions made or taken up again.  All of it is let go with this object, once
the session has the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatd.core import negotiation as steps
from chatd.core import ns
from chatd.core.errors import StanzaError, StreamError, Unavailable
from chatd.core.framing import Event, StreamEnd, StreamStart
from chatd.core.jid import JID
from chatd.core.negotiation import Action, Negotiation
from chatd.core.stanza import Stanza
from chatd.core.stream_xml import Wire
from chatd.core.webmail import Grant, is_token
from chatd.server.login_inline import InlineLogIn
from chatd.server.session import Session

if TYPE_CHECKING:
    from chatd.server.accounts import Account
    from chatd.server.stream import ClientStream

__all__ = ["LogIn"]

log = Logger()

_TOUCH_S: Final = 600.0         # the time of an account's last log-in is written down this often at most


class LogIn(InlineLogIn):
    """The log-in of one stream.

    negotiation: None until TLS is up where it comes first.
    """

    __slots__ = ("_deadline", "_grant", "_stream", "_streams", "negotiation")

    def __init__(self, stream: ClientStream) -> None:
        super().__init__()
        self._stream = stream
        self._streams = stream.streams
        self._deadline: IDelayedCall | None = None
        self._grant: Grant | None = None        # by a token of Webmail
        self.negotiation: Negotiation | None = None

    # -- what the stream calls
    def set_deadline(self) -> None:
        """Log-in must be done in time, from now on."""
        self._deadline = self._streams.clock.callLater(self._streams.limits.auth_s, self._too_late)

    def negotiate(self, is_secured: bool, bindings: Mapping[str, bytes]) -> None:
        """The header may come.  bindings: channel binding type -> data (RFC 5056) of the TLS below."""
        streams, wire = self._streams, self._stream.wire
        terms = streams.terms_bosh if wire is Wire.BOSH else streams.terms
        self.negotiation = Negotiation(terms, wire, is_secured, bindings)

    def tls_started(self, bindings: Mapping[str, bytes]) -> None:
        """The handshake is done, after <starttls/> or before everything."""
        if self.negotiation is None:
            self.negotiate(True, bindings)
        else:
            self._do(self.negotiation.tls_started(bindings))

    def take(self, event: Event) -> bool:
        """What the framer made of the input.  False: what came behind it in the clear must not be looked at
        (RFC 6120 5.4.3.3)."""
        n = self.negotiation
        assert n is not None
        if isinstance(event, Stanza):
            self._do(n.received(event))
        elif isinstance(event, StreamStart):
            self._do(n.opened(event))
        elif isinstance(event, StreamEnd):
            self._stream.peer_ended = True
            self._do(n.ended())
        else:
            self._do(n.failed(event))
        return n.state != "securing"

    def close(self, error: StreamError | None) -> None:
        """Says the end and finishes the stream; before TLS is up, where it comes first, there is nobody to tell."""
        n = self.negotiation
        if n is None:
            self._stream.abort()
        else:
            self._do(n.failed(error) if error is not None else n.ended())

    def over(self) -> None:
        """The stream has ended, or has its session: no deadline any more, and answers that come later find nothing
        to do."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def lost(self) -> None:
        """The carrier is gone."""
        if self.negotiation is not None:
            self.negotiation.ended()

    @property
    def jid(self) -> JID | None:
        """Whom the client has proved to be."""
        return self.negotiation.jid if self.negotiation is not None else None

    def _too_late(self) -> None:
        self._stream.close(StreamError("connection-timeout", "You did not log in in time."))

    # -- the negotiation's actions
    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, steps.Send):
                self._stream.send(action.data)
            else:
                getattr(self, _ACTIONS[type(action)])(action)

    def _go_on(self, answer: Any, *arguments: Any) -> None:
        """Carries out what an answer of ours leads to; nothing of it may fail in the face of whom it came from."""
        try:
            self._do(answer(*arguments))
        except StreamError as error:
            self._stream.shut(error)
        except Exception:
            log.failure("{stream!r} could not go on", stream=self._stream)
            self._stream.shut(StreamError("internal-server-error"))

    def _start_tls(self, action: steps.StartTLS) -> None:
        self._stream.start_tls()

    def _restart(self, action: steps.Restart) -> None:
        self._stream.restart()

    def _close(self, action: steps.Close) -> None:
        self._stream.finished(action.error)

    def _deliver(self, action: steps.Deliver) -> None:
        session = self._stream.session
        if session is not None:
            session.receive(action.stanza)

    def _enable(self, action: steps.Enable) -> None:
        attrs = {"resume": "true" if action.resume else "false"}
        if action.max_s is not None:
            attrs["max"] = str(action.max_s)
        session = self._stream.session
        if session is not None:
            session.receive(Stanza("enable", attrs, ns_=ns.SM))

    # SASL, RFC 6120 6
    def _find_account(self, action: steps.FindAccount) -> None:
        if self._may_try(action.local, action.domain):
            self._streams.auth.find(action.local, action.domain, action.mechanism).addCallbacks(
                self._found, self._not_looked_up)

    def _check_password(self, action: steps.CheckPassword) -> None:
        if not self._may_try(action.local, action.domain):
            return
        if is_token(action.password):
            self._check_token(action)
        else:
            self._streams.auth.check(action.local, action.domain, action.password).addCallbacks(
                self._checked, self._not_looked_up)

    def _check_token(self, action: steps.CheckPassword) -> None:
        """A token of Webmail is for its pages, so it is good where pages connect."""
        tokens = self._streams.tokens
        if tokens is None or self._stream.wire is Wire.TCP:
            self._checked((False, False))
        else:
            tokens.check(action.local, action.domain, action.password).addCallbacks(self._granted, self._not_looked_up)

    def _granted(self, found: tuple[Grant | None, bool]) -> None:
        self._grant, is_disabled = found
        self._checked((self._grant is not None, is_disabled))

    def _began(self, session: Session) -> None:
        if self._grant is not None and self._streams.tokens is not None:
            self._streams.tokens.began(session, self._grant)

    def _admit(self, action: steps.Admit) -> None:
        self._streams.router.visits.admit(action.domain, action.given).addCallbacks(self._admitted, self._not_admitted)

    def _admitted(self, jid: JID | None) -> None:
        assert self.negotiation is not None
        self._go_on(self.negotiation.admitted, jid)

    def _not_admitted(self, failure: Failure) -> None:
        if not failure.check(StanzaError):
            self._not_looked_up(failure)
            return
        assert self.negotiation is not None
        self._go_on(self.negotiation.refuse, "temporary-auth-failure", "too-many-visits")

    def _may_try(self, local: str, domain: str) -> bool:
        if self._streams.must_wait(self._stream.source, f"{local}@{domain}") <= 0:
            return True
        assert self.negotiation is not None
        self._do(self.negotiation.refuse("temporary-auth-failure", "backoff"))
        return False

    def _found(self, found: tuple[Any, bool]) -> None:
        assert self.negotiation is not None
        self._go_on(self.negotiation.account, *found)

    def _checked(self, found: tuple[bool, bool]) -> None:
        assert self.negotiation is not None
        self._go_on(self.negotiation.password_checked, *found)

    def _not_looked_up(self, failure: Failure) -> None:
        if failure.check(Unavailable):
            log.warn("a password could not be checked: {reason}", reason=str(failure.value))
        else:
            log.failure("an account could not be looked up", failure=failure)
        assert self.negotiation is not None
        self._go_on(self.negotiation.refuse, "temporary-auth-failure", "lookup")

    def _failed(self, action: steps.AuthFailed) -> None:
        self._grant = None
        self._streams.log_in_failed(self._stream, action.jid, action.condition, action.reason, action.mechanism)

    def _authenticated(self, action: steps.Authenticated) -> None:
        stream, n = self._stream, self.negotiation
        assert n is not None
        if n.visit:
            # No password was proved: nothing that is counted against guessing is forgotten, and 10 KiB are enough.
            self._streams.counts.visits += 1
        else:
            self._streams.log_in_succeeded(stream, action.jid)
            stream.admit()
        log.debug("{jid} logged in by {mechanism} over {wire} from {address}", jid=action.jid.bare,
                  mechanism=action.mechanism, wire=stream.wire.value, address=stream.address)

    # Resource binding, RFC 6120 7
    def _bind(self, action: steps.Bind) -> None:
        assert self.negotiation is not None
        if self.negotiation.visit:
            self._bind_visit(self.negotiation)
            return
        account = self._streams.router.accounts.load(JID.parse(action.jid.bare))
        if isinstance(account, Deferred):
            account.addCallback(self._bind_to, action.jid).addErrback(self._not_bound)
        else:
            self._bind_to(account, action.jid)

    def _bind_visit(self, n: Negotiation) -> None:
        assert n.jid is not None
        try:
            session = self._streams.router.visits.begin(n.visit, JID.parse(n.jid.bare), self._stream)
        except StanzaError as error:
            self._go_on(n.bind_refused, error)
            return
        self._stream.session = session
        self._go_on(n.bound, session.jid)
        self._stream.settle()

    def _not_bound(self, failure: Failure) -> None:
        log.failure("no resource could be bound", failure=failure)
        n = self.negotiation
        assert n is not None
        if n.state == "binding":
            self._go_on(n.bind_refused, StanzaError("internal-server-error"))

    def _bind_to(self, account: Account | None, jid: JID) -> None:
        n, stream = self.negotiation, self._stream
        assert n is not None
        if stream.is_closing:
            return
        refused = self._refusal(account, jid)
        if refused is not None or account is None:
            self._go_on(n.bind_refused, refused)
            return
        session = self._begin(account, jid)
        self._go_on(n.bound)
        stream.settle()
        self._began(session)

    def _begin(self, account: Account, jid: JID) -> Session:
        """The session, which the stream has from now on."""
        streams, stream = self._streams, self._stream
        stream.session = session = Session(jid, account, streams.router, stream)
        streams.router.accounts.attach(account, session)
        streams.router.hooks.tell("session.bound", session)
        self._touch(account)
        return session

    def _refusal(self, account: Account | None, jid: JID) -> StanzaError | None:
        """Why there may be no such session, or None when there is room for it (RFC 6120 7.6.2, 7.7.2)."""
        if account is None or account.state.get("disabled"):
            return StanzaError("not-allowed", text="This account is not to be used.")
        sessions = account.sessions
        older = sessions.get(jid.resource)
        if older is not None:
            older.close(StreamError("conflict", "The same resource was bound by another connection."))
        elif len(sessions) >= self._streams.limits.sessions_per_account:
            asleep = next((session for session in sessions.values() if session.stream is None), None)
            if asleep is None:
                return StanzaError("resource-constraint", text="This account has too many connections.")
            asleep.close()              # a client that comes back without resuming has given it up, most likely
        return None

    def _touch(self, account: Account) -> None:
        now = self._streams.router.now()
        if now - account.state.get("touched", 0.0) >= _TOUCH_S:
            account.state["touched"] = now
            self._streams.router.store.accounts.touch(account.id, now)

    # Resumption, XEP-0198 5
    def _resume(self, action: steps.Resume) -> None:
        assert self.negotiation is not None and self.jid is not None
        self._streams.resumable.resume(
            self._stream, self.jid.bare, action.previd, action.h, bool(self.negotiation.visit))

    def not_resumed(self, h: int | None) -> None:
        """There is no such session; `h` is what it had handled, if that is known."""
        self._streams.counts.resume_failed += 1
        assert self.negotiation is not None
        self._go_on(self.negotiation.resume_failed, "item-not-found", h)

    def resumed(self, session: Session, h: int, again: list[Stanza]) -> None:
        """`session` goes on here; the client gets `again` once more, before anything it sent ahead is worked off."""
        n, stream = self.negotiation, self._stream
        assert n is not None
        self._streams.counts.resumed += 1
        stream.session = session
        said = 2 if n.state == "settling" else 1        # <success/> and the features, or <resumed/>
        actions = n.resumed(h, session.jid)
        self._do(actions[:said])
        stream.send_again(again)
        self._go_on(lambda: actions[said:])
        stream.settle()
        self._began(session)


_ACTIONS: Final = {
    steps.StartTLS: "_start_tls", steps.Restart: "_restart", steps.Close: "_close", steps.Deliver: "_deliver",
    steps.Enable: "_enable", steps.Admit: "_admit",
    steps.FindAccount: "_find_account", steps.CheckPassword: "_check_password",
    steps.AuthFailed: "_failed", steps.Authenticated: "_authenticated", steps.Bind: "_bind",
    steps.Resume: "_resume", steps.BindInline: "_bind_inline", steps.FindTokens: "_find_tokens",
    steps.IssueToken: "_issue_token", steps.UseToken: "_use_token",
    steps.Register: "_register",
}
