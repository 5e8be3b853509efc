"""The commands of chatctl that the daemon itself carries out: accounts, reload, status.

They stand here and not in a room because they join several: the store keeps the accounts, auth makes what
is kept of a password, the server holds the sessions. Modules add their own through their api.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import maybeDeferred

from chatd.core.accounts import AccountExists, AccountRow, FastRow, Verifier
from chatd.core.errors import StreamError, Unavailable
from chatd.core.jid import JID, InvalidJID
from chatd.server.control import CommandError, Commands, text_argument

MakeVerifiers = Callable[[str, int], Awaitable[Mapping[str, Verifier]]]


class InMemory(Protocol):
    """Accounts somebody uses now: of chatd.server.accounts.Accounts what is needed here."""

    def find(self, bare: str) -> Any:
        """Return the account with its `sessions`, or None."""

    def load(self, jid: JID) -> Any:
        """Return the account, from the store if need be, perhaps as a Deferred."""

    def forget(self, bare: str) -> None:
        """Read the account anew when it is next needed."""


def account_shown(row: AccountRow, online: int) -> dict[str, Any]:
    """Return what chatctl shows of an account; nothing of its password. online: sessions it has now."""
    return {
        "jid": row.jid,
        "disabled": row.disabled,
        "created": row.created,
        "last_login": row.last_login,
        "sessions": online,
    }


def token_shown(token: FastRow) -> str:
    """Return what chatctl shows of a client that has a token: what it says it is, as far as it says so."""
    return " on ".join(word for word in (token.software or "a client", token.device) if word)


@attrs.define
class UserCommands:
    """`user add|passwd|check-password|disable|enable|sign-out|end-session|delete|list|show`.

    store: its `accounts` keep what is changed. accounts: who is in memory; a disabled or deleted account
    loses its sessions at once. make_verifiers(password, iterations): what is kept of a password; it takes
    some 10 ms of CPU. domains: those served. now: seconds since 1970. deleted(account): told after it is
    gone, with the account as it was in memory. disabled(jid, is_disabled): told of both. visits(jid): its sessions in
    meetings, by ticket; they end too.
    auth: the IAuthentication. created(jid): told when an account is made.
    """

    store: Any
    accounts: InMemory
    make_verifiers: MakeVerifiers
    domains: Callable[[], frozenset[str]]
    iterations: Callable[[], int]
    now: Callable[[], float]
    deleted: Callable[[Any], None] = lambda account: None
    disabled: Callable[[str, bool], None] = lambda jid, is_disabled: None
    visits: Callable[[str], list[Any]] = lambda bare: []
    auth: Any = None
    created: Callable[[str], None] = lambda jid: None

    def register(self, commands: Commands) -> None:
        """Offer them all."""
        commands.register("user add", self.add, "make an account")
        commands.register("user passwd", self.passwd, "set the password of an account")
        commands.register("user check-password", self.check_password, "is this the password of an account?")
        commands.register("user disable", self.disable, "keep an account from logging in; ends its sessions")
        commands.register("user enable", self.enable, "let a disabled account log in again")
        commands.register("user sign-out", self.sign_out, "end an account's sessions, and what lets clients back in "
                          "without the password")
        commands.register("user end-session", self.end_session, "end one session (full address) or all of an account's")
        commands.register("user delete", self.delete, "delete an account with all that is kept of it")
        commands.register("user list", self.list_all, "list accounts, of one domain or of all")
        commands.register("user show", self.show, "show one account")

    async def add(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make the account `jid` with `password`; refused with conflict when it is there."""
        jid = self._jid(arguments)
        verifiers = await self._verifiers(arguments)
        try:
            await self.store.accounts.create(jid.local, jid.domain, verifiers, self.now())
        except AccountExists:
            raise CommandError("conflict", f"{jid.bare} is there already.") from None
        self.created(jid.bare)
        return {"jid": jid.bare}

    async def passwd(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Set the password of `jid`; sessions that are open stay open, tokens of its clients end."""
        row = await self._row(arguments)
        await self.store.accounts.set_verifiers(row.id, await self._verifiers(arguments))
        return {"jid": row.jid}

    async def check_password(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Ask whoever knows the passwords of `jid`, as a log-in would: nobody's account is made by it."""
        jid = self._jid(arguments)
        try:
            right, disabled = await self.auth.check(
                jid.local, jid.domain, text_argument(arguments, "password"), is_log_in=False)
        except Unavailable as error:
            raise CommandError("internal-server-error", f"That cannot be said now: {error}.") from None
        if not right:
            raise CommandError("not-authorized", f"This is not the password of {jid.bare}, or nobody has that address.")
        if disabled:
            raise CommandError("not-authorized", f"The password is right, but {jid.bare} is disabled.")
        return {"jid": jid.bare}

    async def disable(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Keep `jid` from logging in, and end its sessions."""
        row = await self._row(arguments)
        await self.store.accounts.set_disabled(row.id, True)
        self.disabled(row.jid, True)
        ended = self._end_sessions(row.jid, "This account was disabled.")
        return {"jid": row.jid, "sessions_ended": ended}

    async def enable(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Let `jid` log in again."""
        row = await self._row(arguments)
        await self.store.accounts.set_disabled(row.id, False)
        self.disabled(row.jid, False)
        self._forget(row.jid)
        return {"jid": row.jid}

    async def sign_out(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """End the sessions of `jid` and take its clients' tokens back (XEP-0484): all have to give the password."""
        row = await self._row(arguments)
        tokens = await self.store.fast.clear(row.id)
        ended = self._end_sessions(row.jid, "You have been signed out.")
        return {"jid": row.jid, "sessions_ended": ended, "tokens_ended": tokens}

    async def end_session(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """End the session of the full address `jid`, or all of an account; they may come back at once."""
        text = text_argument(arguments, "jid")
        bare, _, resource = text.partition("/")
        jid = self._jid({**arguments, "jid": bare})
        account = self.accounts.find(jid.bare)
        sessions = {} if account is None else dict(account.sessions)
        if resource:
            sessions = {name: session for name, session in sessions.items() if name == resource}
            if not sessions:
                raise CommandError("item-not-found", f"{text} is not there.")
        for session in sessions.values():
            session.close(StreamError("policy-violation", "An administrator has ended your session."))
        return {"jid": text, "sessions_ended": len(sessions)}

    async def delete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Delete `jid` and all kept of it. First nobody may log in, then sessions end, then it goes."""
        row = await self._row(arguments)
        await self.store.accounts.set_disabled(row.id, True)
        self.disabled(row.jid, True)
        ended = self._end_sessions(row.jid, "This account was deleted.")
        account = await maybeDeferred(self.accounts.load, JID.of(row.local, row.domain))
        await self.store.accounts.delete(row.id)
        self._forget(row.jid)
        self.deleted(account)
        return {"jid": row.jid, "sessions_ended": ended}

    async def list_all(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """List the accounts of `domain`, or of all domains without it."""
        domain = arguments.get("domain")
        if domain is not None and domain not in self.domains():
            raise CommandError("item-not-found", f"{domain!r} is not among this server's domains.")
        rows = await self.store.accounts.list(domain)
        return [account_shown(row, self._sessions(row.jid)) for row in rows]

    async def show(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Show the account `jid` and its sessions."""
        row = await self._row(arguments)
        account = self.accounts.find(row.jid)
        resources = sorted(account.sessions) if account is not None else []
        return {
            **account_shown(row, len(resources)),
            "resources": resources,
            "mechanisms": sorted(row.verifiers),
            "tokens": sorted({token_shown(token) for token in await self.store.fast.list(row.id)}),
        }

    def _jid(self, arguments: Mapping[str, Any]) -> JID:
        text = text_argument(arguments, "jid")
        try:
            jid = JID.parse(text)
        except InvalidJID as error:
            raise CommandError("jid-malformed", f"{text!r} is not an address: {error}.") from None
        if not jid.local or jid.resource:
            raise CommandError("jid-malformed", f"{text!r} is not an account's address, such as john@example.com.")
        if jid.domain not in self.domains():
            served = ", ".join(sorted(self.domains()))
            raise CommandError("item-not-found", f"{jid.domain} is not among this server's domains: {served}.")
        return jid

    async def _verifiers(self, arguments: Mapping[str, Any]) -> Mapping[str, Verifier]:
        password = text_argument(arguments, "password")
        try:
            return await self.make_verifiers(password, self.iterations())
        except ValueError as error:
            raise CommandError("not-acceptable", f"This password cannot be used: {error}.") from None

    async def _row(self, arguments: Mapping[str, Any]) -> AccountRow:
        jid = self._jid(arguments)
        row = await self.store.accounts.get(jid.local, jid.domain, fresh=True)
        if row is None:
            raise CommandError("item-not-found", f"There is no account {jid.bare}.")
        return row

    def _sessions(self, bare: str) -> int:
        account = self.accounts.find(bare)
        return 0 if account is None else len(account.sessions)

    def _end_sessions(self, bare: str, text: str) -> int:
        account = self.accounts.find(bare)
        sessions = [*([] if account is None else account.sessions.values()), *self.visits(bare)]
        for session in sessions:
            session.close(StreamError("not-authorized", text))
        self._forget(bare)
        return len(sessions)

    def _forget(self, bare: str) -> None:
        """What memory holds of the account is read anew when it is next needed."""
        self.accounts.forget(bare)
