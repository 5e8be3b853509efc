"""The seams of the house: what the rooms know of each other, and no more.

Attributes and methods are documented here once; the classes that implement them say only how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from twisted.internet.defer import Deferred

    from chatd.core.accounts import AccountRow, FastRow, LoadedAccount, Verifier
    from chatd.core.archive import ArchivePage, ArchivePrefs, ArchiveQuery
    from chatd.core.errors import StanzaError, StreamError
    from chatd.core.invitations import InvitationRow
    from chatd.core.jid import JID
    from chatd.core.media import Grants, MediaEvent, MediaParticipant, MediaRoom, MediaTrack, Recording
    from chatd.core.meeting import MeetingRow, RecordingRow
    from chatd.core.muc import Affiliate, RoomRow
    from chatd.core.organisation import Group
    from chatd.core.people import Person
    from chatd.core.pubsub import Item, Node, Published
    from chatd.core.push import PushRow
    from chatd.core.reports import ReportRow
    from chatd.core.roster import RosterItem
    from chatd.core.stanza import Stanza
    from chatd.core.uploads import UploadRow, Usage
    from chatd.core.webmail import Grant, TokenRow, Webmail

# mypy: disable-error-code="empty-body,misc"


class IClientStream(Interface):
    """A client's stream over TCP, WebSocket or BOSH: what a session needs of it."""

    session = Attribute("The ISession bound to it, or None.")

    def send_stanza(stanza: Stanza) -> None:
        """Sends a stanza."""

    def send(xml: bytes) -> None:
        """Sends one first-level element that declares its own namespace."""

    def ask() -> None:
        """Asks for an acknowledgement (XEP-0198 <r/>)."""

    def close(error: StreamError | None = None) -> None:
        """Tells the error, if any, and closes the stream."""

    def pause() -> None:
        """Stops reading until `resume`."""

    def resume() -> None:
        """Reads again."""


class ISession(Interface):
    """One bound resource, wherever its stream ends.  See `chatd.server.session.Session`."""

    jid = Attribute("Its full JID.")
    full = Attribute("The same as str.")
    account = Attribute("Its IAccount.")
    smacks = Attribute("Its chatd.core.smacks.StreamManagement, or None.")
    hold = Attribute("A callable (session, stanza) -> bool that may keep a stanza back (XEP-0352), or None.")
    unseen = Attribute("A callable (session, stanza) told of what comes while the client sleeps (XEP-0357), or None.")
    stream = Attribute("Its IClientStream, or None while the stream is cut (XEP-0198).")
    presence = Attribute("The last available presence as Stanza, or None.")
    priority = Attribute("Priority of that presence, -128..127.")
    carbons = Attribute("Message carbons are on (XEP-0280).")
    inactive = Attribute("The client has said that nobody is looking (XEP-0352).")
    interested = Attribute("Has asked for the roster (RFC 6121 2.1.6).")
    directed = Attribute("Addresses that got directed presence: a set, or None.")
    state = Attribute("A dictionary for modules, or None; each uses its own name as key.")
    is_closed = Attribute("Is over for good.")

    def deliver(stanza: Stanza) -> None:
        """Sends a stanza to the client, or queues it until the stream is back."""

    def close(error: StreamError | None = None) -> None:
        """Ends the session and its stream."""


class IAccount(Interface):
    """An account in memory.  See `chatd.server.accounts.Account`."""

    id = Attribute("Its number in the store.")
    jid = Attribute("Its bare JID.")
    bare = Attribute("The same as str.")
    sessions = Attribute("ISession by resource.")
    own = Attribute("What is kept of its roster: RosterItem by bare address; items not `listed` only keep something.")
    roster = Attribute("The same with the people of the organisation's groups in it; to look into, never to change.")
    groups = Attribute("The organisation's groups it is in: a tuple of chatd.core.organisation.Group.")
    roster_version = Attribute("Of the last change, an int.")
    blocked = Attribute("Frozen set of blocked addresses (XEP-0191).")
    subscribers = Attribute("Bare addresses that may see its presence.")
    state = Attribute("A dictionary for modules; each uses its own name as key.")

    def set_item(item: RosterItem) -> None:
        """Puts a roster item into memory."""

    def drop_item(jid: str) -> None:
        """Takes one out."""

    def set_groups(groups: tuple[Group, ...]) -> None:
        """It is in these groups of the organisation now."""

    def shares(jid: str) -> bool:
        """Is that person in one of them, too?"""

    def available() -> list[ISession]:
        """Sessions that have sent available presence."""


class IAccounts(Interface):
    """Who is connected where: one dictionary now, several processes later."""

    def find(bare: str) -> IAccount | None:
        """The account, if it is in memory; whoever is online is."""

    def load(jid: JID) -> IAccount | Deferred[Any]:
        """The account, if need be from the store."""

    def online() -> Iterator[IAccount]:
        """Accounts with a session."""

    def known() -> Iterator[IAccount]:
        """All accounts in memory."""


class IService(Interface):
    """What lives on a domain that has no accounts, such as rooms."""

    def receive(stanza: Stanza, to: JID) -> None:
        """A stanza to this domain, with a `from` that can be relied on; answers by itself, raises nothing."""


class IRemote(Interface):
    """The way to other servers."""

    def send(stanza: Stanza, to: JID) -> None:
        """To a domain that is not served here, now or as soon as it is connected; raises StanzaError where it may not
        go there, or there is no way. What comes to nothing later is answered to who sent it."""


class IVisits(Interface):
    """Sessions that may go to meetings and nothing else: guests, and accounts by ticket. See chatd.server.visits."""

    def open(domain: str, accounts: str, service: str, takes_guests: bool, most: int) -> Callable[[], None]:
        """Lets people sign in at `domain` (ANONYMOUS over WebSocket) and reach the domain `service`: accounts of the
        domain `accounts` by ticket and, if it takes guests, everybody. most: sessions at a time. Gives what ends
        that."""

    def find(full: str) -> ISession | None:
        """The session of a visit, by its full address."""

    def of(bare: str) -> Iterable[ISession]:
        """All visits of this visitor."""

    def look_over(is_wanted: Callable[[ISession], bool]) -> None:
        """Ends visits that have been in no meeting for long; is_wanted: there is another reason for it to stay."""

    def sources(bare: str) -> frozenset[str]:
        """The network addresses a visitor comes from, in the form in which they are counted."""

    def ticket(jid: JID) -> Deferred[tuple[str, int]]:
        """A ticket for an account, and when it expires (seconds since 1970). Fails: StanzaError not-allowed."""

    def give(kind: str, subject: str, seconds: int) -> str:
        """A pass of another kind (chatd.core.passes), good for so long."""

    def taken(kind: str, given: str) -> str | None:
        """The subject of such a pass, None where it is not good."""


class IRouter(Interface):
    """Takes stanzas to where they are addressed."""

    accounts = Attribute("The IAccounts.")
    domains = Attribute("Frozen set of the domains served.")

    hooks = Attribute("The chatd.core.hooks.Hooks.")

    def take(name: str, from_session: Callable[[ISession, Stanza, JID], Deferred[None] | None],
             from_elsewhere: Callable[[Stanza, JID, JID], Deferred[None] | None],
             undelivered: Callable[[ISession, Stanza], None]) -> None:
        """Gives all stanzas of this name to a module: from a session of ours (session, stanza, to), from
        elsewhere (stanza, from, to), and what a session could not deliver any more (session, stanza)."""

    services = Attribute("IService by the domain it serves.")

    visits = Attribute("The IVisits.")

    remote = Attribute("The IRemote, None where there are no other servers.")

    def serve(domain: str, service: IService) -> Callable[[], None]:
        """Gives all stanzas to a domain without accounts to a service; gives what takes that back."""

    def route_out(stanza: Stanza, to: JID) -> None:
        """To a domain that is not ours; raises StanzaError remote-server-not-found."""

    def route(stanza: Stanza, from_: JID | None = None, to: JID | None = None) -> Deferred[None] | None:
        """Takes a stanza with `from` and `to` to whom it is for; answers where it cannot be."""

    def answer(stanza: Stanza, error: StanzaError) -> None:
        """Sends a stanza's error answer, unless the stanza must not be answered."""

    def back(stanza: Stanza) -> None:
        """Delivers an answer to whom it is for, after everything written so far is in the store."""


class IStore(Interface):
    """All that outlives the process: `chatd.store.open_store` gives it.

    Two kinds of writing:

    - *Hot*: `archive.append`, `offline.append`, `offline.delete`. These return nothing and put a row into the batch
      that is being collected; it is committed a few milliseconds later together with others. Who must not
      speak before the rows are durable (an acknowledgement of XEP-0198, the archive id of a message) leaves a
      callback by `then` or awaits `barrier`.
    - All else returns a Deferred and is durable when it fires.

    Writes take effect in the order they were called, hot or not. A read sees every write that was called
    before it. When the database cannot be written (disk full, PostgreSQL away) the callbacks get an error, Deferreds
    fail with StoreError, and later calls try again; nothing waits for ever.

    Times: `now` in seconds since 1970 (float), `stamp_ms` in milliseconds since 1970 (int). Addresses are in the
    normal form of RFC 7622, as `chatd.core.jid.JID` gives them.
    """

    accounts = Attribute("The IAccountStore.")
    roster = Attribute("The IRosterStore.")
    archive = Attribute("The IArchiveStore.")
    fast = Attribute("The IFastTokenStore.")
    invitations = Attribute("The IInvitationStore.")
    rooms = Attribute("The IRoomStore.")
    meetings = Attribute("The IMeetingStore.")
    offline = Attribute("The IOfflineStore.")
    blocking = Attribute("The IBlockingStore.")
    pep = Attribute("The IPepStore.")
    private = Attribute("The IPrivateStore.")
    vcard = Attribute("The IVCardStore.")
    last = Attribute("The ILastStore.")
    webmail = Attribute("The IWebmailStore.")
    uploads = Attribute("The IUploadStore.")
    push = Attribute("The IPushStore.")
    reports = Attribute("The IReportStore.")
    pending = Attribute("bool: hot rows were added that are not durable yet.")

    def new_id(stamp_ms: int) -> int:
        """A new archive id, below 2**63: above all ids given before, also before a restart.

        It carries the time: `id >> 20` is stamp_ms, or later if ids of a later time exist. Its decimal text is the
        XEP-0359 stanza-id. Raises ValueError for a stamp_ms that is no time.
        """

    def then(callback: Callable[..., object], *args: Any) -> None:
        """Calls `callback(error, *args)` when all hot rows added so far are durable.

        error: None, or the StoreError of a commit that failed; then none of the rows of that commit is there.
        Callbacks are called in the order they were left, in the main thread; at once if nothing is pending.
        """

    def barrier() -> Deferred[None]:
        """Fires when all hot rows added so far are durable. Fails: StoreError."""

    def close() -> Deferred[None]:
        """Writes what is pending and closes the database; fires when that is done, also the second time."""


class IAccountStore(Interface):
    """The accounts that chatd itself keeps."""

    def create(local: str, domain: str, verifiers: Mapping[str, Verifier], now: float) -> Deferred[int]:
        """Makes an account; verifiers by mechanism, now: its time of creation. Fires with its id.

        Fails: AccountExists (chatd.core.accounts).
        """

    def get(local: str, domain: str, fresh: bool = False) -> Deferred[AccountRow | None]:
        """The account with its verifiers. fresh: the time of its last log-in is the very last, not that of some
        seconds ago."""

    def load(local: str, domain: str) -> Deferred[LoadedAccount | None]:
        """The account with what is kept in memory while it is of use, in one go."""

    def list(domain: str | None = None) -> Deferred[list[AccountRow]]:
        """All accounts, of one domain if given, sorted by domain and local part."""

    def set_verifiers(account_id: int, verifiers: Mapping[str, Verifier]) -> Deferred[None]:
        """Replaces all verifiers (a new password). Fails: StoreError for an unknown account."""

    def set_disabled(account_id: int, disabled: bool) -> Deferred[None]:
        """Allows or refuses log-in; an unknown account is no error."""

    def touch(account_id: int, now: float) -> None:
        """Notes the time of a log-in; an unknown account is no error. On the disk, and seen by `get`, within
        seconds; by `list` at once."""

    def delete(account_id: int) -> Deferred[bool]:
        """Deletes the account and all that belongs to it. What is still appended for it is dropped.

        Fires with whether it existed, when everything is gone; a large archive goes in slices. If that is
        interrupted by a crash, the account itself is gone and the rest goes at the next start.
        """


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


class IWebmailStore(Interface):
    """Tokens of people who sign on from Webmail, and the nonces of Webmail's requests."""

    def spend(webmail: str, nonce: str, until_ms: int, now_ms: int) -> Deferred[bool]:
        """Notes a nonce until then; False where it was noted before. What is over by now_ms is forgotten."""

    def add(row: TokenRow) -> Deferred[None]:
        """Adds a token of an account; what has expired by row.created_ms is forgotten. Fails: StoreError for an unknown
        account."""

    def find(hash: bytes) -> Deferred[TokenRow | None]:
        """The token of this hash, expired or not."""

    def list(now_ms: int) -> Deferred[list[TokenRow]]:
        """All tokens that are good then, by address and time."""

    def revoke(webmail: str | None = None, session: bytes | None = None,
               address: tuple[str, str] | None = None) -> Deferred[int]:
        """Deletes tokens: of this Webmail, this session of it, this local part and domain; fires with how many. What
        is None does not matter; ValueError where nothing does."""


class IRosterStore(Interface):
    """Rosters. The number of items is limited by who calls."""

    def load(account_id: int) -> Deferred[tuple[int, list[RosterItem]]]:
        """Version and items sorted by address, unlisted ones included; (0, []) if there never was one."""

    def save(account_id: int, item: RosterItem) -> Deferred[int]:
        """Adds an item or replaces the one of the same address. Fires with the roster's new version.

        Fails: StoreError for an unknown account.
        """

    def remove(account_id: int, jid_bare: str) -> Deferred[int]:
        """Removes an item. Fires with the roster's version: the old one if there was no such item."""

    def changes_since(account_id: int, version: int) -> Deferred[list[RosterItem | str] | None]:
        """What changed after that version, oldest first: an item, or the address (str) of one that was removed.

        Only the last state of each item is told; unlisted items are among them. None: that is not known any
        more, or the version never was, so the whole roster is needed.
        """


class IArchiveStore(Interface):
    """Message archives (XEP-0313), one an account."""

    def append(account_id: int, id: int, with_bare: str, with_resource: str, stanza: bytes, stamp_ms: int) -> None:
        """Hot. Stores a message: id from IStore.new_id(stamp_ms), the other side's bare address and resource ("" for
        none), the stanza with its own xmlns. A second row of the same account and id is dropped.
        """

    def query(account_id: int, query: ArchiveQuery) -> Deferred[ArchivePage]:
        """One page, oldest row first. Sees everything appended before.

        A page with rows has neither count nor index when more than 10,000 rows match; a query with max 0 always
        has the count.
        start_ms and end_ms are compared with the time in the ids. Fails: ItemNotFound (chatd.core.archive) if an id
        in the query is not in this archive.
        """

    def replace(account_id: int, id: int, stanza: bytes) -> Deferred[bool]:
        """Puts another stanza in the place of a stored one (XEP-0424 4, tombstones); False where there is none."""

    def prefs(account_id: int) -> Deferred[ArchivePrefs | None]:
        """None if the account never set any."""

    def set_prefs(account_id: int, prefs: ArchivePrefs) -> Deferred[None]:
        """Fails: StoreError for an unknown account."""

    def metadata(account_id: int) -> Deferred[tuple[int, int, int, int] | None]:
        """First id, its stamp_ms, last id, its stamp_ms; None for an empty archive."""

    def expire(before_stamp_ms: int) -> Deferred[int]:
        """Deletes all messages of all accounts from before that time, in slices. Fires with how many."""


class IRoomStore(Interface):
    """Group chat rooms (XEP-0045).  A room's messages are in IArchiveStore, as those of account -room_id."""

    def load() -> Deferred[list[RoomRow]]:
        """All rooms of all domains with their affiliates."""

    def create(local: str, domain: str, secret: bytes, persistent: bool, now: float) -> Deferred[int]:
        """Makes a room; fires with its id.  Fails: StoreError, also where it exists."""

    def save(room_id: int, values: Mapping[str, Any]) -> Deferred[None]:
        """Sets some of persistent, config, subject, subject_nick, subject_ms, subject_mark, hats, vcard; ValueError for
        others."""

    def set_affiliates(room_id: int, affiliates: list[Affiliate]) -> Deferred[None]:
        """Keeps these, each in place of what was known of its address; those that are empty are deleted."""

    def delete(room_id: int) -> Deferred[None]:
        """Deletes a room with its archive; what is interrupted is gone on with at the next start."""


class IMeetingStore(Interface):
    """Meetings and their recordings.  A meeting is gone with its room."""

    def load() -> Deferred[list[MeetingRow]]:
        """All meetings; `room` is the id of its RoomRow."""

    def create(local: str, domain: str, secret: bytes, config: Mapping[str, Any], row: MeetingRow) -> Deferred[int]:
        """Makes room, owner (row.creator) and meeting in one go; row.room does not count.  Fires with the room's id.
        Fails: StoreError, also where the room exists."""

    def save(room_id: int, values: Mapping[str, Any]) -> Deferred[None]:
        """Sets some of used_ms, expires_ms, may, present; ValueError for others."""

    def recordings() -> Deferred[list[RecordingRow]]:
        """All recordings, oldest first."""

    def keep_recording(row: RecordingRow) -> Deferred[None]:
        """Adds a recording, or replaces the one of the same id."""

    def delete_recording(id: str) -> Deferred[None]:
        """Forgets one; none of that id is no error."""


class IFastTokenStore(Interface):
    """Tokens that clients log in with (XEP-0484), two for each client. Setting an account's password takes all of them
    back, and so does disabling it."""

    def find(local: str, domain: str, client: str) -> Deferred[tuple[int | None, bool, list[FastRow]]]:
        """The account's id (None without account), whether it is disabled, and the tokens of that client, the new one
        first."""

    def put(account_id: int, row: FastRow) -> Deferred[None]:
        """Keeps a token in its slot, in place of the one there."""

    def use(account_id: int, row: FastRow, count: int | None, is_last: bool) -> Deferred[bool]:
        """This token was used: a new one becomes the current one. False where it is gone meanwhile, or `count` is not
        above the last one. is_last: the client's tokens are deleted."""

    def list(account_id: int) -> Deferred[list[FastRow]]:
        """All tokens of an account."""

    def clear(account_id: int) -> Deferred[int]:
        """Takes all of them back; how many there were."""


class IInvitationStore(Interface):
    """Invitations that were not used yet (XEP-0401)."""

    def add(row: InvitationRow) -> Deferred[None]:
        """Keeps one; those that have expired go."""

    def get(digest: bytes) -> Deferred[InvitationRow | None]:
        """The one with that digest, expired or not."""

    def take(digest: bytes) -> Deferred[InvitationRow | None]:
        """The same, and deletes it: of several who try only one gets it."""

    def list(domain: str) -> Deferred[list[InvitationRow]]:
        """All of a domain."""


class IOfflineStore(Interface):
    """Messages that wait for their recipient (XEP-0160)."""

    def append(account_id: int, id: int, stanza: bytes, stamp_ms: int) -> None:
        """Hot. Stores a message; id from IStore.new_id."""

    def delete(account_id: int, up_to_id: int) -> None:
        """Hot. Deletes the messages up to that id, after they were delivered."""

    def drop_archived(account_id: int) -> Deferred[int]:
        """Deletes what the account's archive has as well; how many are left."""

    def load(account_id: int) -> Deferred[list[tuple[int, int, bytes]]]:
        """(id, stamp_ms, stanza) of each, oldest first. Sees everything appended before."""

    def count(account_id: int) -> Deferred[int]:
        """How many messages wait."""


class IBlockingStore(Interface):
    """Block lists (XEP-0191)."""

    def load(account_id: int) -> Deferred[set[str]]:
        """The blocked addresses."""

    def add(account_id: int, jids: Iterable[str]) -> Deferred[None]:
        """Blocks these too. Fails: StoreError for an unknown account."""

    def remove(account_id: int, jids: Iterable[str]) -> Deferred[None]:
        """Unblocks these; one that was not blocked is no error."""

    def clear(account_id: int) -> Deferred[None]:
        """Unblocks all."""


class IPepStore(Interface):
    """What accounts publish (XEP-0060, XEP-0163): their nodes, and the items on them, in the order of publication."""

    def nodes(account_id: int) -> Deferred[list[Node]]:
        """All nodes, sorted by name."""

    def save(account_id: int, node: Node, max_items: int) -> Deferred[None]:
        """Makes a node or changes it; only the last max_items items stay. Fails: StoreError for an unknown account."""

    def delete(account_id: int, name: str) -> Deferred[None]:
        """Deletes a node with its items."""

    def publish(account_id: int, node: Node, items: Sequence[Item], max_items: int, most_bytes: int) -> Deferred[None]:
        """Publishes items, on a node that is made where it is not there; an item of the same id is replaced and
        becomes the last; only the last max_items stay.

        Fails: TooMuch (chatd.core.pubsub) where all payloads of the account would then have more than most_bytes;
        nothing is changed then. StoreError for an unknown account.
        """

    def items(account_id: int, name: str, ids: Iterable[str] | None = None, most: int = 0) -> Deferred[list[Item]]:
        """Items, the last published last. ids: only these. most: the last so many of them, 0 for all."""

    def ids(account_id: int, name: str) -> Deferred[list[str]]:
        """The ids of all items, the last published last."""

    def retract(account_id: int, name: str, ids: Iterable[str]) -> Deferred[list[str]]:
        """Deletes items; gives the ids of those that were there."""

    def purge(account_id: int, name: str) -> Deferred[None]:
        """Deletes all items of a node."""

    def last(account_id: int, names: Iterable[str]) -> Deferred[list[tuple[str, Item]]]:
        """The last item of each of these nodes, with the node's name; nothing of those that have none."""

    def last_of(domain: str, locals_: Iterable[str], reader: JID, names: Iterable[str]) -> Deferred[list[Published]]:
        """The last item of each of these nodes of these accounts of a domain, as far as `reader` (a full address) may
        see the account's presence by its roster and is not blocked. Who may read the node is not looked at."""

    def count(account_id: int) -> Deferred[tuple[int, int, int]]:
        """How many nodes, items and bytes of items."""


class IPrivateStore(Interface):
    """Private XML storage (XEP-0049)."""

    def get(account_id: int, name: str) -> Deferred[bytes | None]:
        """The element; name: "NAMESPACE NAME"."""

    def all(account_id: int) -> Deferred[list[bytes]]:
        """All elements, in the order of their names."""

    def set(account_id: int, values: Mapping[str, bytes], most: int) -> Deferred[bool]:
        """Stores elements by name, all or none; False where the account would then use more than `most` names.

        Fails: StoreError for an unknown account.
        """


class IVCardStore(Interface):
    """vCards (XEP-0054)."""

    def get(account_id: int) -> Deferred[bytes | None]:
        """The <vCard/> element."""

    def photo_sha1(account_id: int) -> Deferred[str | None]:
        """Hexadecimal SHA-1 of the photo (XEP-0153): "" without a photo, None without a vCard."""

    def set(account_id: int, value: bytes, photo_sha1: str | None) -> Deferred[None]:
        """photo_sha1: hexadecimal, "" or None without a photo. Fails: StoreError for an unknown account."""


class ILastStore(Interface):
    """When an account was last seen (XEP-0012)."""

    def get(account_id: int) -> Deferred[tuple[int, str] | None]:
        """stamp_ms and status."""

    def set(account_id: int, stamp_ms: int, status: str) -> None:
        """status: the text of its last presence, "" for none; an unknown account is no error. On the disk within
        seconds."""


class IUploadStore(Interface):
    """Files that people sent, and slots for them (XEP-0363): what is known of them, not the files."""

    def reserve(row: UploadRow, files: int, most: int, slots: int) -> Deferred[str]:
        """Keeps a new slot, if the account then has at most `files` files of `most` bytes together, slots that are
        still good included, and at most `slots` of these. Fires with "", or with what there would be too much of:
        "files", "bytes" or "slots"."""

    def get(token: str) -> Deferred[UploadRow | None]:
        """The slot or file of this token."""

    def prolong(token: str, slot_ms: int) -> Deferred[bool]:
        """A slot is good until then; False where there is no such slot, or the file is there."""

    def keep(token: str, type: str, stored_ms: int) -> Deferred[bool]:
        """The file of a slot is there; False where there is no such slot, or it has had its file."""

    def usage(account_id: int, now_ms: int) -> Deferred[Usage]:
        """What counts for an account's quota: files, and slots that are still good."""

    def total() -> Deferred[Usage]:
        """All files."""

    def users() -> Deferred[list[tuple[str, Usage]]]:
        """(bare address, its files) of each account that has any, the largest first."""

    def of(account_id: int) -> Deferred[list[UploadRow]]:
        """Slots and files of an account, oldest first."""

    def due(now_ms: int, most: int) -> Deferred[list[UploadRow]]:
        """Up to `most` that are to go: slots and files whose time is up, and those of accounts that are no more."""

    def known(tokens: Iterable[str]) -> Deferred[set[str]]:
        """Those of these tokens that there are."""

    def delete(tokens: Iterable[str]) -> Deferred[None]:
        """Forgets these; the files have gone before."""


class IPushStore(Interface):
    """Clients that are told through their app servers (XEP-0357)."""

    def load(account_id: int) -> Deferred[list[PushRow]]:
        """Those of an account, in the order they asked for it."""

    def enable(account_id: int, row: PushRow) -> Deferred[None]:
        """Adds one, or replaces the one of the same service and node."""

    def disable(account_id: int, service: str, node: str | None) -> Deferred[None]:
        """Forgets one, or all of a service where node is None; none is no error."""

    def count() -> Deferred[int]:
        """How many there are of all accounts."""


class IReportStore(Interface):
    """What people reported (XEP-0377)."""

    def add(row: ReportRow, most: int) -> Deferred[int]:
        """Keeps one, row.id does not count; fires with its number. Of more than `most` the oldest go."""

    def list(most: int) -> Deferred[list[ReportRow]]:
        """The newest first."""

    def get(id: int) -> Deferred[ReportRow | None]:
        """One."""

    def delete(id: int) -> Deferred[bool]:
        """Forgets one; False where there is none of this number."""


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


class IMediaEngine(Interface):
    """What carries sound and pictures: the bridge processes of this daemon, or a LiveKit server.

    Every Deferred fails with MediaError (chatd.core.media), with code "unavailable" where the engine cannot be asked
    now. What an engine keeps of a room is gone when the room is empty for a while or the engine restarts; who needs it
    makes it again.
    """

    name = Attribute("embedded or livekit.")
    url = Attribute("The address clients connect to (wss://…); LiveKit's clients add /rtc themselves.")

    def access_token(identity: str, room: str, grants: Grants, name: str = "", metadata: str = "",
                     attributes: Mapping[str, str] | None = None, ttl_s: float = 600.0) -> str:
        """A token that lets its holder join `room` as `identity`. ttl_s: until when joining must have begun; who is in
        gets fresh ones from the engine. Raises ValueError without identity or room."""

    def create_room(name: str, metadata: str = "", max_participants: int = 0, empty_timeout_s: int = 0,
                    departure_timeout_s: int = 0) -> Deferred[MediaRoom]:
        """Makes a room, or gives the one there is. It also comes into being when the first participant joins.

        max_participants: 0 for the engine's own limit. empty_timeout_s: closes it when nobody came;
        departure_timeout_s: when the last has gone; 0 for the engine's own.
        """

    def delete_room(name: str) -> Deferred[bool]:
        """Disconnects everybody (ROOM_DELETED) and closes it. Fires with whether there was one."""

    def list_rooms(names: Iterable[str] = ()) -> Deferred[list[MediaRoom]]:
        """All rooms, or those of these names that there are."""

    def update_room_metadata(name: str, metadata: str) -> Deferred[MediaRoom]:
        """Fails: not_found."""

    def list_participants(room: str) -> Deferred[list[MediaParticipant]]:
        """Everybody in a room; nobody where there is no such room."""

    def get_participant(room: str, identity: str) -> Deferred[MediaParticipant | None]:
        """One, None if it is not in that room."""

    def remove_participant(room: str, identity: str) -> Deferred[bool]:
        """Disconnects it (PARTICIPANT_REMOVED); its token lets it in again while it is good. Fires with whether it was
        there."""

    def mute_track(room: str, identity: str, track_sid: str, muted: bool = True) -> Deferred[MediaTrack]:
        """Mutes a track. Unmuting somebody from afar is refused by engines: failed_precondition. Fails: not_found."""

    def update_participant(room: str, identity: str, name: str | None = None, metadata: str | None = None,
                           attributes: Mapping[str, str] | None = None,
                           grants: Grants | None = None) -> Deferred[MediaParticipant]:
        """Changes what is given; an attribute of value "" is taken away. Fails: not_found."""

    def update_subscriptions(room: str, identity: str, track_sids: Iterable[str], subscribe: bool) -> Deferred[None]:
        """Subscribes a participant to tracks or ends that. Fails: not_found."""

    def send_data(room: str, data: bytes, topic: str = "", to: Iterable[str] = (),
                  is_reliable: bool = True) -> Deferred[None]:
        """Sends a data message to everybody in a room, or to these identities. Fails: not_found."""

    def start_room_recording(room: str, path: str, layout: str = "grid",
                             is_audio_only: bool = False) -> Deferred[Recording]:
        """Records a whole meeting into one file. path: with its ending, relative to where the engine keeps recordings.
        Fails: not_found; LiveKit servers without an egress service: internal or unavailable."""

    def start_track_recording(room: str, track_sid: str, path: str) -> Deferred[Recording]:
        """Records one track as it is. Fails like start_room_recording."""

    def stop_recording(id: str) -> Deferred[Recording]:
        """Ends a recording; its file is there at egress_ended. Fails: not_found, failed_precondition when it has ended
        already."""

    def list_recordings(room: str = "", is_active: bool = False) -> Deferred[list[Recording]]:
        """Recordings the engine knows of, of one room if given, only those that run if is_active."""

    def listen(callback: Callable[[MediaEvent], object]) -> Callable[[], None]:
        """Calls back for everything that happens, in the order the engine tells; gives what ends that.

        An engine tells an event at least once and tries again for a while when the daemon was away; each is passed on
        once. What was missed is found out by list_rooms and list_participants.
        """


class IMeetings(Interface):
    """Meetings, as the web knows them; the words of what is told are those of docs/protocol.md."""

    is_open = Attribute("The meetings have been read from the store.")

    def create(account: JID, name: str = "", password: str = "", lobby: bool = False, e2ee: bool = False,
               expires_ms: int = 0) -> Deferred[dict[str, Any]]:
        """Makes a meeting for an account of ours; fires with what `info` gives.  Fails: StanzaError item-not-found (no
        such account), resource-constraint, not-acceptable."""

    def info(id: str) -> dict[str, Any] | None:
        """What somebody with the link may know before joining; None where there is no such meeting."""

    def admits(room: str, identity: str) -> bool:
        """May this participant of the media engine be in that media room?  Of rooms that are no meetings' always."""

    def recording(id: str, given: str) -> tuple[Path, str] | None:
        """Path and file name of a recording, for who has a pass; None where it is not good, or there is none.
        given: the pass, of the address that the room gave a moderator."""


class IUploads(Interface):
    """Files that people send, as the web knows them: it moves the bytes, and asks here what may be."""

    folder = Attribute("Path: where the files are, each by its token.")
    total = Attribute("Usage: all files that are there.")
    counts = Attribute("Of chatd.core.uploads.UploadCounts; the web counts what it sends.")

    def take(token: str, name: str, secret: str, length: int | None, content_type: str | None) -> Deferred[UploadRow]:
        """The file of a slot begins to come. length, content_type: as its sender says. Until `stored` or `given_up` no
        other comes into that slot. Fails: UploadRefused."""

    def stored(row: UploadRow) -> Deferred[bool]:
        """It is in the folder, on the disk. False where its slot was taken back meanwhile: then it has to go."""

    def given_up(row: UploadRow) -> None:
        """It has not come; what there was of it is gone."""

    def find(token: str, name: str) -> Deferred[UploadRow | None]:
        """The file of this address, None where there is none (any more)."""
