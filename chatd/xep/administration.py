"""Service Administration, XEP-0133: what chatctl does, for administrators with an XMPP client.

Administrators of all domains are named in [server] admins, those of one in its [[domain]]. They run commands of the
domain's address (XEP-0050); each is carried out by the very command of chatctl, and only for accounts of that domain.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.roster import query_bytes
from chatd.xep.adhoc import AdhocCommand, Field, Outcome
from chatd.xep.api import Api, Module, Request

__all__ = ["Administration", "administers"]

_ONE: Final = Field("accountjid", "jid-single", "The address of the account")
_SEVERAL: Final = Field("accountjids", "jid-multi", "The addresses of the accounts")
_PASSWORD: Final = Field("password", "text-private", "The password for this account")
_AGAIN: Final = Field("password-verify", "text-private", "The same password again")
_TEXT: Final = Field("announcement", "text-multi", "What is to be told")
_MOTD: Final = Field("motd", "text-multi", "Message of the Day")
_WELCOME: Final = Field("welcome", "text-multi", "Welcome message")
_DELAYS: Final = tuple((str(seconds), label) for seconds, label in (
    (30, "30 seconds"), (60, "60 seconds"), (180, "3 minutes"), (300, "5 minutes"), (600, "10 minutes"),
    (900, "15 minutes"), (1800, "30 minutes"), (3600, "1 hour")))
_MOST: Final = tuple((number, number) for number in ("25", "50", "75", "100", "150", "200", "none"))
_MAX_ITEMS: Final = Field("max_items", "list-single", "How many to show", False, "100", _MOST)
_STATISTICS: Final = (
    _ONE, Field("ipaddresses", "text-multi", "The addresses of its connections"),
    Field("rostersize", "text-single", "How many contacts it has"),
    Field("onlineresources", "text-multi", "The clients that are signed in"))
_ACCOUNTS_MOST: Final = 1000


def administers(settings: Any, request: Request) -> bool:
    """Is this a client of somebody who may administer the domain it asks?"""
    if request.session is None:
        return False
    domain = settings.domain(request.to.domain)
    return request.from_.bare in (*settings.server.admins, *(() if domain is None else domain.admins))


class Administration(Module):
    """XEP-0133, as far as it means something here; docs/administration.md tells what is not here, and why."""

    name = "administration"
    xep = "0133"
    version = "1.3.1"
    needs = ("adhoc", "notices")

    def start(self, api: Api) -> None:
        """Offers the commands."""
        super().start(api)
        commands = self._commands()
        api.on("adhoc.commands", lambda: commands)

    def _commands(self) -> list[AdhocCommand]:
        def of(word: str, name: str, run: Callable[..., Coroutine[Any, Any, Outcome]], *fields: Field,
               before: Callable[[Request], Any] | None = None) -> AdhocCommand:
            return AdhocCommand(
                f"{ns.ADMIN}#{word}", name, lambda request: administers(self.api.settings, request),
                lambda request, values: Deferred.fromCoroutine(run(request, values)), fields, ns.ADMIN, before=before)

        return [
            of("add-user", "Add User", self._add, _ONE, _PASSWORD, _AGAIN),
            of("delete-user", "Delete User", self._each("user delete", "deleted"), _SEVERAL),
            of("disable-user", "Disable User", self._each("user disable", "disabled"), _SEVERAL),
            of("reenable-user", "Re-Enable User", self._each("user enable", "enabled again"), _SEVERAL),
            of("end-user-session", "End User Session", self._each("user end-session", "disconnected"), _SEVERAL),
            of("change-user-password", "Change User Password", self._passwd, _ONE, _PASSWORD),
            of("get-user-roster", "Get User Roster", self._roster, _SEVERAL),
            of("user-stats", "Get User Statistics", self._statistics, _ONE),
            of("get-user-lastlogin", "Get User Last Login Time", self._last_login, _ONE),
            of("get-registered-users-num", "Get Number of Registered Users", self._number("registereduser")),
            of("get-disabled-users-num", "Get Number of Disabled Users", self._number("disableduser")),
            of("get-online-users-num", "Get Number of Online Users", self._number("onlineuser")),
            of("get-active-users-num", "Get Number of Active Users", self._number("activeuser")),
            of("get-idle-users-num", "Get Number of Idle Users", self._number("idleuser")),
            of("get-registered-users-list", "Get List of Registered Users", self._list("registereduser"), _MAX_ITEMS),
            of("get-disabled-users-list", "Get List of Disabled Users", self._list("disableduser"), _MAX_ITEMS),
            of("get-online-users-list", "Get List of Online Users", self._list("onlineuser"), _MAX_ITEMS),
            of("get-active-users", "Get List of Active Users", self._list("activeuser"), _MAX_ITEMS),
            of("get-idle-users", "Get List of Idle Users", self._list("idleuser", "activeuserjids"), _MAX_ITEMS),
            of("announce", "Send Announcement to Online Users", self._announce, _TEXT),
            of("set-motd", "Set Message of the Day", self._notice("motd set", "Told each account once."), _MOTD),
            of("edit-motd", "Edit Message of the Day", self._notice("motd edit", "Nobody is told again."), _MOTD,
               before=self._motd),
            of("delete-motd", "Delete Message of the Day", self._notice("motd delete", "Told no more.")),
            of("set-welcome", "Set Welcome Message", self._notice("welcome set", "New accounts are told."), _WELCOME),
            of("delete-welcome", "Delete Welcome Message", self._notice("welcome delete", "Told no more.")),
            of("shutdown", "Shut Down Service", self._shutdown,
               Field("delay", "list-single", "How long to wait", True, "30", _DELAYS),
               Field("announcement", "text-multi", "What is told to everybody before", False)),
        ]

    def _do(self, words: str, **arguments: Any) -> Any:
        assert self.api.perform is not None
        return self.api.perform(words, arguments)

    # -- accounts
    def _target(self, address: str, request: Request, may_be_full: bool = False) -> str:
        """As `_of_domain`; whoever administers one domain only changes nothing of those who administer all."""
        jid, admins = _of_domain(address, request, may_be_full), self.api.settings.server.admins
        if jid.partition("/")[0] in admins and request.from_.bare not in admins:
            raise StanzaError("forbidden", "cancel", text="This account administers all domains.")
        return jid

    async def _add(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        if values["password"] != values["password-verify"]:
            raise StanzaError("not-acceptable", "modify", text="The two passwords differ.")
        jid = self._target(values["accountjid"][0], request)
        await self._do("user add", jid=jid, password=values["password"][0])
        return Outcome(f"{jid} can log in.")

    async def _passwd(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        jid = self._target(values["accountjid"][0], request)
        await self._do("user passwd", jid=jid, password=values["password"][0])
        return Outcome(f"{jid} has a new password.")

    def _each(self, words: str, done: str) -> Callable[..., Coroutine[Any, Any, Outcome]]:
        async def run(request: Request, values: dict[str, list[str]]) -> Outcome:
            given = [line.strip() for value in values["accountjids"] for line in value.splitlines() if line.strip()]
            if len(given) > _ACCOUNTS_MOST:
                raise StanzaError("not-acceptable", "modify", text=f"At most {_ACCOUNTS_MOST} accounts at a time.")
            # None is touched before all are known to be of this domain.
            jids = [self._target(one, request, words == "user end-session") for one in given]
            failed: list[StanzaError] = []
            for jid in jids:
                try:
                    await self._do(words, jid=jid)
                except StanzaError as error:
                    failed.append(error)
            if len(failed) == len(jids):
                raise failed[0]
            said = f"{len(jids) - len(failed)} {done}."
            return Outcome(" ".join([said, *(error.text or error.condition for error in failed)]),
                           is_warning=bool(failed))
        return run

    async def _last_login(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        jid = _of_domain(values["accountjid"][0], request)
        last = (await self._do("user show", jid=jid))["last_login"]
        shown = "never" if last is None else f"{datetime.fromtimestamp(last, UTC):%Y-%m-%dT%H:%M:%SZ}"
        fields = (_ONE, Field("lastlogin", "text-single", "Last login"))
        return Outcome("", {"accountjid": [jid], "lastlogin": [shown]}, fields, ns.ADMIN)

    async def _roster(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        account = await self._account(values["accountjids"], request)
        fields = (Field("accountjids", "jid-single", "The address of the account"),)
        query = query_bytes(account.roster.values(), None).decode()
        return Outcome("", {"accountjids": [account.bare]}, fields, ns.ADMIN, inner=query)

    async def _statistics(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        account = await self._account(values["accountjid"], request)
        shown = {
            "accountjid": [account.bare],
            "ipaddresses": sorted({session.stream.address for session in account.sessions.values()
                                   if session.stream is not None}),
            "rostersize": [str(sum(item.listed for item in account.roster.values()))],
            "onlineresources": sorted(account.sessions),
        }
        return Outcome("", shown, _STATISTICS, ns.ADMIN)

    async def _account(self, addresses: list[str], request: Request) -> Any:
        """The account that is to be looked at; whoever administers one domain only is shown nothing of those who
        administer all. Raises StanzaError."""
        if len(addresses) != 1 or len(addresses[0].split()) != 1:
            raise StanzaError("not-acceptable", "modify", text="One account at a time.")
        jid = JID.parse(self._target(addresses[0], request))
        account = await maybeDeferred(self.api.router.accounts.load, jid)
        if account is None:
            raise StanzaError("item-not-found", text=f"There is no account {jid.bare}.")
        return account

    # -- who there is
    async def _who(self, kind: str, request: Request) -> list[str]:
        if kind in ("onlineuser", "activeuser", "idleuser"):
            accounts = [account for account in self.api.router.accounts.online()
                        if account.jid.domain == request.to.domain and account.available()]
            if kind != "onlineuser":
                accounts = [account for account in accounts
                            if any(map(_is_active, account.available())) is (kind == "activeuser")]
            return sorted(account.bare for account in accounts)
        rows = await self._do("user list", domain=request.to.domain)
        return [row["jid"] for row in rows if kind == "registereduser" or row["disabled"]]

    def _number(self, kind: str) -> Callable[..., Coroutine[Any, Any, Outcome]]:
        async def run(request: Request, values: dict[str, list[str]]) -> Outcome:
            number, var = len(await self._who(kind, request)), f"{kind}snum"
            return Outcome("", {var: [str(number)]}, (Field(var, "text-single", "How many"),), ns.ADMIN)
        return run

    def _list(self, kind: str, var: str = "") -> Callable[..., Coroutine[Any, Any, Outcome]]:
        async def run(request: Request, values: dict[str, list[str]]) -> Outcome:
            most = (values["max_items"] or ["none"])[0]
            found = await self._who(kind, request)
            shown = found[:int(most)] if most.isascii() and most.isdigit() else found
            note = f"{len(shown)} of {len(found)}." if len(shown) < len(found) else ""
            name = var or f"{kind}jids"
            return Outcome(note, {name: shown}, (Field(name, "jid-multi", "Accounts"),), ns.ADMIN)
        return run

    # -- everybody
    async def _announce(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        told = await self._do("announce", domain=request.to.domain, text="\n".join(values["announcement"]))
        return Outcome(f"Told to the clients of {told['accounts']} accounts.")

    def _notice(self, words: str, done: str) -> Callable[..., Coroutine[Any, Any, Outcome]]:
        async def run(request: Request, values: dict[str, list[str]]) -> Outcome:
            said = {"text": "\n".join(line for lines in values.values() for line in lines)} if values else {}
            await self._do(words, domain=request.to.domain, **said)
            return Outcome(done)
        return run

    def _motd(self, request: Request) -> Any:
        return self._do("motd show", domain=request.to.domain).addCallback(
            lambda found: {"motd": found["text"].splitlines()})

    async def _shutdown(self, request: Request, values: dict[str, list[str]]) -> Outcome:
        if request.from_.bare not in self.api.settings.server.admins:
            raise StanzaError("forbidden", "cancel", text="Only who administers all domains may end the daemon.")
        delay = values["delay"][0]
        delay_s = int(delay) if delay.isascii() and delay.isdigit() and len(delay) < 7 else -1
        await self._do("shutdown", delay_s=delay_s, text="\n".join(values["announcement"]))
        return Outcome(f"The daemon ends in {delay_s} s.")


def _is_active(session: Any) -> bool:
    """Does somebody use this client, as far as it says: connected, looked at (XEP-0352), and not away?"""
    if session.stream is None or session.inactive:
        return False
    shown = {str(child) for child in session.presence.element.elements() if child.name == "show"}
    return shown.isdisjoint({"away", "xa"})


def _of_domain(address: str, request: Request, may_be_full: bool = False) -> str:
    """An account's address in its normal form; raises StanzaError for what is none, or of another domain."""
    try:
        jid = JID.parse(address.strip())
    except InvalidJID:
        raise StanzaError("jid-malformed", "modify", text=f"{address[:100]!r} is not an address.") from None
    if not jid.local or (jid.resource and not may_be_full):
        raise StanzaError("jid-malformed", "modify", text=f"{address[:100]!r} is not the address of an account.")
    if jid.domain != request.to.domain:
        raise StanzaError("forbidden", "cancel", text=f"{jid.bare} is not of {request.to.domain}; ask that domain.")
    return jid.full
