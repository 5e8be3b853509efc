"""A person's picture in its two forms, XEP-0398: in a vCard (XEP-0054, XEP-0153) and published (XEP-0084)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha1
from typing import Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.stanza import Stanza, attribute

__all__ = ["Photo", "is_empty", "photo_of_data", "photo_of_vcard", "published_id", "stamped", "with_photo"]

_UPDATE: Final = f"{ns.VCARD_UPDATE} x"
_BEGINNINGS: Final = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


@attrs.frozen
class Photo:
    """A picture and what it is said to be ("image/png")."""

    data: bytes = attrs.field(repr=False)
    type: str

    @property
    def sha1(self) -> str:
        """Hexadecimal: the id in both forms."""
        return sha1(self.data, usedforsecurity=False).hexdigest()

    @property
    def data_xml(self) -> bytes:
        """The item of the node of data (XEP-0084 4.1)."""
        return f'<data xmlns="{ns.AVATAR_DATA}">'.encode() + b64encode(self.data) + b"</data>"

    @property
    def metadata_xml(self) -> bytes:
        """The item of the node of metadata (XEP-0084 4.2)."""
        return (f'<metadata xmlns="{ns.AVATAR_METADATA}"><info bytes="{len(self.data)}" id="{self.sha1}" '
                f'type="{attribute(self.type)}"/></metadata>').encode()


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode("".join(text.split()), validate=True) or None
    except (Base64Error, ValueError):
        return None


def _type_of(data: bytes, said: str) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    found = next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), "")
    return found or (said if said.startswith("image/") and len(said) < 100 else "image/png")


def photo_of_vcard(vcard: domish.Element) -> Photo | None:
    """The first photo of a vCard, None where it has none."""
    for photo in vcard.elements(ns.VCARD, "PHOTO"):
        said = "".join(str(one) for one in photo.elements(ns.VCARD, "TYPE")).strip()
        for value in photo.elements(ns.VCARD, "BINVAL"):
            data = _decoded(str(value))
            if data is not None:
                return Photo(data, _type_of(data, said))
    return None


def with_photo(vcard: domish.Element | None, photo: Photo | None) -> domish.Element:
    """A vCard with this photo instead of its own, all else as it was."""
    new = domish.Element((ns.VCARD, "vCard"))
    if vcard is not None:
        new.children = [child for child in vcard.children
                        if isinstance(child, str) or (child.uri, child.name) != (ns.VCARD, "PHOTO")]
    if photo is not None:
        element = new.addElement((ns.VCARD, "PHOTO"))
        element.addElement((ns.VCARD, "TYPE"), content=photo.type)
        element.addElement((ns.VCARD, "BINVAL"), content=b64encode(photo.data).decode())
    return new


def published_id(metadata: domish.Element) -> str:
    """The id of the picture that is published here and not on some web site (XEP-0398 3.1), "" for none."""
    return next((info.getAttribute("id") or "" for info in metadata.elements(ns.AVATAR_METADATA, "info")
                 if not info.getAttribute("url")), "").lower()


def is_empty(metadata: domish.Element) -> bool:
    """The person has no picture any more (XEP-0084 4.2.2)."""
    return next(iter(metadata.elements(ns.AVATAR_METADATA, "info")), None) is None


def photo_of_data(element: domish.Element, id_: str) -> Photo | None:
    """The picture in an item of data, None where it is none, or not the one of this id."""
    if (element.uri, element.name) != (ns.AVATAR_DATA, "data"):
        return None
    data = _decoded(str(element))
    photo = None if data is None else Photo(data, _type_of(data, ""))
    return photo if photo is not None and photo.sha1 == id_ else None


def stamped(stanza: Stanza, photo: str) -> Stanza | None:
    """Available presence with this hash ("" for: no picture), None where it has it, or says that it wants none."""
    if _UPDATE in stanza.children:
        element = stanza.element
        named = [str(child).strip().lower() for update in element.elements(ns.VCARD_UPDATE, "x")
                 for child in update.elements(ns.VCARD_UPDATE, "photo")]
        if named == [photo] or "" in named:
            return None
        stanza = stanza.filtered(lambda child: (child.uri, child.name) != (ns.VCARD_UPDATE, "x"))
    update = f'<x xmlns="{ns.VCARD_UPDATE}"><photo>{photo}</photo></x>'
    return stanza.added(update.encode(), _UPDATE)
