"""vcard-temp, XEP-0054: what a person says of himself, readable by everybody.

The whole vCard is kept as it came. For who has set none the directory may know something (event vcard.none). The
hash of its photo is kept beside it and told by the event
    vcard.changed(account, photo_sha1)          hexadecimal, empty without a photo
Who logs in first by way of Webmail gets one with the name known there: event account.named(jid, name).
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from hashlib import sha1
from typing import Any, Final
from xml.sax.saxutils import escape

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.vcards import name_of
from chatd.xep.api import Api, Module, Request

__all__ = ["VCard", "photo_sha1"]

log = Logger()

_NONE: Final = f'<vCard xmlns="{ns.VCARD}"/>'.encode()


class VCard(Module):
    """XEP-0054: get anybody's, set one's own."""

    name = "vcard"
    xep = "0054"
    version = "1.3.0"
    features = (ns.VCARD,)
    account_features = (ns.VCARD,)

    def start(self, api: Api) -> None:
        """Answers get and set."""
        super().start(api)
        api.iq("get", f"{ns.VCARD} vCard", self._get, own=False)
        api.iq("set", f"{ns.VCARD} vCard", self._set)
        api.on("account.named", self._named)

    def _get(self, request: Request) -> Any:
        account: Any = request.account

        def found(value: bytes | None) -> bytes:
            if value is None:
                for hook in self.api.hooks.events.get("vcard.none", ()):
                    value = value or hook(request.from_, request.to)
            if value is None and not request.is_own:
                raise StanzaError("service-unavailable")    # section 3.3: as an account that does not exist
            return value or _NONE

        return self.api.store.vcard.get(account.id).addCallback(found)

    def _set(self, request: Request) -> Any:
        account = request.account
        if account is None or request.session is None:
            raise StanzaError("forbidden")
        most = self.api.settings.limits.vcard_bytes
        if len(request.stanza.inner) > most:
            raise StanzaError("not-acceptable", text=f"A vCard has at most {most} bytes (limits.vcard_bytes).")
        photo = photo_sha1(request.child)

        def kept(_: Any) -> bytes:
            self.api.hooks.tell("vcard.changed", account, photo)
            return b""

        return self.api.store.vcard.set(account.id, request.stanza.inner.strip(), photo).addCallback(kept)

    def _named(self, jid: JID, name: str) -> None:
        """Somebody's account was just made, and who made it knows the name; what the directory says goes before."""

        def found(account: Any) -> Any:
            for hook in self.api.hooks.events.get("vcard.none", ()):
                if name_of(hook(jid, jid) or b"") not in ("", jid.bare):
                    return None
            vcard = f'<vCard xmlns="{ns.VCARD}"><FN>{escape(name)}</FN></vCard>'.encode()
            return self.api.store.vcard.replace(account.id, None, vcard, "").addCallback(kept, account)

        def kept(is_kept: bool, account: Any) -> None:
            if is_kept:             # otherwise the owner was faster
                self.api.hooks.tell("vcard.changed", account, "")

        maybeDeferred(self.api.router.accounts.load, jid).addCallback(found).addErrback(
            lambda failure: log.failure("a name could not be kept", failure))


def photo_sha1(vcard: domish.Element) -> str:
    """XEP-0153 2.1: hexadecimal SHA-1 of the first photo's bytes, empty without one; bad-request if it is no base64."""
    for photo in vcard.elements(ns.VCARD, "PHOTO"):
        for value in photo.elements(ns.VCARD, "BINVAL"):
            try:
                # White space is allowed anywhere in it (section 4.6).
                data = b64decode("".join(str(value).split()), validate=True)
            except (Base64Error, ValueError):
                raise StanzaError("bad-request", text="The photo is not base64.") from None
            return sha1(data, usedforsecurity=False).hexdigest() if data else ""
    return ""
