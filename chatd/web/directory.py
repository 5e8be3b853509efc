"""The search for people over HTTP: ``GET /api/v1/directory?q=WORDS`` for the panel, as somebody types.

The asker shows a token that the domain gave over XMPP (docs/protocol.md); it says which account asks. Without a good
one nothing is told, not even whether there is a directory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.web.resource import Resource

from chatd.core.jid import JID, InvalidJID
from chatd.core.limits import TokenBuckets
from chatd.core.people import TEXT_MOST
from chatd.interfaces import IDirectories
from chatd.web.body import json_body
from chatd.web.errors import error_body

__all__ = ["DIRECTORY_PATH", "DirectoryResource"]

DIRECTORY_PATH: Final = "/api/v1/directory"
_RESULTS: Final = 20
_RATE: Final = 10.0         # questions a second of one account, in the long run
_BURST: Final = 40.0


class DirectoryResource(Resource):
    """The resource. taken: who a token is for (IVisits.taken); now: seconds of a clock that never goes back."""

    isLeaf = True

    def __init__(self, directories: IDirectories, taken: Callable[[str, str], str | None],
                 now: Callable[[], float]) -> None:
        super().__init__()
        self._directories = directories
        self._taken = taken
        self._now = now
        self._rates = TokenBuckets(_RATE, _BURST)

    def render_GET(self, request: Any) -> bytes:
        """People who have all the words."""
        request.setHeader(b"Cache-Control", b"no-store")
        reader = self._reader(request)
        if reader is None:
            request.setHeader(b"WWW-Authenticate", b"Bearer")
            return error_body(request, 401)
        domain = _argument(request, b"domain") or reader.domain
        if not self._directories.may_search(reader, domain):
            return error_body(request, 403)
        if self._rates.is_too_fast(reader.bare, self._now()):
            request.setHeader(b"Retry-After", b"1")
            return error_body(request, 429)
        typed = _argument(request, b"q")
        if typed is None or len(typed) > TEXT_MOST:
            return error_body(request, 400, f"q is what was typed, {TEXT_MOST} characters at most.")
        people, is_more = self._directories.search(domain, typed, _RESULTS)
        found = [{"jid": person.jid, "name": person.name, "address": person.address, "title": person.title,
                  "department": person.department, "phone": person.phone,
                  "has_account": self._directories.has_account(person.jid)} for person in people]
        return json_body(request, {"people": found, "more": is_more})

    def _reader(self, request: Any) -> JID | None:
        """Who asks; accounts that are disabled or no more do not."""
        scheme, _, token = (request.getHeader(b"authorization") or b"").decode("latin-1").partition(" ")
        bare = self._taken("directory", token.strip()) if scheme.lower() == "bearer" else None
        try:
            return JID.parse(bare) if bare is not None and self._directories.may_ask(bare) else None
        except InvalidJID:
            return None


def _argument(request: Any, name: bytes) -> str | None:
    values = request.args.get(name, [])
    if len(values) != 1:
        return None
    try:
        return str(values[0].decode())
    except UnicodeDecodeError:
        return None
