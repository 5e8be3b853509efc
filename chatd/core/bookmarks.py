"""Bookmarks of rooms in their two forms: an item a room (XEP-0402), or all of them in one element (XEP-0048)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.pubsub import ID_MOST, Item
from chatd.core.stanza import attribute, parse_element, text

__all__ = ["Bookmark", "bookmarks_of", "item_xml", "of_items", "others_of", "storage_xml"]

_YES: Final = ("1", "true")


@attrs.frozen
class Bookmark:
    """A room one comes back to.  name, nick, password: "" for none."""

    room: str
    name: str = ""
    autojoin: bool = False
    nick: str = ""
    password: str = attrs.field(default="", repr=False)


def _read(element: domish.Element, room: str) -> Bookmark:
    said = {child.name: str(child) for child in element.elements() if child.uri == element.uri}
    return Bookmark(room, element.getAttribute("name") or "", element.getAttribute("autojoin") in _YES,
                    said.get("nick", ""), said.get("password", ""))


def bookmarks_of(storage: domish.Element) -> dict[str, Bookmark]:
    """The rooms in a <storage xmlns="storage:bookmarks"/>, by address; of two of the same address the last one."""
    found: dict[str, Bookmark] = {}
    for conference in storage.elements(ns.BOOKMARKS_OLD, "conference"):
        room = (conference.getAttribute("jid") or "").strip()
        if room and len(room.encode()) <= ID_MOST:
            found[room] = _read(conference, room)
    return found


def of_items(items: Iterable[Item]) -> dict[str, Bookmark]:
    """The rooms in items of XEP-0402."""
    found = {}
    for item in items:
        element = parse_element(item.payload)
        if (element.uri, element.name) == (ns.BOOKMARKS, "conference"):
            found[item.id] = _read(element, item.id)
    return found


def others_of(storage: domish.Element) -> bytes:
    """What else a <storage/> holds, such as web pages."""
    return "".join(child.toXml(defaultUri=storage.uri) for child in storage.elements()
                   if (child.uri, child.name) != (ns.BOOKMARKS_OLD, "conference")).encode()


def _body(bookmark: Bookmark) -> str:
    return "".join(f"<{name}>{text(value)}</{name}>" for name, value in (
        ("nick", bookmark.nick), ("password", bookmark.password)) if value)


def _attributes(bookmark: Bookmark) -> str:
    named = f' name="{attribute(bookmark.name)}"' if bookmark.name else ""
    return f'{named} autojoin="{"true" if bookmark.autojoin else "false"}"'


def storage_xml(bookmarks: Mapping[str, Bookmark], others: bytes = b"") -> bytes:
    """All in one element; others: what else it holds."""
    inner = "".join(f'<conference jid="{attribute(room)}"{_attributes(one)}>{_body(one)}</conference>'
                    for room, one in bookmarks.items())
    return f'<storage xmlns="{ns.BOOKMARKS_OLD}">{inner}'.encode() + others + b"</storage>"


def item_xml(bookmark: Bookmark, former: bytes | None = None) -> bytes:
    """The item of one; former: the item it replaces, whose <extensions/> stay (XEP-0402 3.4)."""
    kept = ""
    if former is not None:
        old = parse_element(former)
        kept = "".join(child.toXml(defaultUri=old.uri) for child in old.elements(ns.BOOKMARKS, "extensions"))
    return f'<conference xmlns="{ns.BOOKMARKS}"{_attributes(bookmark)}>{_body(bookmark)}{kept}</conference>'.encode()
