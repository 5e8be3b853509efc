"""vCards (XEP-0054) from what a directory knows of a person, and the name that a vCard has."""

from __future__ import annotations

from base64 import b64encode
from xml.sax.saxutils import escape

from chatd.core import ns
from chatd.core.people import Person, photo_kind
from chatd.core.stanza import parse_element

__all__ = ["name_of", "vcard_of"]


def vcard_of(person: Person) -> bytes:
    """The <vCard/> of a person."""
    parts = [
        f"<FN>{escape(person.name)}</FN>",
        f"<EMAIL><INTERNET/><USERID>{escape(person.address)}</USERID></EMAIL>",
        f"<JABBERID>{escape(person.jid)}</JABBERID>",
    ]
    if person.title:
        parts.append(f"<TITLE>{escape(person.title)}</TITLE>")
    if person.department:
        parts.append(f"<ORG><ORGUNIT>{escape(person.department)}</ORGUNIT></ORG>")
    if person.phone:
        parts.append(f"<TEL><WORK/><VOICE/><NUMBER>{escape(person.phone)}</NUMBER></TEL>")
    if person.photo:
        binval = b64encode(person.photo).decode()
        parts.append(f"<PHOTO><TYPE>{photo_kind(person.photo)}</TYPE><BINVAL>{binval}</BINVAL></PHOTO>")
    return f'<vCard xmlns="{ns.VCARD}">{"".join(parts)}</vCard>'.encode()


def name_of(vcard: bytes) -> str:
    """Its FN, "" without one."""
    try:
        element = parse_element(vcard)
    except ValueError:
        return ""
    return next((str(found).strip() for found in element.elements(ns.VCARD, "FN")), "")
