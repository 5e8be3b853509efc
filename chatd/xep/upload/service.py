"""upload.DOMAIN: gives slots to the accounts of its domain (XEP-0363 5, 7), and says what it takes."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish
from zope.interface import implementer

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.limits import TokenBucket
from chatd.core.stamp import InvalidStamp, format_stamp, parse_stamp
from chatd.core.stanza import Stanza, attribute, text
from chatd.core.uploads import (
    TOKEN_BYTES,
    UPLOADS_PATH,
    UploadRow,
    clean_name,
    clean_type,
    guessed_type,
    hashed,
    path_of,
)
from chatd.interfaces import IService
from chatd.xep.upload.files import SLOT_S, Files

if TYPE_CHECKING:
    from chatd.xep.api import Api

__all__ = ["Uploads", "size_text"]

log = Logger()

_SLOTS: Final = 50                  # of one account that wait for their files
_RATE, _BURST = 1.0, 60.0           # slots of one account: a second, and at once
_ASKERS_MOST: Final = 1000
_FILENAME_MOST: Final = 4096        # characters; what is kept of them is far less
_DAY_MS: Final = 86_400_000
_FEATURES: Final = (ns.DISCO_INFO, ns.DISCO_ITEMS, ns.PING, ns.UPLOAD, f"{ns.UPLOAD_PURPOSE}#ephemeral",
                    f"{ns.UPLOAD_PURPOSE}#message")


@implementer(IService)
class Uploads:
    """The files of one domain."""

    def __init__(self, domain: str, accounts: str, api: Api, files: Files) -> None:
        self.domain = domain
        self._accounts = accounts
        self._api = api
        self._router = api.router
        self._store = api.store.uploads
        self._files = files
        self._askers: OrderedDict[str, TokenBucket] = OrderedDict()

    def receive(self, stanza: Stanza, to: JID) -> None:
        """See IService."""
        try:
            result = self._answer(stanza, to)
        except StanzaError as error:
            self._router.answer(stanza, error)
            return
        except Exception:
            log.failure("{stanza!r}", stanza=stanza)
            self._router.answer(stanza, StanzaError("internal-server-error"))
            return
        if isinstance(result, Deferred):
            result.addCallback(lambda content: self._router.back(stanza.result(content)))
            result.addErrback(self._refused, stanza)
        elif result is not None:
            self._router.back(stanza.result(result))

    def _refused(self, failure: Any, stanza: Stanza) -> None:
        if failure.check(StanzaError):
            self._router.answer(stanza, failure.value)
            return
        log.failure("{stanza!r}", failure=failure, stanza=stanza)
        self._router.answer(stanza, StanzaError("internal-server-error"))

    def _answer(self, stanza: Stanza, to: JID) -> bytes | Deferred[bytes] | None:
        """Content of the result, None for no answer; raises StanzaError."""
        if stanza.name != "iq" or not stanza.may_be_answered:
            if stanza.name == "message":
                raise StanzaError("service-unavailable", text="Nobody reads messages to this address.")
            return None
        if to.local or to.resource or len(stanza.children) != 1:
            raise StanzaError("service-unavailable" if len(stanza.children) == 1 else "bad-request")
        key = (stanza.attrs.get("type"), stanza.payload)
        if key == ("get", f"{ns.PING} ping"):
            return b""
        if key == ("get", f"{ns.UPLOAD} request"):
            return self._slot(JID.parse(stanza.attrs["from"]), _child(stanza))
        if key in (("get", f"{ns.DISCO_INFO} query"), ("get", f"{ns.DISCO_ITEMS} query")):
            if _child(stanza).getAttribute("node"):
                raise StanzaError("item-not-found", text="There is no such node.")
            return self._info() if stanza.payload.startswith(ns.DISCO_INFO) else (
                f'<query xmlns="{ns.DISCO_ITEMS}"/>'.encode())
        raise StanzaError("service-unavailable")

    def _info(self) -> bytes:
        features = "".join(f'<feature var="{one}"/>' for one in sorted(_FEATURES))
        return (f'<query xmlns="{ns.DISCO_INFO}"><identity category="store" type="file" name="Files"/>{features}'
                f'<x xmlns="{ns.DATA}" type="result"><field var="FORM_TYPE" type="hidden"><value>{ns.UPLOAD}</value>'
                f'</field><field var="max-file-size"><value>{self._files.rules.file_bytes}</value></field></x>'
                "</query>").encode()

    # -- slots
    def _slot(self, from_: JID, request: domish.Element) -> Deferred[bytes]:
        """Raises StanzaError, each with the sentence that people are shown."""
        account = self._router.accounts.find(from_.bare)
        if account is None or from_.domain != self._accounts or from_.resource not in account.sessions:
            raise StanzaError("forbidden", text=f"Only people of {self._accounts} can send files by this server.")
        name, size, content_type = self._asked(request)
        self._check_rate(from_.bare)
        now_ms = self._files.now_ms
        token, secret = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        row = UploadRow(token, account.id, hashed(secret), name, content_type, size, now_ms, now_ms + SLOT_S * 1000, 0,
                        self._expiry(request, now_ms))
        return Deferred.fromCoroutine(self._reserve(row, secret))

    def _asked(self, request: domish.Element) -> tuple[str, int, str]:
        rules = self._files.rules
        given, number = request.getAttribute("filename") or "", request.getAttribute("size") or ""
        if not given.strip() or len(given) > _FILENAME_MOST:
            raise StanzaError("bad-request", text="A file has a name.")
        if not (number.isascii() and number.isdigit() and len(number) < 19 and int(number)):
            raise StanzaError("bad-request", text="The file is empty: its size is a number of bytes above 0.")
        size = int(number)
        if size > rules.file_bytes:
            raise StanzaError("not-acceptable", "modify", appCondition=_too_large(rules.file_bytes),
                              text=f"This file is too large: at most {size_text(rules.file_bytes)}.")
        asked_type = request.getAttribute("content-type")
        content_type = clean_type(asked_type) if asked_type else ""
        if asked_type and not content_type:
            raise StanzaError("bad-request", text="The content-type is none.")
        name = clean_name(given)
        refusal = rules.refusal(name, content_type or guessed_type(name))
        if refusal:
            raise StanzaError("not-acceptable", "cancel", text=refusal)
        if not self._files.has_room(size):
            raise StanzaError("resource-constraint", "wait", text="The server has no room for files at the moment.")
        return name, size, content_type

    def _expiry(self, request: domish.Element, now_ms: int) -> int:
        """When the file is to go: by the site's rule, or sooner where its sender says so (section 6.3)."""
        days = self._files.rules.days
        expires_ms = now_ms + days * _DAY_MS if days else 0
        for wish in request.elements(ns.UPLOAD_PURPOSE, "ephemeral"):
            try:
                until_ms = parse_stamp(wish.getAttribute("expire-before") or "")
            except InvalidStamp as error:
                raise StanzaError("bad-request", text=f"expire-before: {error}.") from None
            if until_ms <= now_ms:
                raise StanzaError("not-acceptable", "modify", text="The file would have expired already.")
            expires_ms = min(expires_ms or until_ms, until_ms)
        return expires_ms

    def _check_rate(self, bare: str) -> None:
        now = self._api.clock.seconds()
        bucket = self._askers.pop(bare, None) or TokenBucket(_RATE, _BURST, now)
        self._askers[bare] = bucket
        if len(self._askers) > _ASKERS_MOST:
            self._askers.popitem(last=False)
        wait_s = bucket.take(1, now)
        if wait_s > 0:
            bucket.take(-1, now)        # what is refused costs nothing
            raise self._later("That were many files within a short time. Please wait a moment.", wait_s)

    def _later(self, says: str, wait_s: float) -> StanzaError:
        self._files.counts.refused += 1
        retry = domish.Element((ns.UPLOAD, "retry"))
        retry["stamp"] = format_stamp(self._files.now_ms + int(wait_s * 1000) + 1000)
        return StanzaError("resource-constraint", "wait", appCondition=retry, text=says)

    async def _reserve(self, row: UploadRow, secret: str) -> bytes:
        rules = self._files.rules
        too_much = await self._store.reserve(row, rules.files, rules.quota_bytes, _SLOTS)
        if too_much == "slots":
            raise self._later("Too many files are about to be sent. Please wait until they are there.", SLOT_S)
        if too_much:
            self._files.counts.refused += 1
            raise StanzaError("resource-constraint", "wait", text=await self._full(row, too_much))
        url = f"{self._api.settings.http.public_url.rstrip('/')}{UPLOADS_PATH}/{path_of(row)}"
        quoted = attribute(url)
        return (f'<slot xmlns="{ns.UPLOAD}"><put url="{quoted}"><header name="Authorization">Bearer {text(secret)}'
                f'</header></put><get url="{quoted}"/></slot>').encode()

    async def _full(self, row: UploadRow, too_much: str) -> str:
        rules = self._files.rules
        usage = await self._store.usage(row.account, row.made_ms)
        said = (f"Your files take {size_text(usage.bytes)} of the {size_text(rules.quota_bytes)} you have here"
                if too_much == "bytes" else f"You have sent {usage.files} files, which is as many as may be kept")
        due = [one.expires_ms for one in await self._store.of(row.account) if one.stored_ms and one.expires_ms]
        if not due:
            return f"{said}: there is no room for this one."
        moment = datetime.fromtimestamp(min(due) / 1000, UTC)
        return f"{said}: there is no room for this one. The oldest goes on {moment:%-d %B %Y}."


def _child(stanza: Stanza) -> domish.Element:
    return next(stanza.element.elements())


def _too_large(most: int) -> domish.Element:
    element = domish.Element((ns.UPLOAD, "file-too-large"))
    element.addElement("max-file-size", content=str(most))
    return element


def size_text(size: int) -> str:
    """A number of bytes as people say it."""
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= factor:
            number = f"{size / factor:.1f}".rstrip("0").rstrip(".")
            return f"{number} {unit}"
    return f"{size} bytes"
