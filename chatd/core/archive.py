"""Message archives: what is asked, what comes back, and a person's preferences.

XEP-0313 version 1.1 (``urn:xmpp:mam:2`` with ``#extended``) and XEP-0441 (preferences), paged by XEP-0059.
Values only: the store answers an `ArchiveQuery` with an `ArchivePage`; which messages get stored at all is
decided in `chatd.core.storable`.

An archive id is a positive integer inside chatd and its decimal text on the wire (the same text is the
XEP-0359 stanza-id). Text that is no such number can name no message, so it is answered item-not-found.
"""
from __future__ import annotations

from collections.abc import Iterable

import attrs
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish

from chatd.core import fulltext, ns, rsm
from chatd.core.jid import JID, InvalidJID
from chatd.core.stamp import InvalidStamp, format_stamp, parse_stamp
from chatd.core.stanza import attribute, text

FEATURES = (ns.MAM, ns.MAM_EXTENDED, "urn:xmpp:mam:2#groupchat-field", fulltext.NAMESPACE)
"""What an account's archive announces. ``#groupchat-field`` without ``#groupchat-available``: the field is
understood, and rooms keep their own archives, so an account's archive never holds groupchat."""

PAGE_DEFAULT = 50
"""Rows of a page when the client names no <max/> (XEP-0313 4.3.1 lets the server choose)."""
PAGE_MAX = 250
"""Upper limit of a page, whatever the client asks."""
IDS_MAX = 250
"""How many ids one query may list."""
PREFS_MAX = 1000
"""How many addresses <always/> and <never/> may hold together."""
ID_MAX = 2**63 - 1


class ItemNotFound(Exception):
    """An id named in a query (before-id, after-id, ids, RSM before or after) is not in the archive.

    Answered with the stanza error item-not-found (XEP-0313 4.1.3, XEP-0059 2.2).
    """


@attrs.frozen
class ArchiveQuery:
    """One page of one archive. All bounds apply together.

    with_jid: only messages with this address; a bare JID matches all its resources, a full JID only itself.
    with_resource: only messages with this resource, of whatever address (in a room's archive: a nickname).
    start_ms, end_ms: inclusive bounds of the time of arrival, milliseconds since 1970 (UTC).
    before_id, after_id: exclusive bounds by id; ItemNotFound if unknown.
    ids: only these messages; ItemNotFound if one of them is unknown.
    max: how many rows at most (0: only count).
    before: page that ends before this id; "" is the last page (XEP-0059 2.5); None: not asked.
    after: page that begins after this id (exclusive); None: from the first match.
    words: only messages with all of these in their text (`chatd.core.fulltext`).
    flip: the client wants the rows newest first. The store gives them oldest first always; whoever sends
        them turns them round (`ArchivePage.in_order`).
    """

    with_jid: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    before_id: int | None = None
    after_id: int | None = None
    ids: tuple[int, ...] = ()
    max: int = PAGE_DEFAULT
    before: int | str | None = None
    after: int | None = None
    flip: bool = False
    with_resource: str | None = None
    words: tuple[str, ...] = ()


@attrs.frozen
class ArchiveRow:
    """One stored message: its id, its time of arrival (ms since 1970), the stanza with its own xmlns."""

    id: int
    stamp_ms: int
    stanza: bytes


@attrs.frozen
class ArchivePage:
    """The answer to an ArchiveQuery.

    rows: oldest first. complete: no further row matches in the direction of paging. count: how many rows
    match the filters in the whole archive (paging not counted), or None when not counted. index: position of
    the first row among them, or None when unknown. reached: where a search for words ended before the archive did, the
    last message that was looked at.
    """

    rows: tuple[ArchiveRow, ...] = ()
    complete: bool = True
    count: int | None = None
    index: int | None = None
    reached: int | None = None

    def in_order(self, query: ArchiveQuery) -> tuple[ArchiveRow, ...]:
        """The rows in the order they are to be sent (XEP-0313 4.3.5, flipped pages)."""
        return self.rows[::-1] if query.flip else self.rows


@attrs.frozen
class ArchivePrefs:
    """XEP-0441: default is "always", "never" or "roster"; always and never are normalised JIDs."""

    default: str = "always"
    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def parse_id(text: str) -> int:
    """An archive id from the wire. ItemNotFound for anything that is not one of our numbers."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and text[0] != "0":
        number = int(text)
        if number <= ID_MAX:
            return number
    raise ItemNotFound(text[:40])


def parse_query(query: domish.Element, page_max: int = PAGE_MAX) -> tuple[str | None, ArchiveQuery]:
    """The <query xmlns='urn:xmpp:mam:2'/> of an iq set, as (queryid, ArchiveQuery).

    Refuses with StanzaError: bad-request (broken form, stamp, RSM), jid-malformed (with),
    feature-not-implemented (a field unknown here, as XEP-0313 4.1.5 demands, or paging by index),
    not-acceptable (too many ids), item-not-found (an id that cannot be one of ours).
    """
    wanted: dict[str, object] = {}
    try:
        for field, values in _fields(query):
            _FIELDS[field](wanted, values) if field in _FIELDS else _unknown(field)
        page = rsm.parse(query)
        if page is not None:
            if page.index is not None:
                raise StanzaError("feature-not-implemented", text="This archive is not paged by index.")
            wanted["max"] = min(page.max if page.max is not None else PAGE_DEFAULT, page_max)
            if page.after is not None:
                wanted["after"] = parse_id(page.after)
            if page.before is not None:
                wanted["before"] = parse_id(page.before) if page.before else ""
                if "after" in wanted:  # a page that ends before the one and lies behind the other
                    wanted["after_id"] = max(wanted.pop("after"), wanted.get("after_id", 0))  # type: ignore[call-overload]
    except ItemNotFound:
        raise StanzaError("item-not-found", text="The archive holds no message with that id.") from None
    wanted["flip"] = any(child.name == "flip-page" and child.uri == ns.MAM for child in query.elements())
    return query.getAttribute("queryid"), ArchiveQuery(**wanted)  # type: ignore[arg-type]


def _fields(query: domish.Element) -> Iterable[tuple[str, list[str]]]:
    """(var, values) of every field of the submitted form, the FORM_TYPE checked and left out."""
    forms = [child for child in query.elements() if child.name == "x" and child.uri == ns.DATA]
    if not forms:
        return
    if len(forms) > 1 or forms[0].getAttribute("type") != "submit":
        raise StanzaError("bad-request", text="A query holds one form of type 'submit'.")
    form_type = None
    seen: dict[str, list[str]] = {}
    for field in forms[0].elements():
        if field.name != "field":
            continue
        var = field.getAttribute("var") or ""
        values = [str(value) for value in field.elements() if value.name == "value"]
        if var in seen or not var:
            raise StanzaError("bad-request", text="Every field of the form has its own 'var'.")
        seen[var] = values
        if var == "FORM_TYPE":
            form_type = values
    if form_type != [ns.MAM]:
        raise StanzaError("bad-request", text=f"The form's FORM_TYPE is to be {ns.MAM}.")
    for var, values in seen.items():
        if var != "FORM_TYPE":
            yield var, values


def _unknown(field: str) -> None:
    raise StanzaError("feature-not-implemented", text=f"This archive does not know the field {field[:60]!r}.")


def _single(values: list[str], field: str) -> str | None:
    """The one value of a field; None for an empty one, which means the same as leaving the field out."""
    if len(values) > 1:
        raise StanzaError("bad-request", text=f"The field {field!r} takes one value.")
    return values[0].strip() or None if values else None


def _set_with(wanted: dict[str, object], values: list[str]) -> None:
    given = _single(values, "with")
    if given is not None:
        try:
            wanted["with_jid"] = JID.parse(given).full
        except InvalidJID:
            raise StanzaError("jid-malformed", text="The field 'with' holds no valid address.") from None


def _set_stamp(field: str):  # type: ignore[no-untyped-def]
    def apply(wanted: dict[str, object], values: list[str]) -> None:
        given = _single(values, field)
        if given is not None:
            try:
                wanted[field + "_ms"] = parse_stamp(given)
            except InvalidStamp as error:
                raise StanzaError("bad-request", text=f"The field {field!r}: {error}") from None
    return apply


def _set_bound(field: str, key: str):  # type: ignore[no-untyped-def]
    def apply(wanted: dict[str, object], values: list[str]) -> None:
        given = _single(values, field)
        if given is not None:
            wanted[key] = parse_id(given)
    return apply


def _set_ids(wanted: dict[str, object], values: list[str]) -> None:
    if len(values) > IDS_MAX:
        raise StanzaError("not-acceptable", text=f"At most {IDS_MAX} ids in one query.")
    wanted["ids"] = tuple(dict.fromkeys(parse_id(value.strip()) for value in values))


def _set_words(wanted: dict[str, object], values: list[str]) -> None:
    wanted["words"] = fulltext.words_of(_single(values, fulltext.FIELD) or "")


def _set_groupchat(wanted: dict[str, object], values: list[str]) -> None:
    # Nothing to filter: an account's archive holds no groupchat. Only the form of the value is checked.
    if _single(values, "include-groupchat") not in (None, "true", "false", "1", "0"):
        raise StanzaError("bad-request", text="The field 'include-groupchat' is 'true' or 'false'.")


_FIELDS = {
    "with": _set_with,
    "start": _set_stamp("start"),
    "end": _set_stamp("end"),
    "before-id": _set_bound("before-id", "before_id"),
    "after-id": _set_bound("after-id", "after_id"),
    "ids": _set_ids,
    "include-groupchat": _set_groupchat,
    fulltext.FIELD: _set_words,
}

FORM = (
    f"<query xmlns='{ns.MAM}'><x xmlns='{ns.DATA}' type='form'>"
    f"<field type='hidden' var='FORM_TYPE'><value>{ns.MAM}</value></field>"
    "<field type='jid-single' var='with'/><field type='text-single' var='start'/>"
    "<field type='text-single' var='end'/><field type='text-single' var='before-id'/>"
    "<field type='text-single' var='after-id'/><field type='list-multi' var='ids'>"
    "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate>"
    "</field><field type='boolean' var='include-groupchat'/>"
    f"<field type='text-single' var='{fulltext.FIELD}'/></x></query>"
).encode()
"""Answer to an iq get: the fields a query may use (XEP-0313 4.1.5)."""


def fin_bytes(page: ArchivePage) -> bytes:
    """<fin/> of the closing iq result (XEP-0313 4). first and last are the oldest and the newest row of the
    page even when it was sent flipped, so that 'before' the first and 'after' the last go on paging; of a search that
    found nothing so far, the last message it looked at is both."""
    first, last = (page.rows[0].id, page.rows[-1].id) if page.rows else (page.reached, page.reached)
    complete = " complete='true'" if page.complete else ""
    body = rsm.result_bytes(None if first is None else str(first), None if last is None else str(last),
                            page.count, page.index)
    return b"<fin xmlns='%b'%b>%b</fin>" % (ns.MAM.encode(), complete.encode(), body)


def result_bytes(row: ArchiveRow, queryid: str | None) -> bytes:
    """<result/> with the forwarded message, the content of the <message/> sent for one row (XEP-0313 4.2)."""
    quoted = "" if queryid is None else f" queryid='{attribute(queryid)}'"
    return (
        f"<result xmlns='{ns.MAM}'{quoted} id='{row.id}'><forwarded xmlns='{ns.FORWARD}'>"
        f"<delay xmlns='{ns.DELAY}' stamp='{format_stamp(row.stamp_ms)}'/>"
    ).encode() + row.stanza + b"</forwarded></result>"


def metadata_bytes(bounds: tuple[int, int, int, int] | None) -> bytes:
    """<metadata/> (XEP-0313 5); bounds: (first id, its stamp_ms, last id, its stamp_ms), None when empty."""
    if bounds is None:
        return f"<metadata xmlns='{ns.MAM}'/>".encode()
    first, first_ms, last, last_ms = bounds
    return (
        f"<metadata xmlns='{ns.MAM}'><start id='{first}' timestamp='{format_stamp(first_ms)}'/>"
        f"<end id='{last}' timestamp='{format_stamp(last_ms)}'/></metadata>"
    ).encode()


def parse_prefs(prefs: domish.Element) -> ArchivePrefs:
    """The <prefs/> of an iq set (XEP-0441 2).

    Refuses with StanzaError: bad-request (default is none of the three words), jid-malformed,
    not-acceptable (more than PREFS_MAX addresses).
    """
    default = prefs.getAttribute("default")
    if default not in ("always", "never", "roster"):
        raise StanzaError("bad-request", text="The attribute 'default' is 'always', 'never' or 'roster'.")
    lists: dict[str, dict[str, None]] = {"always": {}, "never": {}}
    for part in prefs.elements():
        if part.uri != ns.MAM or part.name not in lists:
            continue
        for entry in part.elements():
            if entry.name != "jid" or entry.uri != ns.MAM:
                continue
            try:
                lists[part.name][JID.parse(str(entry).strip()).full] = None
            except InvalidJID:
                raise StanzaError("jid-malformed", text="The preferences name an invalid address.") from None
    if len(lists["always"]) + len(lists["never"]) > PREFS_MAX:
        raise StanzaError("not-acceptable", text=f"At most {PREFS_MAX} addresses in the preferences.")
    return ArchivePrefs(default, tuple(lists["always"]), tuple(lists["never"]))


def prefs_bytes(prefs: ArchivePrefs) -> bytes:
    """<prefs/> as it is answered: both lists present even if empty (XEP-0441 2)."""
    parts = [f"<prefs xmlns='{ns.MAM}' default='{prefs.default}'>"]
    for name, jids in (("always", prefs.always), ("never", prefs.never)):
        inner = "".join(f"<jid>{text(jid)}</jid>" for jid in jids)
        parts.append(f"<{name}>{inner}</{name}>")
    parts.append("</prefs>")
    return "".join(parts).encode()
