"""``/invite/TOKEN``: the page of an invitation, which says what to do, opens a chat program, or makes the account.

Plain HTML without a script, in the language the browser prefers (chatd.web.invitation_words). On a screen that is wide
enough to stand beside a telephone it has the link as a QR code, too. The token stands in the
address, so no cache may keep the page, and the log has `/invite/...`.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, Final
from urllib.parse import parse_qs

import segno
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from chatd.core.errors import StanzaError
from chatd.core.invitations import InvitationRow, link_of
from chatd.interfaces import IInvitations
from chatd.web.errors import ErrorPage, error_body
from chatd.web.invitation_words import WORDS, language_of
from chatd.web.later import answer_later

__all__ = ["INVITE_PATH", "InvitationPage"]

INVITE_PATH: Final = "/invite"
_BODY_MOST: Final = 8192
_FIELD_MOST: Final = 1023

_PAGE: Final = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>{title}</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<style>
:root{{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif;--page:#eef2f5;--card:#fff;--text:#1b2733;
--soft:#54626f;--line:#8797a5;--key:#0b5c7a;--on:#fff;--bad:#a3221b}}
@media (prefers-color-scheme:dark){{:root{{--page:#12181f;--card:#1c252e;--text:#e6ebf0;--soft:#a9b6c2;--line:#6d7d8b;
--key:#7cc4e0;--on:#0d2530;--bad:#ff9c94}}}}
*{{box-sizing:border-box}} body{{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;
background:var(--page);color:var(--text)}}
main{{width:100%;max-width:28rem;background:var(--card);border-radius:1rem;padding:1.75rem;overflow-wrap:anywhere}}
h1{{font-size:1.375rem;line-height:1.3;margin:0 0 .5rem}} h2{{font-size:1rem;margin:1.75rem 0 .5rem}}
p{{margin:0 0 1rem}} .soft{{color:var(--soft);font-size:.9375rem}} .hint{{margin-top:-.625rem}}
.bad{{color:var(--bad);font-weight:600}}
label{{display:block;margin:0 0 .25rem;font-weight:600}}
input{{width:100%;font:inherit;padding:.625rem .75rem;margin:0 0 1rem;border:1px solid var(--line);border-radius:.5rem;
background:transparent;color:inherit}} input[readonly]{{border-style:dashed}}
button,a.key{{display:block;width:100%;font:inherit;font-weight:600;text-align:center;text-decoration:none;
padding:.75rem 1rem;border-radius:.5rem;border:1px solid var(--key);cursor:pointer}}
button{{background:var(--key);color:var(--on)}} a.key{{color:var(--key)}}
.scan{{display:none;margin-top:1.5rem;gap:1rem;align-items:center}} .scan p{{margin:0}}
.scan svg{{flex:none;width:9.5rem;height:9.5rem;border-radius:.5rem}}
@media (min-width:40rem){{.scan{{display:flex}}}}
:focus-visible{{outline:3px solid var(--key);outline-offset:2px}}
</style></head><body><main>{body}</main></body></html>
"""


class InvitationPage(Resource):
    """/invite, with a token below it. may_try(address), failed(address): who guesses tokens has to wait."""

    def __init__(self, invitations: IInvitations, may_try: Callable[[str], bool],
                 failed: Callable[[str], None]) -> None:
        super().__init__()
        self._invitations = invitations
        self._may_try = may_try
        self._failed = failed

    def getChild(self, path: bytes, request: Request) -> IResource:
        """The page of that token."""
        if request.postpath or not path:
            return ErrorPage(404)
        return _Invitation(self, path.decode("latin-1"))

    def render(self, request: Request) -> bytes:
        """There is nothing without a token."""
        return error_body(request, 404)

    async def answer(self, token: str, request: Any, body: bytes | None) -> bytes:
        """The page; body: of a form that was sent."""
        words = WORDS[language_of(request.getHeader("accept-language") or "")]
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        request.setHeader("Cache-Control", "no-store")
        source = getattr(request.getClientAddress(), "host", "?")
        if not self._may_try(source):
            request.setResponseCode(429)
            return _page(words, words["wait_title"], f"<p>{words['wait']}</p>")
        try:
            row = await self._invitations.look(token)
        except StanzaError:
            self._failed(source)
            request.setResponseCode(404)
            return _page(words, words["gone_title"], f"<p>{words['gone']}</p>")
        if body is None:
            return self._asks(row, token, words)
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        name, password, again = (form.get(key, [""])[0][:_FIELD_MOST] for key in ("name", "password", "again"))
        if not name.strip() or not password or password != again:
            request.setResponseCode(400)
            return self._asks(row, token, words, words["differ"] if password != again else words["missing"], name)
        try:
            jid = await self._invitations.register(token, name, password)
        except StanzaError as error:
            request.setResponseCode(409 if error.condition == "conflict" else 400)
            return self._asks(row, token, words, words.get(error.condition, words["impossible"]), name)
        inner = (f"<p>{words['done'].format(jid=f'<strong>{escape(jid)}</strong>')}</p>"
                 f"<p><a class='key' href='/'>{words['open']}</a></p>")
        return _page(words, words["done_title"], inner)

    def _asks(self, row: InvitationRow, token: str, words: dict[str, str], wrong: str = "", name: str = "") -> bytes:
        makes_account = self._invitations.may_register(row.domain)
        said = words["by" if row.inviter else "to"].format(inviter=escape(row.inviter), domain=escape(row.domain))
        parts = [f"<p>{said}</p>"]
        if wrong:
            parts.append(f"<p class='bad' role='alert'>{wrong}</p>")
        if makes_account:
            fixed = f" value='{escape(row.local or name)}'" + (" readonly" if row.local else "")
            parts.append(
                f"<form method='post'><label for='name'>{words['name']}</label><input id='name' name='name' required "
                "maxlength='200' autocomplete='username' autocapitalize='none' spellcheck='false' "
                f"aria-describedby='ending'{fixed}>"
                f"<p class='soft hint' id='ending'>{words['address'].format(domain=escape(row.domain))}</p>"
                f"<label for='password'>{words['password']}</label><input id='password' name='password' "
                "type='password' required maxlength='200' autocomplete='new-password'>"
                f"<label for='again'>{words['again']}</label><input id='again' name='again' type='password' required "
                f"maxlength='200' autocomplete='new-password'><button>{words['make']}</button></form>")
        link = link_of(row, token, makes_account)
        parts.append(f"<h2>{words['program']}</h2><p class='soft'>{words['program_says']}</p>"
                     f"<a class='key' href='{escape(link)}'>{words['program_open']}</a>"
                     f"<div class='scan'>{_qr_code(link, words['code'])}<p class='soft'>{words['scan']}</p></div>")
        return _page(words, words["title"], "".join(parts))


class _Invitation(Resource):
    isLeaf = True

    def __init__(self, page: InvitationPage, token: str) -> None:
        super().__init__()
        self._page = page
        self._token = token

    def render_GET(self, request: Any) -> Any:
        """The page."""
        return self._later(request, None)

    def render_POST(self, request: Any) -> Any:
        """The form was sent."""
        body = request.content.read(_BODY_MOST + 1)
        return error_body(request, 413) if len(body) > _BODY_MOST else self._later(request, body)

    def _later(self, request: Any, body: bytes | None) -> int:
        return answer_later(request, self._page.answer(self._token, request, body), "the page of an invitation")


def _qr_code(link: str, label: str) -> str:
    """For the camera of a telephone beside this screen. It stays dark on white where the page is dark: many cameras
    read nothing else."""
    svg = segno.make(link, error="m", micro=False).svg_inline(scale=4, border=4, dark="#000", light="#fff",
                                                              omitsize=True, svgclass=None, lineclass=None)
    return svg.replace("<svg ", f"<svg role='img' aria-label='{escape(label)}' ", 1)


def _page(words: dict[str, str], title: str, inner: str) -> bytes:
    return _PAGE.format(lang=words["lang"], title=title, body=f"<h1>{title}</h1>{inner}").encode()
