"""What clients want to hear of: XEP-0115 of others, read for the "+notify" of XEP-0163 4 only.

A client's presence names the hash of what it can do. Whoever shows a hash that is not known yet is asked once, and
the answer holds for all who show the same, if it has that hash; else for that client alone. So after a while hardly
anybody is asked. Presence without capabilities costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from secrets import token_hex
from typing import Any, Final

import attrs

from chatd.core import ns
from chatd.core.entity_caps import Claim, claim_of, hash_of, interests_of
from chatd.core.jid import JID
from chatd.core.stanza import Stanza, attribute
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api

__all__ = ["ClientCaps"]

_KNOWN_MOST: Final = 5000       # hashes remembered
_ASKED_MOST: Final = 2000       # questions on their way
_WAITING_MOST: Final = 5000     # clients that wait for the answer to one
_REMOTE_MOST: Final = 1000      # clients of other servers that an account keeps in mind
_PATIENCE_S: Final = 30
_NOTHING: Final[frozenset[str]] = frozenset()

#: Of an account: (account, full address, the nodes it newly wants, its session or None).
Heard = Callable[[IAccount, str, frozenset[str], ISession | None], object]


@attrs.define(eq=False)
class _Question:
    """One client is asked; the others wait. Each: account, full address, session."""

    claim: Claim
    to: str
    waiting: list[tuple[IAccount, str, ISession | None]]
    timer: Any = None


class ClientCaps:
    """Asks clients and remembers. `heard` is called when a client turns out to want nodes it did not want before."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: OrderedDict[Claim, frozenset[str]] = OrderedDict()
        self._asked: dict[str, _Question] = {}
        self._open: dict[Claim, str] = {}
        self.heard: Heard | None = None
        api.on("presence.sent", self._sent)
        api.on("presence.received", self._received)
        api.on("iq.answered", self._answered)
        api.undo(self._forget)

    # -- what others ask
    @staticmethod
    def of_session(session: ISession) -> frozenset[str]:
        """The nodes this client wants to hear of."""
        state = session.state
        return _NOTHING if state is None or "caps" not in state else state["caps"][1]

    @staticmethod
    def of_remote(account: IAccount) -> dict[str, frozenset[str]]:
        """What clients of other servers want to hear of this account, by full address."""
        return {full: wanted for full, (_, wanted) in account.state.get("caps", {}).items()}

    # -- presence
    def _sent(self, session: ISession, stanza: Stanza) -> None:
        claim = claim_of(stanza) if stanza.children else None
        if claim is None:
            if session.state is not None:
                session.state.pop("caps", None)
            return
        if session.state is None:
            session.state = {}
        is_first = session.presence is None
        known = session.state.get("caps")
        if known is not None and known[0] == claim and not is_first:
            return
        session.state["caps"] = (claim, known[1] if known is not None and not is_first else _NOTHING)
        self._learn(session.account, session.full, session, claim)

    def _received(self, account: IAccount, from_: JID, stanza: Stanza) -> None:
        """Presence of a contact on another server, who may see this account, or will when asked to be let in."""
        kept: dict[str, tuple[Claim, frozenset[str]]] = account.state.setdefault("caps", {})
        claim = claim_of(stanza) if stanza.type is None else None
        if claim is None:
            kept.pop(from_.full, None)
            return
        known = kept.get(from_.full)
        if known is not None and known[0] == claim:
            return
        while len(kept) >= _REMOTE_MOST:
            del kept[next(iter(kept))]
        kept[from_.full] = (claim, _NOTHING if known is None else known[1])
        self._learn(account, from_.full, None, claim)

    # -- asking
    def _learn(self, account: IAccount, full: str, session: ISession | None, claim: Claim) -> None:
        wanted = self._known.get(claim)
        if wanted is not None:
            self._known.move_to_end(claim)
            self._settle(account, full, session, claim, wanted)
            return
        asked = self._asked.get(self._open.get(claim, ""))
        if asked is not None and claim.is_proof:
            if len(asked.waiting) < _WAITING_MOST:
                asked.waiting.append((account, full, session))
            return
        self._ask(_Question(claim, full, [(account, full, session)]))

    def _ask(self, question: _Question) -> None:
        account, full, session = question.waiting[0]
        # Half of the room is for clients of this server, whatever others claim.
        if len(self._asked) >= (_ASKED_MOST // 2 if session is None else _ASKED_MOST):
            return
        question.to = full
        id_ = f"caps-{token_hex(8)}"
        self._asked[id_] = question
        self._open[question.claim] = id_
        node = attribute(f"{question.claim.node}#{question.claim.ver}")
        query = f'<query xmlns="{ns.DISCO_INFO}" node="{node}"/>'.encode()
        iq = Stanza("iq", {"type": "get", "id": id_, "from": account.bare, "to": full}, query,
                    (f"{ns.DISCO_INFO} query",))
        question.timer = self._api.clock.callLater(_PATIENCE_S, self._ended, id_)
        if session is not None:
            # It asks when the presence that it follows has been worked off.
            self._api.store.then(lambda error: session.deliver(iq))
        else:
            self._api.send(iq)

    def _ended(self, id_: str) -> _Question:
        """A question is answered, or never will be: then the next of those who wait is asked."""
        question = self._asked.pop(id_)
        if self._open.get(question.claim) == id_:
            del self._open[question.claim]
        if question.timer.active():
            question.timer.cancel()
        else:
            self._ask_next(question)
        return question

    def _ask_next(self, question: _Question) -> None:
        del question.waiting[0]
        while question.waiting and not self._is_there(*question.waiting[0], question.claim):
            del question.waiting[0]
        if question.waiting:
            self._ask(question)

    def _answered(self, stanza: Stanza, from_: JID, to: JID) -> None:
        id_ = stanza.id or ""
        if id_ not in self._asked or self._asked[id_].to != from_.full:
            return
        question = self._ended(id_)
        query = None
        if stanza.type == "result" and stanza.payload == f"{ns.DISCO_INFO} query":
            query = next(stanza.element.elements(), None)
        if query is None:
            self._ask_next(question)
            return
        claim, wanted = question.claim, interests_of(query)
        if claim.is_proof and hash_of(query, claim.hash) == claim.ver:
            self._known[claim] = wanted
            if len(self._known) > _KNOWN_MOST:
                self._known.popitem(last=False)
            for account, full, session in question.waiting:
                self._settle(account, full, session, claim, wanted)
        else:
            self._settle(*question.waiting[0], claim, wanted)
            self._ask_next(question)

    @staticmethod
    def _is_there(account: IAccount, full: str, session: ISession | None, claim: Claim) -> bool:
        """Does this client still show that?"""
        if session is not None:
            known = (session.state or {}).get("caps")
            return not session.is_closed and known is not None and known[0] == claim
        known = account.state.get("caps", {}).get(full)
        return known is not None and known[0] == claim

    def _settle(self, account: IAccount, full: str, session: ISession | None, claim: Claim,
                wanted: frozenset[str]) -> None:
        if not self._is_there(account, full, session, claim):
            return
        table, key = (session.state, "caps") if session is not None else (account.state["caps"], full)
        assert table is not None
        before = table[key][1]
        table[key] = (claim, wanted)
        if self.heard is not None and wanted - before:
            self.heard(account, full, wanted - before, session)

    def _forget(self) -> None:
        for question in self._asked.values():
            question.timer.cancel()
        self._asked.clear()
