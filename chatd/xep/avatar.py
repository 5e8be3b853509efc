"""vCard-Based Avatars, XEP-0153: a client's presence names the hash of the photo in the account's vCard.

A client that takes part but does not know the hash, or knows a former one, is helped as XEP-0398 4 describes it:
the server, which has the vCard, puts the right one in.  An empty <photo/> is the client's own wish
and stays; presence without the element is left alone.  There is no conversion to or from PEP.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.stanza import Stanza
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Module

__all__ = ["Avatar"]

_UPDATE: Final = f"{ns.VCARD_UPDATE} x"

_log = Logger()


class Avatar(Module):
    """XEP-0153: stamps the photo's hash into presence."""

    name = "avatar"
    xep = "0153"
    version = "1.1.1"
    needs = ("vcard",)

    def start(self, api: Api) -> None:
        """Hooks presence, and the change of a vCard."""
        super().start(api)
        api.on("vcard.changed", self._changed)
        api.on("presence.sent", self._sent)

    def _found(self, photo: str | None, account: IAccount) -> None:
        if account.state.get("avatar") is not None:
            return                                          # changed meanwhile
        account.state["avatar"] = photo or ""
        if not photo:
            return
        router: Any = self.api.router
        for session in list(account.available()):
            # It could not wait for the store: said again, this time with the hash.
            if _UPDATE in session.presence.children and stamped(session.presence, photo):
                router.from_session(session, session.presence.readdressed())

    def _not_found(self, failure: Any, account: IAccount) -> None:
        account.state.pop("avatar", None)
        _log.failure("the hash of a photo could not be read", failure=failure)

    def _changed(self, account: IAccount, photo: str) -> None:
        account.state["avatar"] = photo

    def _sent(self, session: ISession, stanza: Stanza) -> Stanza | None:
        if _UPDATE not in stanza.children:
            return None
        account = session.account
        if "avatar" not in account.state:
            # Asked once while the account stays in memory, and only for clients that take part.
            account.state["avatar"] = None
            self.api.store.vcard.photo_sha1(account.id).addCallbacks(
                self._found, self._not_found, callbackArgs=(account,), errbackArgs=(account,))
            return None
        photo = account.state["avatar"]
        return stamped(stanza, photo) if photo else None


def stamped(stanza: Stanza, photo: str) -> Stanza | None:
    """The presence with this hash, None if it has it, or says that it wants none."""
    element: Any = stanza.element
    named = [str(child).strip().lower() for update in element.elements(ns.VCARD_UPDATE, "x")
             for child in update.elements(ns.VCARD_UPDATE, "photo")]
    if named == [photo] or "" in named:
        return None
    rest = domish.Element((element.uri, element.name), element.defaultUri, dict(element.attributes))
    rest.children = [child for child in element.children
                     if isinstance(child, str) or (child.uri, child.name) != (ns.VCARD_UPDATE, "x")]
    update = f'<x xmlns="{ns.VCARD_UPDATE}"><photo>{photo}</photo></x>'
    return Stanza.from_element(rest).added(update.encode(), _UPDATE)
