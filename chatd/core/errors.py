"""The two errors of XMPP: of a stream (RFC 6120 4.9), which ends it, and of a stanza (8.3), which answers it. And what
is said inside the house when a server of the organisation cannot be asked."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from twisted.words.protocols.jabber.error import StanzaError

from chatd.core import ns

__all__ = ["STREAM_CONDITIONS", "StanzaError", "StreamError", "Unavailable"]

#: The defined conditions of RFC 6120 4.9.3; a StreamError with another one is a mistake of ours.
STREAM_CONDITIONS: Final = frozenset({
    "bad-format", "bad-namespace-prefix", "conflict", "connection-timeout", "host-gone", "host-unknown",
    "improper-addressing", "internal-server-error", "invalid-from", "invalid-namespace", "invalid-xml",
    "not-authorized", "not-well-formed", "policy-violation", "remote-connection-failed", "reset",
    "resource-constraint", "restricted-xml", "see-other-host", "system-shutdown", "undefined-condition",
    "unsupported-encoding", "unsupported-feature", "unsupported-stanza-type", "unsupported-version",
})


class StreamError(Exception):
    """The peer broke a rule of the stream, or the stream cannot go on: it is told why and closed.

    `condition` is one of STREAM_CONDITIONS, `text` a sentence for the person who will read it,
    `application` the XML of an application-specific condition, or nothing (RFC 6120 4.9.4).
    """

    def __init__(self, condition: str, text: str = "", application: str = "") -> None:
        if condition not in STREAM_CONDITIONS:
            raise ValueError(f"not a stream error condition of RFC 6120: {condition}")
        super().__init__(condition, text)
        self.condition = condition
        self.text = text
        self.application = application

    def to_bytes(self, prefix: str = "stream:", declare: bool = False) -> bytes:
        """The <stream:error/> element.

        `prefix` is that of the streams namespace ("" for the default), `declare` adds its
        declaration, which a WebSocket frame or a BOSH body needs (RFC 7395 3.4).
        """
        name = f"{prefix}error"
        attribute = f' xmlns{":" + prefix[:-1] if prefix else ""}="{ns.STREAMS}"' if declare else ""
        text = f'<text xmlns="{ns.STREAM_ERRORS}" xml:lang="en">{escape(self.text)}</text>' if self.text else ""
        return (f'<{name}{attribute}><{self.condition} xmlns="{ns.STREAM_ERRORS}"/>{text}{self.application}'
                f"</{name}>").encode()


class Unavailable(Exception):
    """Another server (mail, LDAP, a database) cannot answer now; the text says why, for the sysadmin and the log."""
