"""What is kept: one interface a noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from twisted.internet.defer import Deferred

    from chatd.core.accounts import AccountRow, FastRow, LoadedAccount, Verifier
    from chatd.core.archive import ArchivePage, ArchivePrefs, ArchiveQuery
    from chatd.core.invitations import InvitationRow
    from chatd.core.jid import JID
    from chatd.core.meeting import MeetingRow, RecordingRow
    from chatd.core.muc import Affiliate, RoomRow
    from chatd.core.notices import Notice
    from chatd.core.pubsub import Item, Node, Published
    from chatd.core.push import PushRow
    from chatd.core.reports import ReportRow
    from chatd.core.roster import RosterItem
    from chatd.core.uploads import UploadRow, Usage
    from chatd.core.webmail import TokenRow

# mypy: disable-error-code="empty-body,misc"


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
    notices = Attribute("The INoticeStore.")
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
        A query for words looks at a bounded number of messages: without any found its page has `reached`. It is never
        counted.
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


class INoticeStore(Interface):
    """What all accounts of a domain are told (XEP-0133)."""

    def all() -> Deferred[list[Notice]]:
        """Those of all domains."""

    def set(notice: Notice) -> Deferred[None]:
        """Keeps it in place of the domain's former one of this kind."""

    def delete(domain: str, kind: str) -> Deferred[None]:
        """None there is no error."""

    def told(account_id: int, stamp_ms: int) -> Deferred[bool]:
        """Notes that an account is told the message of the day of that time. False: it was already, or a newer one."""

    def not_told(account_id: int, stamp_ms: int) -> Deferred[None]:
        """Takes back what `told` noted of that very message."""


class IOfflineStore(Interface):
    """Messages that wait for their recipient (XEP-0160)."""

    def append(account_id: int, id: int, stanza: bytes, stamp_ms: int) -> None:
        """Hot. Stores a message; id from IStore.new_id."""

    def delete(account_id: int, up_to_id: int) -> None:
        """Hot. Deletes the messages up to that id, after they were delivered."""

    def drop_archived(account_id: int) -> Deferred[int]:
        """Deletes what the account's archive has as well; how many are left."""

    def load(account_id: int, after_id: int = 0, rows: int | None = None, size_bytes: int | None = None
             ) -> Deferred[list[tuple[int, int, bytes]]]:
        """(id, stamp_ms, stanza) of each with a higher id than that, oldest first. Sees everything appended before.

        rows: so many at most. size_bytes: none after the one with which the stanzas have reached that size.
        """

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

    def last_of(domain: str, locals_: Iterable[str], reader: JID, names: Iterable[str],
                colleagues: Iterable[str] = ()) -> Deferred[list[Published]]:
        """The last item of each of these nodes of these accounts of a domain, as far as `reader` (a full address) may
        see the account's presence by its roster, or because they are colleagues (of `locals_`), and is not blocked.
        Who may read the node is not looked at."""

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

    def replace(account_id: int, old: bytes | None, value: bytes, photo_sha1: str | None) -> Deferred[bool]:
        """As set, if the vCard still is `old` (None: there is none); otherwise nothing is written and it is False."""


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
