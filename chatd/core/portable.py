"""Accounts as XEP-0227 writes them: the parts of a <user/> as values, and values as such parts.  Values in, values out.

Three dialects are read: version 1.1 (`urn:xmpp:pie:0`, as chatd and Prosody write it), the namespace of earlier
versions (ejabberd), and ejabberd's way to put a SCRAM verifier into the attribute `password`.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.accounts import Verifier
from chatd.core.jid import JID, InvalidJID
from chatd.core.roster import RosterItem, item_bytes
from chatd.core.stamp import InvalidStamp, format_stamp, parse_stamp
from chatd.core.stanza import attribute, text

__all__ = [
    "ARCHIVE", "ARCHIVE_END", "ARCHIVE_START", "DISABLED", "KINDS", "NAMESPACES", "PIE", "SCRAM",
    "Archived", "Unusable", "archived", "archived_bytes", "blocked", "ejabberd_verifiers", "kind_of", "offline_bytes",
    "pending", "roster", "roster_bytes", "user_start", "verifier", "verifier_bytes",
]

PIE: Final = "urn:xmpp:pie:0"
SCRAM: Final = f"{PIE}#scram"
ARCHIVE: Final = f"{PIE}#mam"
NAMESPACES: Final = (PIE, "http://www.xmpp.org/extensions/xep-0227.html#ns")
PRIVACY: Final = "jabber:iq:privacy"
ARCHIVE_START: Final = f'<archive xmlns="{ARCHIVE}">'
ARCHIVE_END: Final = "</archive>"
OURS: Final = "urn:chatd:portable:0"
DISABLED: Final = f'<disabled xmlns="{OURS}"/>'
"""In a <user/> who may not log in; the specification has nothing for that."""
_LEAST_ROUNDS: Final = 1000
_DIGESTS: Final = {"SCRAM-SHA-1": 20, "SCRAM-SHA-256": 32}
_HASHES: Final = {"sha": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256"}

#: What the children of a <user/> are called in what is told of an import, by "NAMESPACE NAME".
KINDS: Final = {
    f"{SCRAM} scram-credentials": "passwords",
    f"{OURS} disabled": "disabled",
    f"{ns.ROSTER} query": "contacts",
    **{f"{name} presence": "requests" for name in (ns.CLIENT, *NAMESPACES)},    # Prosody leaves its namespace out
    f"{ns.PRIVATE} query": "private data",
    f"{ns.VCARD} vCard": "vCards",
    f"{ns.BLOCKING} blocklist": "block lists",
    f"{PRIVACY} query": "block lists",
    f"{ns.PUBSUB}#owner pubsub": "nodes",
    f"{ns.PUBSUB} pubsub": "published items",
    f"{ARCHIVE} archive": "history",
    **{f"{name} offline-messages": "offline messages" for name in NAMESPACES},
}


class Unusable(Exception):
    """Something that cannot be taken over; the text says why, without what it holds."""


def kind_of(element: domish.Element) -> str:
    """The word of KINDS, nothing for what is not known."""
    return KINDS.get(f"{element.uri} {element.name}", "")


# -- passwords
def verifier(element: domish.Element) -> tuple[str, Verifier]:
    """Mechanism and verifier of <scram-credentials/> (section 4.3); raises Unusable."""
    told = {str(child.name): str(child).strip() for child in element.elements()}
    return _verifier(element.getAttribute("mechanism", ""), told.get("stored-key", ""), told.get("server-key", ""),
                     told.get("salt", ""), told.get("iter-count", ""))


def ejabberd_verifiers(password: str) -> dict[str, Verifier] | None:
    """What ejabberd has in place of a password it does not know: scram:[HASH,]STORED,SERVER,SALT,COUNT. None: this is a
    password."""
    if not password.startswith("scram:"):
        return None
    parts = password.removeprefix("scram:").split(",")
    name = parts.pop(0) if len(parts) == 5 else "sha"
    if len(parts) != 4:
        return None
    mechanism, found = _verifier(_HASHES.get(name, name), *parts)
    return {mechanism: found}


def _verifier(mechanism: str, stored: str, server: str, salt: str, rounds: str) -> tuple[str, Verifier]:
    size = _DIGESTS.get(mechanism)
    if size is None:
        raise Unusable("a password is kept for a mechanism that is not known here")
    try:
        stored_key, server_key, salted = (b64decode(word, validate=True) for word in (stored, server, salt))
        if len(stored_key) == len(b64encode(bytes(size))):      # COMPAT(ejabberd 23.01): encoded twice
            stored_key, server_key, salted = (b64decode(key, validate=True) for key in (stored_key, server_key, salted))
        count = int(rounds)
    except (binascii.Error, ValueError):
        raise Unusable("what is kept of a password is damaged") from None
    if len(stored_key) != size or len(server_key) != size or not salted or not _LEAST_ROUNDS <= count <= 10_000_000:
        raise Unusable("what is kept of a password is damaged")
    return mechanism, Verifier(salted, count, stored_key, server_key)


def verifier_bytes(mechanism: str, kept: Verifier) -> str:
    """<scram-credentials/>."""
    told = {"server-key": kept.server_key, "stored-key": kept.stored_key, "salt": kept.salt}
    inner = "".join(f"<{name}>{b64encode(value).decode()}</{name}>" for name, value in told.items())
    return (f'<scram-credentials xmlns="{SCRAM}" mechanism="{attribute(mechanism)}">{inner}'
            f"<iter-count>{kept.iterations}</iter-count></scram-credentials>")


# -- contacts
def roster(query: domish.Element, skip: Callable[[str], None]) -> list[RosterItem]:
    """The contacts; `skip` is told why one cannot be taken."""
    found: dict[str, RosterItem] = {}
    for element in query.elements():
        if element.name != "item":
            continue
        try:
            jid = JID.parse(element.getAttribute("jid", ""))
        except InvalidJID:
            skip("a contact's address is none")
            continue
        kind = element.getAttribute("subscription", "none")
        if kind not in ("none", "to", "from", "both"):
            skip("a contact has a state that is not known")
            continue
        groups = [str(child) for child in element.elements() if child.name == "group" and str(child)]
        found[jid.bare] = RosterItem(
            jid=jid.bare, name=element.getAttribute("name", ""), subscription=kind,
            ask=element.getAttribute("ask") == "subscribe" and kind in ("none", "from"),
            approved=element.getAttribute("approved") in ("true", "1"), groups=tuple(dict.fromkeys(groups)))
    return list(found.values())


def roster_bytes(items: Iterable[RosterItem]) -> str:
    """The roster, and the requests that wait for an answer."""
    items = list(items)
    listed = b"".join(item_bytes(item) for item in items if item.listed).decode()
    waiting = "".join(_in_its_own(item.pending_in.decode()) for item in items if item.pending_in is not None)
    return f'<query xmlns="{ns.ROSTER}">{listed}</query>{waiting}'


def _in_its_own(presence: str) -> str:
    """As the file needs it: a request is kept as it came, without a declaration of its namespace."""
    start, end, rest = presence.partition(">")
    if " xmlns=" in start:
        return presence
    return start.replace("<presence", f'<presence xmlns="{ns.CLIENT}"', 1) + end + rest


def pending(presence: domish.Element, owner: str) -> tuple[str, bytes]:
    """Who asked, and the request as it waits for an answer (section 4.9); raises Unusable."""
    try:
        from_ = JID.parse(presence.getAttribute("from", "")).bare
    except InvalidJID:
        raise Unusable("who asked to be a contact has no address") from None
    if presence.getAttribute("type") != "subscribe":
        raise Unusable("a presence is no request")
    presence["from"], presence["to"] = from_, owner
    return from_, _in_client(presence).toXml().encode()


def blocked(element: domish.Element, skip: Callable[[str], None]) -> set[str]:
    """The addresses of a block list (XEP-0191), or of the privacy lists (XEP-0016) those that are shut out
    altogether."""
    if element.uri == ns.BLOCKING:
        items = list(element.elements())
    else:
        lists = [child for child in element.elements() if child.name == "list"]
        default = next((child.getAttribute("name") for child in element.elements() if child.name == "default"), None)
        chosen = [one for one in lists if default is None or one.getAttribute("name") == default]
        items = []
        for item in (item for one in chosen for item in one.elements()):
            if item.getAttribute("action") != "deny":
                continue
            if item.getAttribute("type") == "jid" and not list(item.elements()):
                item["jid"] = item.getAttribute("value", "")
                items.append(item)
            else:
                skip("a privacy list has rules for more than addresses")
    found = set()
    for item in items:
        try:
            found.add(JID.parse(item.getAttribute("jid", "")).full)
        except InvalidJID:
            skip("a blocked address is none")
    return found


# -- messages
@attrs.frozen
class Archived:
    """A message of an archive or of offline storage. with_: the other side. stanza: with its own xmlns."""

    stamp_ms: int
    with_: JID
    stanza: bytes


def archived(result: domish.Element, owner: str, now_ms: int) -> Archived:
    """A <result/> of an archive (XEP-0313), or a message that waits (XEP-0203 says since when); raises Unusable."""
    message, delay = result, _child(result, ns.DELAY, "delay")
    if result.name != "message":
        forwarded = _child(result, ns.FORWARD, "forwarded")
        found = None if forwarded is None else next((c for c in forwarded.elements() if c.name == "message"), None)
        if forwarded is None or found is None:
            raise Unusable("a message of the history is empty")
        message, delay = found, _child(forwarded, ns.DELAY, "delay")
    try:
        stamp_ms = now_ms if delay is None else parse_stamp(delay.getAttribute("stamp", ""))
        from_ = JID.parse(message.getAttribute("from") or owner)
        to = JID.parse(message.getAttribute("to") or owner)
    except InvalidStamp:
        raise Unusable("a message has no time") from None
    except InvalidJID:
        raise Unusable("a message is from or to no address") from None
    message = _in_client(message)
    other = to if from_.bare == owner else from_
    return Archived(min(max(stamp_ms, 0), now_ms), other, message.toXml().encode())


def _in_client(stanza: domish.Element) -> domish.Element:
    """Stanzas stand in the namespace of the file where a dump forgot to say theirs."""
    outside = stanza.uri

    def rename(element: domish.Element) -> None:
        if element.uri == outside:
            element.uri = ns.CLIENT
        if element.defaultUri == outside:
            element.defaultUri = ns.CLIENT
        for child in element.elements():
            rename(child)

    rename(stanza)
    return stanza


def archived_bytes(id_: int, stamp_ms: int, stanza: bytes) -> str:
    """A <result/>."""
    return (f'<result xmlns="{ns.MAM}" id="{id_}"><forwarded xmlns="{ns.FORWARD}"><delay xmlns="{ns.DELAY}" '
            f'stamp="{format_stamp(stamp_ms)}"/>{stanza.decode()}</forwarded></result>')


def offline_bytes(rows: Iterable[tuple[int, int, bytes]], domain: str) -> str:
    """<offline-messages/>, each message with the time it came."""
    def one(stamp_ms: int, stanza: bytes) -> str:
        delay = f'<delay xmlns="{ns.DELAY}" from="{text(domain)}" stamp="{format_stamp(stamp_ms)}"/>'
        head, end, tail = stanza.decode().rpartition("</")
        if end and f'<delay xmlns="{ns.DELAY}"' not in head.replace("'", '"'):
            return f"{head}{delay}{end}{tail}"
        return stanza.decode()

    return "<offline-messages>" + "".join(one(stamp, stanza) for _, stamp, stanza in rows) + "</offline-messages>"


def _child(element: domish.Element, uri: str, name: str) -> domish.Element | None:
    return next((child for child in element.elements() if child.uri == uri and child.name == name), None)


def user_start(local: str, kept: Mapping[str, Verifier]) -> str:
    """The start of a <user/> and what is kept of the password."""
    credentials = "".join(verifier_bytes(mechanism, one) for mechanism, one in sorted(kept.items()))
    return f'<user name="{attribute(local)}">{credentials}'
