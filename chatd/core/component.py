"""The rules of XEP-0114, Jabber Component Protocol: values in, values out."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from chatd.core import ns
from chatd.core.errors import StreamError
from chatd.core.framing import StreamStart
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import Stanza, attribute

__all__ = ["FOOTER", "HANDSHAKE", "addresses", "check_header", "digest", "header", "shows"]

HANDSHAKE: Final = b"<handshake/>"
FOOTER: Final = b"</stream:stream>"


def header(from_: str, id_: str) -> bytes:
    """Our stream header; from_ is the component's own domain (section 3, example 2), or nothing."""
    who = f" from='{attribute(from_)}'" if from_ else ""
    return (f"<?xml version='1.0'?><stream:stream xmlns='{ns.COMPONENT}' xmlns:stream='{ns.STREAMS}'{who} "
            f"id='{attribute(id_)}'>").encode()


def check_header(start: StreamStart) -> str:
    """The domain that a component's stream header asks for, as addresses are written; raises StreamError."""
    if start.ns != ns.STREAMS or start.name != "stream" or start.default_ns != ns.COMPONENT:
        raise StreamError("invalid-namespace", f"This is for components: {ns.COMPONENT} in a stream.")
    try:
        asked = JID.parse(start.attrs.get("to", ""))
    except InvalidJID:
        asked = None
    if asked is None or asked.full != asked.domain:
        raise StreamError("host-unknown", "The to of the stream header is to be the component's domain.")
    return asked.domain


def digest(id_: str, secret: str) -> str:
    """What a component that knows the secret says on the stream of this id (section 3, example 3)."""
    return hashlib.sha1((id_ + secret).encode()).hexdigest()


def shows(handshake: Stanza, id_: str, secret: str) -> bool:
    """Does a <handshake/> show that the secret is known?  It takes as long whatever is wrong with it."""
    said = "" if handshake.children else str(handshake.element).strip().lower()
    return hmac.compare_digest(said.encode("utf-8", "replace"), digest(id_, secret).encode())


def addresses(stanza: Stanza, domain: str) -> tuple[JID, JID]:
    """From and to of a component's stanza, made normal in it; raises StreamError where it is not the component's to
    send (section 3: a from of its own domain, and a to), InvalidJID where the recipient's address is none."""
    said_from, said_to = stanza.attrs.get("from"), stanza.attrs.get("to")
    if not said_from or not said_to:
        raise StreamError("improper-addressing", "Stanzas of a component have from and to.")
    try:
        from_ = JID.parse(said_from)
    except InvalidJID:
        raise StreamError("improper-addressing", "The from of a stanza is no address.") from None
    if from_.domain != domain:
        raise StreamError("invalid-from", f"You are {domain}, and the from is at {from_.domain}.")
    stanza.attrs["from"] = from_.full
    to = JID.parse(said_to)
    stanza.attrs["to"] = to.full
    return from_, to
