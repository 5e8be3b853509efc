"""One's own registration, XEP-0077: a new password, or the end of the account. Accounts are made by invitation only,
see `chatd.xep.invitations`.

A password that another server knows cannot be changed here; the refusal says where it can. Whether somebody may end his
account is the site's to say ([registration] may_cancel).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import text
from chatd.core.webmail import GRANT
from chatd.xep.api import ANSWERED, Api, Module, Request

__all__ = ["Registration", "credentials_of", "keeps_passwords"]

INSTRUCTIONS: Final = "Choose a user name and a password."


def keeps_passwords(settings: Any, domain: str) -> bool:
    """Are all passwords of the domain chatd's own?"""
    found = settings.domain(domain)
    return found is not None and all(source.kind == "internal" for source in found.auth)


def credentials_of(query: domish.Element) -> tuple[str, str]:
    """User name and password of a <query/>, also as a data form; "" for what is missing."""
    values: dict[str, str] = {}
    for child in query.elements():
        if child.uri == ns.DATA and child.name == "x":
            for field in child.elements():
                values.setdefault(field.getAttribute("var") or "", "".join(
                    str(value) for value in field.elements() if value.name == "value"))
        elif child.uri == ns.REGISTER:
            values[child.name] = str(child)
    return values.get("username", "").strip(), values.get("password", "")


class Registration(Module):
    """XEP-0077 for accounts that are there."""

    name = "registration"
    xep = "0077"
    version = "2.4"
    features = (ns.REGISTER,)

    def start(self, api: Api) -> None:
        """Answers the account itself; its client may name the domain or nobody."""
        super().start(api)
        for target in ("account", "domain"):
            api.iq("get", f"{ns.REGISTER} query", self._get, target)
            api.iq("set", f"{ns.REGISTER} query", self._set, target)

    def _get(self, request: Request) -> bytes:
        """XEP-0077 3.1: registered already."""
        account = _own(request)
        return (f'<query xmlns="{ns.REGISTER}"><registered/><username>{text(account.jid.local)}</username><password/>'
                "</query>").encode()

    def _set(self, request: Request) -> Any:
        if any(child.name == "remove" and child.uri == ns.REGISTER for child in request.child.elements()):
            return Deferred.fromCoroutine(self._remove(request))
        return Deferred.fromCoroutine(self._change(request))

    def _own(self, request: Request) -> tuple[Any, Any]:
        """The account, and its domain. Who came by a token of Webmail has shown no password: nothing for him."""
        account = _own(request)
        if request.session is not None and (request.session.state or {}).get(GRANT) is not None:
            raise StanzaError("not-allowed", text="Log in with your password to do that.")
        return account, self.api.settings.domain(account.jid.domain)

    async def _change(self, request: Request) -> bytes:
        """XEP-0077 3.3. Clients with a token (XEP-0484) have to give the new password; sessions go on."""
        account, domain = self._own(request)
        username, password = credentials_of(request.child)
        if not username or not password:
            raise StanzaError("bad-request", "modify", text="User name and new password are needed.")
        try:
            named = JID.parse(username if "@" in username else f"{username}@{account.jid.domain}").bare
        except InvalidJID:
            named = ""
        if named != account.bare:
            raise StanzaError("forbidden", text="Only your own password can be changed.")
        if not keeps_passwords(self.api.settings, account.jid.domain):
            where = domain.password_page if domain is not None else ""
            raise StanzaError("not-allowed", text="This password is not kept here. Change it "
                                                  + (f"at {where}" if where else "where you change that of your mail."))
        if not self.api.settings.registration.password_change:
            raise StanzaError("not-allowed", text="Whoever runs this server sets the passwords.")
        await self._perform("user passwd", {"jid": account.bare, "password": password})
        return b""

    async def _remove(self, request: Request) -> Any:
        """XEP-0077 3.2: nothing else may stand beside <remove/>; the answer comes first, then the stream ends."""
        account, _ = self._own(request)
        if len(list(request.child.elements())) != 1:
            raise StanzaError("bad-request", "modify", text="<remove/> stands alone.")
        if not (self.api.settings.registration.may_cancel and keeps_passwords(self.api.settings, account.jid.domain)):
            raise StanzaError("not-allowed", text="Ask whoever runs this server to delete your account.")
        self.api.router.back(request.stanza.result())
        await self.api.store.barrier()
        await self._perform("user delete", {"jid": account.bare})
        return ANSWERED

    def _perform(self, words: str, arguments: Mapping[str, Any]) -> Any:
        assert self.api.perform is not None
        return self.api.perform(words, arguments)


def _own(request: Request) -> Any:
    """The account whose client asks."""
    session = request.session
    if session is None or request.account is not session.account:
        raise StanzaError("registration-required" if session is None else "forbidden")
    return session.account
