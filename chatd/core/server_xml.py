"""The XML of streams between servers while they are negotiated: RFC 6120 4.7, 5, 6; XEP-0178, 0198, 0220, 0288."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chatd.core import ns
from chatd.core.sasl import encode
from chatd.core.stanza import attribute

__all__ = [
    "ASK_SM", "AUTH_FAILED", "BIDI", "BIDI_OFFERED", "DIALBACK_OFFERED", "EXTERNAL_OFFERED", "FOOTER", "REQUEST",
    "SM_OFFERED", "STARTTLS", "STARTTLS_OFFERED", "STARTTLS_REQUIRED", "SUCCESS", "auth", "features", "header",
    "resume",
]

FOOTER: Final = b"</stream:stream>"
STARTTLS: Final = f"<starttls xmlns='{ns.TLS}'/>".encode()
STARTTLS_OFFERED: Final = STARTTLS
STARTTLS_REQUIRED: Final = f"<starttls xmlns='{ns.TLS}'><required/></starttls>".encode()
EXTERNAL_OFFERED: Final = (
    f"<mechanisms xmlns='{ns.SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>").encode()
DIALBACK_OFFERED: Final = f"<dialback xmlns='{ns.DIALBACK_FEATURES}'><errors/></dialback>".encode()
BIDI_OFFERED: Final = f"<bidi xmlns='{ns.BIDI_FEATURES}'/>".encode()
BIDI: Final = f"<bidi xmlns='{ns.BIDI}'/>".encode()
SM_OFFERED: Final = f"<sm xmlns='{ns.SM}'/>".encode()
ASK_SM: Final = f"<enable xmlns='{ns.SM}' resume='true'/>".encode()
REQUEST: Final = f"<r xmlns='{ns.SM}'/>".encode()
SUCCESS: Final = f"<success xmlns='{ns.SASL}'/>".encode()
AUTH_FAILED: Final = f"<failure xmlns='{ns.SASL}'><not-authorized/></failure>".encode()


def header(from_: str, to: str, id_: str = "") -> bytes:
    """A stream header, with an id where it answers one. The dialback prefix says that we speak it (XEP-0220 2.4.1)."""
    told = {"from": from_, "to": to, "id": id_}
    names = "".join(f" {name}='{attribute(value)}'" for name, value in told.items() if value)
    return (f"<?xml version='1.0'?><stream:stream xmlns='{ns.SERVER}' xmlns:stream='{ns.STREAMS}' "
            f"xmlns:db='{ns.DIALBACK}'{names} version='1.0' xml:lang='en'>").encode()


def features(parts: Iterable[bytes]) -> bytes:
    """<stream:features/> around the features."""
    return b"<stream:features>" + b"".join(parts) + b"</stream:features>"


def auth(domain: str) -> bytes:
    """SASL EXTERNAL in the name of `domain`; older servers want to see it said (XEP-0178 3, interoperability note)."""
    return f"<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'>{encode(domain.encode())}</auth>".encode()


def resume(previd: str, h: int) -> bytes:
    """<resume/> (XEP-0198 5): h is what was handled of the connection that was cut."""
    return f"<resume xmlns='{ns.SM}' previd='{attribute(previd)}' h='{h}'/>".encode()
