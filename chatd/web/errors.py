"""Refusals and failures over HTTP in words: a small page for people, JSON for programs, no stack traces."""

from __future__ import annotations

import json
from http import HTTPStatus

from twisted.web.http import Request
from twisted.web.resource import Resource

TEXTS: dict[int, tuple[str, str]] = {
    400: ("Bad request", "The request could not be understood."),
    401: ("Not allowed", "The request does not prove who sent it."),
    403: ("Not allowed", "You may not see this page from where you are."),
    404: ("Page not found", "There is nothing at this address."),
    409: ("Not possible now", "This cannot be done at the moment."),
    405: ("Not possible here", "This address does not answer that kind of request."),
    413: ("Too large", "What was sent is larger than this server accepts."),
    429: ("Too fast", "That was asked too often. Please wait a moment."),
    500: ("Something went wrong", "The server could not do this. The reason is in its log."),
    501: ("Not possible here", "This server does not know that kind of request."),
    503: ("Not ready", "The server cannot do this just now. Please try again in a moment."),
}
"""Heading and sentence a person reads, by status code."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<style>
:root{{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}}
body{{margin:0;min-height:100vh;display:grid;place-content:center;padding:1.5rem;text-align:center;
background:#f5f7f9;color:#1b2733}}
h1{{font-size:1.375rem;margin:0 0 .5rem}} p{{margin:0 0 1.25rem;max-width:32rem}} a{{color:#0b5c7a}}
@media (prefers-color-scheme:dark){{body{{background:#12181f;color:#e6ebf0}} a{{color:#7cc4e0}}}}
</style></head>
<body><main><h1>{title}</h1><p>{text}</p><p><a href="/">Go to the log-in page</a></p></main></body></html>
"""


def wants_html(request: Request) -> bool:
    """Tell whether the asker is a browser showing a page: its Accept header names text/html."""
    return b"text/html" in (request.getHeader(b"accept") or b"")


def error_body(request: Request, code: int, text: str = "") -> bytes:
    """Set status and headers of `request` for the refusal `code` and return the body.

    `code` is an HTTP status; `text` replaces the usual sentence (plain text, shown as it is to programs and,
    escaped by being ours only, to people: pass no foreign text).
    """
    phrase = HTTPStatus(code).phrase
    title, usual = TEXTS.get(code, (phrase, phrase + "."))
    text = text or usual
    if wants_html(request):
        body, kind = _PAGE.format(title=title, text=text).encode(), b"text/html; charset=utf-8"
    else:
        body = json.dumps({"error": phrase, "status": code, "text": text}).encode() + b"\n"
        kind = b"application/json"
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", kind)
    request.setHeader(b"Cache-Control", b"no-store")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


class ErrorPage(Resource):
    """A resource that always answers with one refusal."""

    isLeaf = True

    def __init__(self, code: int, text: str = "") -> None:
        """`code` is the HTTP status, `text` an own sentence instead of the usual one."""
        super().__init__()
        self.code = code
        self.text = text

    def render(self, request: Request) -> bytes:
        """Answer whatever the method was."""
        return error_body(request, self.code, self.text)
