"""Password-protected rooms, XEP-0045 7.2.5."""

from __future__ import annotations

from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza
from chatd.xep.muc.room import Room

__all__ = ["check_password", "given"]


def given(stanza: Stanza) -> str:
    """The password in a presence that asks to enter."""
    for child in stanza.element.elements():
        if child.name == "x":
            for part in child.elements():
                if part.name == "password":
                    return str(part)
    return ""


def check_password(room: Room, stanza: Stanza) -> None:
    """Raises StanzaError not-authorized where the password is not the room's."""
    if room.config["protected"] and given(stanza) != room.config["password"]:
        raise StanzaError("not-authorized", text="This room asks for a password.")
