"""Private XML Storage, XEP-0049: what a person's clients keep here for themselves, one element a name."""

from __future__ import annotations

from typing import Any, Final

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

        def found(value: bytes | None) -> bytes:
            if value is None:
                value = f'<{asked.name} xmlns="{attribute(asked.uri)}"/>'.encode()
            return f'<query xmlns="{ns.PRIVATE}">'.encode() + value + b"</query>"

        return self.api.store.private.get(account.id, f"{asked.uri} {asked.name}").addCallback(found)

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
        return self.api.store.private.set(account.id, values, _NAMES_MOST).addCallback(_kept)


def _kept(is_kept: bool) -> bytes:
    if not is_kept:
        raise StanzaError("resource-constraint", "wait", text=f"An account keeps at most {_NAMES_MOST} elements here.")
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
