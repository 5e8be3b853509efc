"""Private XML Storage, XEP-0049: what a person's clients keep here for themselves, one element a name.

Names that live elsewhere too are a matter of other modules, by the events
    private.read(account, name, value) -> Deferred of the value or None     value: what is kept here; None: not mine
    private.written(account, name, value) -> Deferred of what to keep here, or None
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import attribute
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module, Request

__all__ = ["Private"]

#: Names one account may use: clients need a handful (bookmarks, notes, settings).
_NAMES_MOST: Final = 100


class Private(Module):
    """XEP-0049: get and set; the account itself only."""

    name = "private"
    xep = "0049"
    version = "1.2"
    features = (ns.PRIVATE,)

    def start(self, api: Api) -> None:
        """Answers get and set."""
        super().start(api)
        api.iq("get", f"{ns.PRIVATE} query", self._get)
        api.iq("set", f"{ns.PRIVATE} query", self._set)

    def _get(self, request: Request) -> Any:
        account = _account(request)
        elements = list(request.child.elements())
        if len(elements) != 1:
            raise StanzaError("bad-request", text="Name the one element that is wanted.")
        asked = _checked(elements[0])

        return Deferred.fromCoroutine(self._read(account, asked))

    async def _read(self, account: IAccount, asked: domish.Element) -> bytes:
        name = f"{asked.uri} {asked.name}"
        value = await self.api.store.private.get(account.id, name)
        for hook in self.api.hooks.events.get("private.read", ()):
            more = hook(account, name, value)
            if more is not None:
                value = await more
        if value is None:
            value = f'<{asked.name} xmlns="{attribute(asked.uri)}"/>'.encode()
        return f'<query xmlns="{ns.PRIVATE}">'.encode() + value + b"</query>"

    def _set(self, request: Request) -> Any:
        account = _account(request)
        most = self.api.settings.limits.private_bytes
        values: dict[str, bytes] = {}
        for element in request.child.elements():
            name = f"{_checked(element).uri} {element.name}"
            values[name] = element.toXml().encode()
            if len(values[name]) > most:
                raise StanzaError("not-acceptable", text=f"One element has at most {most} bytes "
                                                         "(limits.private_bytes).")
        if not values:
            raise StanzaError("bad-request", text="There is nothing to keep.")
        return Deferred.fromCoroutine(self._write(account, values))

    async def _write(self, account: IAccount, values: dict[str, bytes]) -> bytes:
        for hook in self.api.hooks.events.get("private.written", ()):
            for name, value in list(values.items()):
                instead = hook(account, name, value)
                if instead is not None:
                    values[name] = await instead
        if not await self.api.store.private.set(account.id, values, _NAMES_MOST):
            raise StanzaError("resource-constraint", "wait",
                              text=f"An account keeps at most {_NAMES_MOST} elements here.")
        return b""


def _account(request: Request) -> IAccount:
    if request.session is None or request.account is None:
        raise StanzaError("forbidden")
    return request.account


def _checked(element: domish.Element) -> domish.Element:
    """Section 2.3: an element has a namespace of its own."""
    if not element.uri or element.uri == ns.PRIVATE:
        raise StanzaError("not-acceptable", text="The element needs a namespace of its own.")
    return element
