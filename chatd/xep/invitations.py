"""Invitations: an account, or a contact, for whoever has the link. XEP-0401, XEP-0445 (before log-in), XEP-0379.

Made by the commands of XEP-0401 (who may, [registration] invitations says) and by `chatctl invite`. A link is good once
and for [registration] invitation_days. A name that one of them was made for is kept for it. Whoever makes an account by
somebody's invitation is his contact at once; whoever has an account already asks for the subscription with the token.

Accounts are made on domains only whose passwords are chatd's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.invitations import TOKEN_MOST, InvitationRow, digest_of, link_of
from chatd.core.jid import JID, InvalidJID
from chatd.core.roster import RosterItem
from chatd.core.stamp import format_stamp
from chatd.core.stanza import Stanza
from chatd.interfaces import IAccount, IInvitations
from chatd.xep.adhoc import AdhocCommand, Field, Outcome
from chatd.xep.administration import administers
from chatd.xep.api import Api, Module, Request
from chatd.xep.registration import INSTRUCTIONS, credentials_of, keeps_passwords

__all__ = ["Invitations"]

log = Logger()

INVITE: Final = "urn:xmpp:invite"
_RESULT: Final = (
    Field("uri", "text-single", "Link for a chat program"), Field("landing-url", "text-single", "Page to send"),
    Field("expire", "text-single", "Good until"))
_DAY_MS: Final = 86_400_000
_OPEN_MOST: Final = 50
"""Invitations of one person that wait to be used."""
_INVALID: Final = "The invitation is not valid, or not any more."


@implementer(IInvitations)
class Invitations(Module):
    """XEP-0401 and what it builds on."""

    name = "invitations"
    xep = "0401"
    version = "0.6.0"
    also = (("0379", "0.3.3"), ("0445", "0.2.0"))
    needs = ("adhoc", "administration", "presence", "registration", "roster")

    def start(self, api: Api) -> None:
        """Offers the commands, and waits for those who come with a token."""
        super().start(api)
        self._store = api.store.invitations
        everybody = AdhocCommand(f"{INVITE}#invite", "Invite somebody", self._may_invite, self._invite)
        admins = AdhocCommand(
            f"{INVITE}#create-account", "Invite somebody to make an account", self._may_create, self._create,
            (Field("username", "text-single", "User name; without one, it can be chosen", False),
             Field("roster-subscription", "boolean", "Become contacts of each other", False)))
        api.on("adhoc.commands", lambda: (everybody, admins))
        api.on("presence.preauth", self._preauthorised)
        api.command("invite", self._command, "a link by which somebody can make an account of `domain`, once")
        api.command("invite list", self._command_list, "invitations of `domain` that were not used yet")

    # -- who may
    @property
    def _mode(self) -> str:
        return str(self.api.settings.registration.invitations)

    def may_register(self, domain: str) -> bool:
        """See IInvitations."""
        return self._mode != "off" and keeps_passwords(self.api.settings, domain)

    def _may_invite(self, request: Request) -> bool:
        session = request.session
        is_of_here = session is not None and session.account.jid.domain == request.to.domain and (
            self.api.router.accounts.find(session.account.bare) is session.account)
        return is_of_here and (self._mode == "everybody" or self._mode == "admins" and self._may_create(request))

    def _may_create(self, request: Request) -> bool:
        return self.may_register(request.to.domain) and administers(self.api.settings, request)

    # -- making them
    def _invite(self, request: Request, values: Mapping[str, list[str]]) -> Any:
        return Deferred.fromCoroutine(self._made(request.to.domain, "", request.from_.bare))

    def _create(self, request: Request, values: Mapping[str, list[str]]) -> Any:
        is_contact = (values["roster-subscription"] or ["0"])[0] in ("1", "true")
        name, admins = (values["username"] or [""])[0], self.api.settings.server.admins
        bare = f"{_local(name, request.to.domain)}@{request.to.domain}" if name else ""
        if bare in admins and request.from_.bare not in admins:
            raise StanzaError("forbidden", "cancel", text="This account administers all domains.")
        return Deferred.fromCoroutine(self._made(request.to.domain, name, request.from_.bare if is_contact else ""))

    async def _made(self, domain: str, name: str, inviter: str) -> Outcome:
        made = await self.make(domain, name, inviter)
        values = {"uri": [made["uri"]], "landing-url": [made["page"]], "expire": [made["expires"]]}
        return Outcome("", values, _RESULT, f"{INVITE}#invitation")

    async def make(self, domain: str, name: str = "", inviter: str = "") -> dict[str, str]:
        """A new invitation: `uri`, `page` and when it `expires`. name: kept for who was invited. Raises StanzaError."""
        local = _local(name, domain) if name else ""
        waiting = await self._store.list(domain)
        now_ms = int(self.api.now() * 1000)
        if inviter and sum(row.inviter == inviter and row.expires_ms > now_ms for row in waiting) >= _OPEN_MOST:
            raise StanzaError("resource-constraint", "wait", text="Too many of your invitations wait to be used.")
        if local and (_reserved(waiting, local, now_ms) or await self.api.store.accounts.get(local, domain)):
            raise StanzaError("conflict", text=f"{local}@{domain} is taken.")
        token = secrets.token_urlsafe(24)
        days = self.api.settings.registration.invitation_days
        row = InvitationRow(digest_of(token), domain, local, inviter, now_ms, now_ms + days * _DAY_MS)
        await self._store.add(row)
        return {"uri": link_of(row, token, self.may_register(domain)),
                "page": f"{self.api.settings.http.public_url}/invite/{token}", "expires": format_stamp(row.expires_ms)}

    # -- using them
    async def look(self, token: str, domain: str = "") -> InvitationRow:
        """See IInvitations."""
        row: InvitationRow | None = await self._store.get(digest_of(token)) if len(token) <= TOKEN_MOST else None
        if row is None or row.expires_ms < self.api.now() * 1000 or domain not in ("", row.domain):
            raise StanzaError("item-not-found", text=_INVALID)
        if row.inviter:
            # Who was sent away brings nobody in any more.
            by = JID.parse(row.inviter)
            account = await self.api.store.accounts.get(by.local, by.domain)
            if account is None or account.disabled:
                raise StanzaError("item-not-found", text=_INVALID)
        return row

    async def register(self, token: str, name: str, password: str) -> str:
        """See IInvitations."""
        row = await self.look(token)
        if not self.may_register(row.domain):
            raise StanzaError("item-not-found", text=_INVALID)
        local = _local(name, row.domain)
        now_ms = int(self.api.now() * 1000)
        if row.local and local != row.local:
            raise StanzaError("not-acceptable", "modify", text=f"This invitation is for the name {row.local}.")
        # Nobody becomes an administrator by choosing a name that the configuration has and no account yet.
        if not row.local and (f"{local}@{row.domain}" in self._admins(row.domain)
                              or _reserved(await self._store.list(row.domain), local, now_ms)):
            raise StanzaError("conflict", text=f"{local}@{row.domain} is taken.")
        if await self._store.take(row.digest) is None:
            raise StanzaError("item-not-found", text=_INVALID)
        bare = f"{local}@{row.domain}"
        try:
            assert self.api.perform is not None
            await self.api.perform("user add", {"jid": bare, "password": password})
        except BaseException:
            await self._store.add(row)          # it was not used
            raise
        if row.inviter:
            try:
                await self._befriend(row.inviter, bare)
            except Exception:
                # The account is there, and the invitation spent: that is what counts.
                log.failure("{jid} could not be made a contact of who invited him", jid=bare)
        return bare

    def _admins(self, domain: str) -> tuple[str, ...]:
        served = self.api.settings.domain(domain)
        return (*self.api.settings.server.admins, *(() if served is None else served.admins))

    async def _befriend(self, inviter: str, bare: str) -> None:
        accounts = self.api.router.accounts
        roster: Any = self.api.modules["roster"]
        presence: Any = self.api.modules["presence"]
        one = await maybeDeferred(accounts.load, JID.parse(inviter))
        other = await maybeDeferred(accounts.load, JID.parse(bare))
        if one is None or other is None:
            return
        for account, contact in ((one, other), (other, one)):
            item = account.own.get(contact.bare) or RosterItem(contact.bare)
            await roster.store(account, attrs.evolve(
                item, subscription="both", ask=False, pending_in=None, listed=True))
        presence.show(one, bare)
        self.api.hooks.tell("presence.shown", one, bare)

    def _preauthorised(self, account: IAccount, from_: JID, stanza: Stanza) -> Any:
        """XEP-0379 3.4, done by the server: a request with the token of an invitation of this account."""
        return Deferred.fromCoroutine(self._is_preauthorised(account, stanza))

    async def _is_preauthorised(self, account: IAccount, stanza: Stanza) -> bool:
        token = next((child.getAttribute("token") or "" for child in stanza.element.elements()
                      if child.uri == ns.PREAUTH), "")
        try:
            row = await self.look(token, account.jid.domain)
        except StanzaError:
            return False
        return row.inviter == account.bare and await self._store.take(row.digest) is not None

    # -- XEP-0445: before log-in
    async def before_log_in(self, stanza: Stanza, domain: str, known: dict[str, str]) -> bytes:
        """See IInvitations."""
        child = next(stanza.element.elements())
        if child.name == "preauth":
            token = child.getAttribute("token") or ""
            await self.look(token, domain)
            known["token"] = token
            return b""
        if stanza.type == "get":
            return (f'<query xmlns="{ns.REGISTER}"><instructions>{INSTRUCTIONS}</instructions><username/><password/>'
                    "</query>").encode()
        if "token" not in known:
            raise StanzaError("not-allowed", text="Accounts are made by invitation only.")
        username, password = credentials_of(child)
        if not username or not password:
            raise StanzaError("not-acceptable", "modify", text="User name and password are needed.")
        await self.register(known["token"], username, password)
        del known["token"]
        return b""

    # -- chatctl
    async def _command_make(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        domain = self._domain(arguments)
        if not self.may_register(domain):
            raise StanzaError("not-allowed", text=f'Nobody makes accounts of {domain} by invitation: [registration] '
                                                  'invitations is "off", or another server knows the passwords.')
        return await self.make(domain, str(arguments.get("name") or ""))

    def _command(self, arguments: Mapping[str, Any]) -> Any:
        """{"domain": "example.com", "name": "john"} -> {"uri", "page", "expires"}."""
        return Deferred.fromCoroutine(self._command_make(arguments))

    def _command_list(self, arguments: Mapping[str, Any]) -> Any:
        """{"domain": "example.com"} -> [{"name", "inviter", "expires"}]."""
        def shown(rows: list[InvitationRow]) -> list[dict[str, Any]]:
            return [{"name": row.local, "inviter": row.inviter, "expires": row.expires_ms / 1000} for row in rows
                    if row.expires_ms > self.api.now() * 1000]

        return self._store.list(self._domain(arguments)).addCallback(shown)

    def _domain(self, arguments: Mapping[str, Any]) -> str:
        domain, served = arguments.get("domain"), sorted(self.api.router.domains)
        if domain is None and len(served) == 1:
            return served[0]
        if domain not in served:
            raise StanzaError("item-not-found", text=f"Say the domain: {', '.join(served)}.")
        return str(domain)


def _local(name: str, domain: str) -> str:
    """The local part in its normal form; raises StanzaError for what is none."""
    try:
        jid = JID.parse(name if "@" in name else f"{name.strip()}@{domain}")
    except InvalidJID:
        raise StanzaError("jid-malformed", "modify", text="This cannot be a user name.") from None
    if jid.domain != domain or not jid.local or jid.resource:
        raise StanzaError("jid-malformed", "modify", text="This cannot be a user name.")
    return jid.local


def _reserved(rows: list[InvitationRow], local: str, now_ms: int) -> bool:
    return any(row.local == local and row.expires_ms > now_ms for row in rows)
