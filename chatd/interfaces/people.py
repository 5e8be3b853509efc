"""Who people are: passwords, directory, tokens, invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from twisted.internet.defer import Deferred

    from chatd.core.accounts import Verifier
    from chatd.core.invitations import InvitationRow
    from chatd.core.jid import JID
    from chatd.core.people import Person
    from chatd.core.stanza import Stanza
    from chatd.core.webmail import Grant, Webmail
    from chatd.interfaces.sessions import ISession

# mypy: disable-error-code="empty-body,misc"


class ITokens(Interface):
    """Tokens with which people sign on from Webmail. See chatd.auth.token."""

    def give(webmail: Webmail, jid: JID, session: str, name: str = "") -> Deferred[str | None]:
        """A token for a bare address, good for webmail.token_s; the account is made where there is none. None where the
        account is disabled. session: Webmail's id of the session; name: how the person is called, for a new account.
        Fails: StoreError."""

    def log_out(webmail: str, session: str | None = None, jid: JID | None = None) -> Deferred[tuple[int, int]]:
        """A session of Webmail has ended, or all of an address: its tokens go, and the sessions opened with them end.
        Fires with how many tokens and sessions. Fails: StoreError."""

    def check(local: str, domain: str, token: str) -> Deferred[tuple[Grant | None, bool]]:
        """What a token grants to this address, None for nothing, and whether the account is disabled."""

    def began(session: ISession, grant: Grant) -> None:
        """A session has begun, or goes on, by a token."""

    def revoke(webmail: str | None = None, session: bytes | None = None,
               jid: JID | None = None) -> Deferred[tuple[int, int]]:
        """As log_out, by Webmail, hash of a session, or address; what is None does not matter."""


class IAuthentication(Interface):
    """Who is who: what a stream asks when a client logs in, and anything else that takes a password.

    Both questions fire with the very arguments that `Negotiation.account` and `password_checked` take. They fail
    only if they cannot be answered now (a database or a mail server is away): temporary-auth-failure.
    """

    has_verifiers = Attribute("The accounts of some domain have SCRAM verifiers, so SCRAM may be offered.")
    without_scram = Attribute("Frozen set of the domains that have none: another server knows the passwords.")
    has_plain = Attribute("Passwords can be checked, so PLAIN may be offered (under TLS).")
    elsewhere = Attribute("Frozen set of the domains some of whose passwords another server knows: chatd cannot change "
                          "those, and does not learn that they were changed.")

    def find(local: str, domain: str, mechanism: str) -> Deferred[tuple[Verifier | None, bool]]:
        """The verifier for "SCRAM-SHA-256" or "SCRAM-SHA-1", None without account or verifier; and whether
        the account is disabled."""

    def check(local: str, domain: str, password: str, is_log_in: bool = True) -> Deferred[tuple[bool, bool]]:
        """Is this the account's password? And is the account disabled (known to be only if the password is right)?

        Where another server knows the password, the first log-in makes the account. is_log_in: this is one.
        An account that does not exist takes as long as one that does.
        """


class IAccountChecker(Interface):
    """One back end that knows the accounts of some domains: internal, IMAP, LDAP, SQL.

    Provided beside twisted.cred's ICredentialsChecker: credentialInterfaces holds IUsernamePassword, the username is
    the bare JID, the password text is UTF-8 (not yet SASLprepped). requestAvatarId fires with the bare JID as bytes
    and fails with UnauthorizedLogin, with AccountDisabled (a right password, but the account may not log in), or with
    any other failure, which means that it cannot be said now.
    """

    has_verifiers = Attribute("It can give SCRAM verifiers; otherwise only passwords can be checked.")
    keeps_passwords = Attribute("The passwords are chatd's own.")

    def find(local: str, domain: str, mechanism: str) -> Deferred[tuple[Verifier | None, bool]]:
        """As IAuthentication.find; (None, False) where has_verifiers is false."""


class IInvitations(Interface):
    """Accounts by invitation (XEP-0401), as streams and the web see them. All refuse with StanzaError."""

    def may_register(domain: str) -> bool:
        """May accounts of the domain be made by invitation?"""

    def look(token: str, domain: str = "") -> Awaitable[InvitationRow]:
        """The invitation of this token (of this domain); item-not-found for one that is not valid, or not any more."""

    def register(token: str, name: str, password: str) -> Awaitable[str]:
        """Makes the account and gives its address: conflict for a name that is taken, jid-malformed and not-acceptable
        for a name or password that cannot be. The invitation is used up only if it was made. That it has expired is
        for `look` to say (XEP-0445 4)."""

    def before_log_in(stanza: Stanza, domain: str, known: dict[str, str]) -> Awaitable[bytes]:
        """The inner XML that answers an iq of XEP-0077 or XEP-0445 on a stream that has not logged in. known: what it
        told before, kept by the stream."""


class IDirectories(Interface):
    """Who is in the organisation, domain by domain. Only domains with [[domain.directory]] have one."""

    def may_search(reader: JID, domain: str) -> bool:
        """May an account look into the directory of that domain? Of its own always, of others if they let it."""

    def search(domain: str, typed: str, most: int) -> tuple[list[Person], bool]:
        """See chatd.core.people.People.search; nobody where there is no directory."""

    def find(jid: JID) -> Person | None:
        """Who that is."""

    def has_account(jid: str) -> bool:
        """Is there an account of this bare address? In a domain whose passwords another server knows: did that person
        ever log in? False for domains that no directory is for."""

    def may_ask(jid: str) -> bool:
        """Has this bare address an account that may log in?"""

    def account_disabled(jid: str, is_disabled: bool) -> None:
        """An account may log in no more, or again."""

    def account_changed(jid: str, name: str = "") -> None:
        """There is such an account, and that is the name in its vCard."""

    def account_deleted(jid: str) -> None:
        """It is no more."""

    def everybody(domain: str) -> Iterable[Person]:
        """All people of a domain; nobody where there is no directory."""

    def watch(hook: Callable[[str], object]) -> Callable[[], None]:
        """Calls hook(domain) whenever the people of a domain have changed, until what it gives is called."""

    def status() -> list[dict[str, Any]]:
        """How many people each source gave, and what is wrong with it; JSON values."""


class IIdentity(Interface):
    """The avatar of twisted.cred: an account that has proved who it is."""

    local = Attribute("Its local part.")
    domain = Attribute("Its domain.")
    jid = Attribute("Its bare JID.")
