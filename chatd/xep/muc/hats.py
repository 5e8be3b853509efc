"""Hats, XEP-0317: titles that admins give, shown in presence.

They are made, given, taken and listed by ad-hoc commands (XEP-0050), of which the room knows no others.  Each command
is done in one step where the form comes with it, in two where its form is asked for first.
"""

from __future__ import annotations

import copy
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID, InvalidJID
from chatd.core.muc_config import field_xml, form_values
from chatd.core.stanza import attribute
from chatd.xep.muc.room import Room

if TYPE_CHECKING:
    from chatd.xep.muc.service import Ask

__all__ = ["COMMANDS", "command", "commands_items", "hats_hash"]

COMMANDS: Final = "http://jabber.org/protocol/commands"
_PREFIX: Final = "urn:xmpp:hats:commands:"
_FORM: Final = "urn:xmpp:hats:commands"
_HATS_MOST: Final = 100
_WEARERS_MOST: Final = 1000
_WORD_MOST: Final = 256
_HUE: Final = re.compile(r"\d{1,3}(\.\d{1,12})?", re.ASCII)

#: The fields of each command's form: var, type, label, required.
_FIELDS: Final = {
    "create": (("hats#title", "text-single", "Title", True), ("hats#uri", "text-single", "URI", True),
               ("hats#hue", "text-single", "Hue", False)),
    "destroy": (("hats#uri", "list-single", "Hat", True),),
    "assign": (("hats#jid", "jid-single", "Address", True), ("hats#uri", "list-single", "Hat", True)),
    "unassign": (("hats#jid", "jid-single", "Address", True), ("hats#uri", "list-single", "Hat", True)),
    "list": (),
    "list-assigned": (),
}

Hats = dict[str, dict[str, Any]]


async def command(ask: Ask) -> bytes:
    """One of the six commands.  Raises StanzaError: forbidden, item-not-found, bad-request, not-acceptable."""
    node = ask.child.getAttribute("node") or ""
    word = node.removeprefix(_PREFIX)
    if not node.startswith(_PREFIX) or word not in _FIELDS:
        raise StanzaError("item-not-found", text="There is no such command.")
    room = ask.room
    is_reader = word == "list" and ask.occupant is not None         # it is in the presence of those who wear them, too
    if not is_reader and not room.is_at_least(ask.from_.bare, "admin"):
        raise StanzaError("forbidden", text="Only admins give hats.")
    if ask.child.getAttribute("action") == "cancel":
        return _answer(node, "canceled", "")
    if word in ("list", "list-assigned"):
        return _answer(node, "completed", _table(room.hats, word == "list-assigned"))
    form = next((part for part in ask.child.elements() if part.uri == ns.DATA and part.name == "x"), None)
    if form is None or form.getAttribute("type") != "submit":
        return _answer(node, "executing", _form(room.hats, word))
    values = {var: "".join(texts).strip() for var, texts in form_values(form, _FORM).items()}
    if any(required and not values.get(var) for var, _, _, required in _FIELDS[word]):
        raise StanzaError("bad-request", text="The form is not filled in.")
    new = copy.deepcopy(room.hats)
    touched = _change(new, word, values)
    await room.service.store.rooms.save(room.id, {"hats": new})
    room.hats = new
    if word in ("create", "destroy"):
        room.tell(104)
    for occupant in room.occupants.values():
        if occupant.jid in touched:
            room.show(occupant)
    return _answer(node, "completed", "")


def _change(hats: Hats, word: str, values: dict[str, str]) -> set[str]:
    """Does it; whose presence looks different then."""
    uri = values["hats#uri"]
    if word == "create":
        return _create(hats, uri, values["hats#title"], values.get("hats#hue", ""))
    if uri not in hats:
        raise StanzaError("item-not-found", text="There is no such hat.")
    if word == "destroy":
        return set(hats.pop(uri)["worn"])
    try:
        bare = JID.parse(values["hats#jid"]).bare
    except InvalidJID:
        raise StanzaError("jid-malformed", text="This is no valid address.") from None
    worn: list[str] = hats[uri]["worn"]
    if word == "unassign":
        if bare in worn:
            worn.remove(bare)
    elif bare not in worn:
        if len(worn) >= _WEARERS_MOST:
            raise StanzaError("resource-constraint", "wait", text="Too many wear this hat.")
        worn.append(bare)
    return {bare}


def _create(hats: Hats, uri: str, title: str, hue: str) -> set[str]:
    if len(uri) > _WORD_MOST or len(title) > _WORD_MOST or (hue and not _HUE.fullmatch(hue)):
        raise StanzaError("not-acceptable", text=f"URI and title have at most {_WORD_MOST} characters, hue an angle.")
    if uri not in hats and len(hats) >= _HATS_MOST:
        raise StanzaError("resource-constraint", "wait", text="The room has too many hats.")
    known = hats.setdefault(uri, {"worn": []})
    known["title"], known["hue"] = title, hue
    return set(known["worn"])


def _form(hats: Hats, word: str) -> str:
    fields = field_xml("FORM_TYPE", [_FORM], "hidden")
    for var, kind, label, is_required in _FIELDS[word]:
        choices = [(uri, hat["title"]) for uri, hat in hats.items()] if kind == "list-single" else ()
        fields += field_xml(var, [], kind, label, choices, is_required)
    return f'<x xmlns="{ns.DATA}" type="form">{fields}</x>'


def _table(hats: Hats, assigned: bool) -> str:
    columns = (["hats#jid"] if assigned else []) + ["hats#title", "hats#uri", "hats#hue"]
    rows = []
    for uri, hat in hats.items():
        own = [hat["title"], uri, hat["hue"]]
        rows += [[bare, *own] for bare in hat["worn"]] if assigned else [own]
    items = "".join("<item>" + "".join(field_xml(var, [value]) for var, value in zip(columns, row, strict=True))
                    + "</item>" for row in rows)
    return (f'<x xmlns="{ns.DATA}" type="result">{field_xml("FORM_TYPE", [_FORM], "hidden")}<reported>'
            + "".join(field_xml(var, []) for var in columns) + f"</reported>{items}</x>")


def _answer(node: str, status: str, inner: str) -> bytes:
    # Nothing is kept between the steps, so the session id says nothing (XEP-0050 wants one).
    return (f'<command xmlns="{COMMANDS}" node="{attribute(node)}" sessionid="hats" status="{status}">{inner}'
            "</command>").encode()


def hats_hash(hats: Hats) -> str:
    """Another one whenever the list of hats is another (XEP-0317 2)."""
    listed = sorted((uri, hat["title"], hat["hue"]) for uri, hat in hats.items())
    return hashlib.sha1(repr(listed).encode(), usedforsecurity=False).hexdigest()


def commands_items(room: Room, bare: str) -> str:
    """The commands as items of disco, to those who may use them."""
    if not room.is_at_least(bare, "admin"):
        return ""
    return "".join(f'<item jid="{attribute(room.bare)}" node="{_PREFIX}{word}" name="Hats: {word}"/>'
                   for word in _FIELDS)
