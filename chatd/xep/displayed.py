"""Message Displayed Synchronization, XEP-0490: how far one has read, shared by all of a person's clients.

Clients publish it on a node of their account; nothing is to be done for that. Here is the short way (section 4.3):
a message that says so is relieved of it, and the server publishes in the client's place.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Message, Module
from chatd.xep.pep.pep import Pep

__all__ = ["Displayed"]

_DISPLAYED: Final = f"{ns.DISPLAYED} displayed"

log = Logger()


class Displayed(Module):
    """XEP-0490: takes it out of messages and publishes it."""

    name = "displayed"
    xep = "0490"
    version = "1.0.1"
    account_features = (ns.DISPLAYED_ASSIST,)
    needs = ("pep",)

    def start(self, api: Api) -> None:
        """Hooks what clients send, before it is archived."""
        super().start(api)
        pep = api.modules["pep"]
        assert isinstance(pep, Pep)
        self._publishing = pep.publishing
        api.on("message.sent", self._sent, 100)

    def _sent(self, message: Message) -> None:
        stanza, account = message.stanza, message.account
        if _DISPLAYED not in stanza.children or account is None:
            return
        payload = next(stanza.element.elements(ns.DISPLAYED, "displayed")).toXml().encode()
        message.stanza = stanza.without(ns.DISPLAYED, "displayed")
        Deferred.fromCoroutine(self._publish(account, message.to.full, payload)).addErrback(
            lambda failure: log.info("What {jid} has read is not kept: {reason}", jid=account.bare,
                                     reason=failure.value))

    async def _publish(self, account: IAccount, chat: str, payload: bytes) -> None:
        node = (await self._publishing.nodes(account)).get(ns.DISPLAYED)
        if node is not None and node.config["access"] != "whitelist":
            raise StanzaError("conflict", text="the node is not for the account alone")
        await self._publishing.publish(account, ns.DISPLAYED, [(chat, payload)])
