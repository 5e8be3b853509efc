"""`chatctl check domain other.example`: tries to reach one domain as a message would, and tells each step.

The connection is one of its own, so that a look at it disturbs nobody, and it goes one way, so that the answer to the
ping shows whether they reach us too.  Who may do it owns the control socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from chatd.core import ns
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import Stanza
from chatd.server.control import CommandError, Commands, text_argument
from chatd.server.s2s.attempt import Attempt, Note, NoWay
from chatd.server.s2s.outgoing import Outgoing

if TYPE_CHECKING:
    from chatd.server.s2s.federation import Federation

__all__ = ["DomainCheck"]

WORDS: Final = "check domain"
PING_S: Final = 15.0
WHOLE_S: Final = 90.0


class DomainCheck:
    """The command. pings: what waits for an answer, by id."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self._pings: dict[str, tuple[str, Deferred[Stanza]]] = {}
        federation.router.hooks.on("iq.answered", self._answered, 0)

    def register(self, commands: Commands) -> None:
        """Let chatctl ask for it."""
        commands.register(WORDS, self.run, "try to reach another domain, step by step; domain=, from=")

    async def run(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The steps: {"step", "ok", "text"} each. Raises CommandError for a name that is none."""
        federation = self.federation
        try:
            remote = JID.parse(text_argument(arguments, "domain")).domain
            local = JID.parse(str(arguments.get("from") or min(federation.router.domains))).domain
        except InvalidJID as error:
            raise CommandError("jid-malformed", f"This is no domain: {error}.") from None
        if federation.hosts(remote):
            raise CommandError("bad-request", f"{remote} is served here; `chatctl check` looks after it.")
        if not federation.hosts(local):
            raise CommandError("bad-request", f"{local} is not served here.")
        if why := federation.policy.refuses(remote):
            return _shown([Note("policy", False, why)])
        return _shown([Note("policy", True, _terms(federation, remote)), *await self._try(local, remote)])

    async def _try(self, local: str, remote: str) -> list[Note]:
        clock = self.federation.clock
        attempt = Attempt(self.federation, local, remote, is_one_way=True)
        late = clock.callLater(WHOLE_S, attempt.cancel, "it took too long")
        try:
            stream = await attempt.start()
        except NoWay as error:
            notes = attempt.notes
            return notes if notes and notes[-1].text == str(error) else [*notes, Note("result", False, str(error))]
        finally:
            if late.active():
                late.cancel()
        try:
            return [*attempt.notes, await self._ping(stream, local, remote)]
        finally:
            stream.close()

    async def _ping(self, stream: Outgoing, local: str, remote: str) -> Note:
        """A question that they must answer, on the same connection or over one they open to us."""
        clock = self.federation.clock
        id_ = self.federation.token()
        answered: Deferred[Stanza] = Deferred()
        self._pings[id_] = remote, answered
        late = clock.callLater(PING_S, answered.cancel)
        began = clock.seconds()
        attrs = {"type": "get", "id": id_, "from": local, "to": remote}
        stream.send_stanza(Stanza("iq", attrs, f"<ping xmlns='{ns.PING}'/>".encode(), (f"{ns.PING} ping",)))
        try:
            await answered
        except Exception:
            return Note("ping", False, f"no answer in {PING_S:g} s: {remote} hears us, but its way back to {local} "
                                       "does not work; see DNS, port and certificate of this server")
        finally:
            self._pings.pop(id_, None)
            if late.active():
                late.cancel()
        took = f"answered in {(clock.seconds() - began) * 1000:.0f} ms"
        if any(not one.is_outgoing and (remote, local) in one.pairs for one in self.federation.open):
            return Note("ping", True, f"{took}, over a connection of theirs: they reach us too")
        return Note("ping", True, f"{took}, over another connection of ours that is up; whether they could connect to "
                                  "us does not show as long as it is")

    def _answered(self, stanza: Stanza, from_: JID, to: JID) -> None:
        remote, answered = self._pings.get(stanza.attrs.get("id", ""), ("", None))
        if answered is not None and from_.full == remote and not answered.called:
            answered.callback(stanza)


def _terms(federation: Federation, remote: str) -> str:
    terms = federation.policy.terms(remote)
    said = ["it may be talked to", "TLS is required" if terms.encryption else "TLS is not required (an exception)",
            "dialback is allowed" if terms.dialback else "its certificate must prove its name"]
    return ", ".join(said)


def _shown(notes: list[Note]) -> list[dict[str, Any]]:
    return [{"step": note.step, "ok": note.ok, "text": note.text} for note in notes]
