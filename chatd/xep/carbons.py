"""Message Carbons, XEP-0280: all of a person's clients see both sides of a conversation.

Which messages are copied is decided in `chatd.core.carbons`; here is who gets the copies.  They are made
of the message's bytes, once for all resources, and only when there is a resource that wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from chatd.core import ns
from chatd.core.carbons import carbon, may_copy
from chatd.core.errors import StanzaError
from chatd.core.marks import marks_of
from chatd.core.stanza import Stanza
from chatd.core.stanza_id import with_stanza_id
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Message, Module, Request

__all__ = ["Carbons"]


class Carbons(Module):
    """XEP-0280: copies for the account's other resources."""

    name = "carbons"
    xep = "0280"
    version = "1.0.1"
    features = (ns.CARBONS, "urn:xmpp:carbons:rules:0")

    def start(self, api: Api) -> None:
        """Answers enable and disable, and hooks delivered messages."""
        super().start(api)
        api.iq("set", f"{ns.CARBONS} enable", lambda request: self._switch(request, True))
        api.iq("set", f"{ns.CARBONS} disable", lambda request: self._switch(request, False))
        api.bind_feature(ns.CARBONS, enable=self._enable)
        api.on("message.routed", self._routed)

    def stop(self) -> None:
        """Nobody gets copies any more."""
        for account in self.api.router.accounts.online():
            for session in account.sessions.values():
                session.carbons = False

    def _switch(self, request: Request, on: bool) -> bytes:
        if request.session is None:
            raise StanzaError("not-allowed")            # XEP-0280 4.1, 5.1
        request.session.carbons = on
        return b""

    @staticmethod
    def _enable(session: ISession, element: Stanza) -> None:
        session.carbons = True

    def _routed(self, message: Message, sessions: Sequence[ISession]) -> None:
        """`sessions` have the message itself."""
        session, account = message.session, message.account
        sender = None if session is None else session.account
        if sender is not None and len(sender.sessions) > 1:
            others = [other for other in sender.sessions.values()
                      if other.carbons and other is not session and other not in sessions]
            if others:
                self._copy("sent", message, message.sent or message.stanza, message.sent_id, sender, others)
        if account is None or account is sender:
            return          # it went to another server, or to the sender's own address: that is done
        if len(account.sessions) > len(sessions):
            others = [other for other in account.sessions.values() if other.carbons and other not in sessions]
            if others:
                self._copy("received", message, message.stanza, None, account, others)

    def _copy(self, direction: Literal["sent", "received"], message: Message, stanza: Stanza, row_id: int | None,
              account: IAccount, others: list[Any]) -> None:
        """`row_id`: the archive's id where the stanza does not carry it itself (XEP-0313 3.4)."""
        if not may_copy(stanza.attrs.get("type"), marks_of(stanza.children), direction == "received",
                        message.from_.resource)[0]:
            return
        if row_id is not None:
            stanza = with_stanza_id(stanza, account.bare, row_id)
        copy = carbon(direction, stanza, account.bare)
        for other in others:
            other.deliver(copy.addressed(other.full))
