"""Password-protected rooms, XEP-0045 7.2.5."""

from __future__ import annotations

import hmac

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import Stanza
from chatd.xep.muc.room import Room

__all__ = ["check_password", "given"]


def given(stanza: Stanza) -> str:
    """The password in a presence that asks to enter."""
    for child in stanza.element.elements():
        if child.name == "x" and child.uri in (ns.MUC, ns.MUC_USER):    # XEP-0045 17.3 knows it in both
            for part in child.elements():
                if part.name == "password":
                    return str(part)
    return ""


def check_password(room: Room, stanza: Stanza) -> None:
    """Raises StanzaError not-authorized where the password is not the room's."""
    if room.config["protected"] and not hmac.compare_digest(given(stanza).encode(), room.config["password"].encode()):
        raise StanzaError("not-authorized", text="This room asks for a password.")
