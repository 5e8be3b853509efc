"""Contact Addresses for XMPP Services, XEP-0157, by the forms of XEP-0128: whom to write to about this server.

The addresses are settings, by what they are for; each is an URI, such as mailto:abuse@example.com. Besides, where the
site says how it is, outside of itself (XEP-0455 3).
"""

from __future__ import annotations

from typing import Final

from chatd.core.jid import JID, InvalidJID
from chatd.xep.api import Api, Module, Option, Request

__all__ = ["PURPOSES", "Contact"]

SERVERINFO: Final = "http://jabber.org/network/serverinfo"
OUTAGE: Final = "urn:xmpp:sos:0"
PURPOSES: Final = {
    "abuse": "about abuse",
    "admin": "of those who run the server",
    "feedback": "for what people think of it",
    "sales": "for whoever wants to buy something",
    "security": "about security",
    "status": "of pages that tell how it is",
    "support": "for help",
}
_URI: Final = r"(?:mailto|xmpp|https?|tel|sip|matrix):[!-~]{1,500}"
_PAGE: Final = r"https?://[!-~]{1,500}"


class Contact(Module):
    """XEP-0157, with what of XEP-0455 is the server's."""

    name = "contact"
    xep = "0157"
    version = "1.1.1"
    also = (("0128", "1.0.1"),)
    options = (
        *(Option(purpose, list, [], f"Addresses {says}, as URIs: [\"mailto:xmpp@example.com\"].", pattern=_URI)
          for purpose, says in sorted(PURPOSES.items())),
        Option("outage", list, [], "Where a file says whether the server is out of order (XEP-0455): [\"https://...\"].",
               pattern=_PAGE),
    )

    def start(self, api: Api) -> None:
        """Adds to what domains say of themselves."""
        super().start(api)
        option = api.options
        told = {f"{purpose}-addresses": option[purpose] for purpose in sorted(PURPOSES) if option[purpose]}
        self._forms = ({SERVERINFO: told} if told else {}) | (
            {OUTAGE: {"external-status-addresses": option["outage"]}} if option["outage"] else {})
        api.on("disco.forms", self._told)

    def _told(self, request: Request, node: str | None) -> dict[str, dict[str, list[str]]] | None:
        return None if node or request.to.local else self._forms

    def jids(self, *purposes: str) -> list[JID]:
        """The XMPP addresses of the first of these purposes that has any."""
        for purpose in purposes:
            found = []
            for uri in self.api.options[purpose]:
                if uri.startswith("xmpp:"):
                    try:
                        found.append(JID.parse(uri.removeprefix("xmpp:").partition("?")[0]))
                    except InvalidJID:
                        continue
            if found:
                return found
        return []
