"""The security headers every answer carries.

Content-Security-Policy is the promise that the panel asks no other site for anything: scripts, styles, fonts,
sounds and connections come from this server only. Converse.js sets styles on elements, hence 'unsafe-inline'
for styles. Its OMEMO library would need 'wasm-unsafe-eval'; the panel leaves OMEMO out. The meeting page has it, for
the blurred background: WebAssembly may be compiled, text may not be run as a script.
"""

from __future__ import annotations

import re

import attrs
from twisted.web.http import Request

from chatd.web.proxies import parse_address

_SOURCE = re.compile(r"'self'|(?:https?://)?[A-Za-z0-9*.\-\[\]:]+")

PERMISSIONS = (
    b"camera=(self), microphone=(self), display-capture=(self), clipboard-write=(self), geolocation=(), "
    b"payment=(), usb=(), serial=(), midi=(), browsing-topics=()"
)
"""Permissions-Policy: camera, microphone and screen are for meetings; the rest the panel never needs."""


@attrs.frozen
class SecurityHeaders:
    """What to send, worked out once from the settings.

    `frame_ancestors`: sites that may show the panel in a frame ("https://mail.example.com"); none by default.
    `connect`: addresses that scripts may connect to besides this server's own ("wss://livekit.example.com").
    `panel_origins`: the Webmails' pages, which show the panel of /embed in a frame, with meeting pages in it.
    `hsts_s`: seconds a browser remembers to come back by HTTPS only; 0 sends no such header.
    """

    frame_ancestors: tuple[str, ...] = attrs.field(default=())
    hsts_s: int = attrs.field(default=31_536_000)
    connect: tuple[str, ...] = attrs.field(default=())
    panel_origins: tuple[str, ...] = attrs.field(default=())
    policy: bytes = attrs.field(init=False)
    """The Content-Security-Policy value."""
    framed_policy: bytes = attrs.field(init=False)
    """That of the meeting page, which compiles WebAssembly, and which this server's own pages put in a frame."""
    panel_policy: bytes = attrs.field(init=False)
    """That of the panel in Webmail."""

    @frame_ancestors.validator
    @panel_origins.validator
    def _check_ancestors(self, _attribute: object, value: tuple[str, ...]) -> None:
        for source in value:
            if not _SOURCE.fullmatch(source):
                raise ValueError(f"{source!r} cannot frame the panel; write https://mail.example.com")

    @policy.default
    def _policy(self) -> bytes:
        return self._policy_for(self.frame_ancestors)

    @framed_policy.default
    def _framed_policy(self) -> bytes:
        # All pages above it count, and above the panel is Webmail's.
        above = dict.fromkeys(("'self'", *self.frame_ancestors, *self.panel_origins))
        return self._policy_for(tuple(above), "'self' 'wasm-unsafe-eval'")

    @panel_policy.default
    def _panel_policy(self) -> bytes:
        return self._policy_for(tuple(dict.fromkeys((*self.frame_ancestors, *self.panel_origins))))

    def _policy_for(self, ancestors: tuple[str, ...], scripts: str = "'self'") -> bytes:
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src {scripts}",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self'",
                "media-src 'self' data: blob:",
                " ".join(("connect-src 'self'", *_both_schemes(self.connect))),
                "worker-src 'self'",
                "manifest-src 'self'",
                "frame-src 'self'",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors " + (" ".join(ancestors) or "'none'"),
            )
        ).encode("ascii")

    def allow_frame(self, request: Request) -> None:
        """The answer is the meeting page: the panel may show it in a frame, and it may compile WebAssembly."""
        request.setHeader(b"Content-Security-Policy", self.framed_policy)
        if self.panel_origins:
            request.responseHeaders.removeHeader(b"X-Frame-Options")
        elif not self.frame_ancestors:
            request.setHeader(b"X-Frame-Options", b"SAMEORIGIN")

    def allow_panel(self, request: Request) -> None:
        """The answer is the panel for pages of Webmail, which may show it in a frame; X-Frame-Options knows no list."""
        request.setHeader(b"Content-Security-Policy", self.panel_policy)
        request.responseHeaders.removeHeader(b"X-Frame-Options")

    def apply(self, request: Request) -> None:
        """Put the headers on `request`'s answer. Resources may replace any of them afterwards."""
        set_header = request.setHeader
        set_header(b"Server", b"chatd")
        set_header(b"Content-Security-Policy", self.policy)
        set_header(b"X-Content-Type-Options", b"nosniff")
        set_header(b"Referrer-Policy", b"no-referrer")
        set_header(b"Permissions-Policy", PERMISSIONS)
        set_header(b"Cross-Origin-Opener-Policy", b"same-origin")
        # A process apart from Webmail's pages of the same site, so that their start does not stall sound and pictures.
        set_header(b"Origin-Agent-Cluster", b"?1")
        if not self.frame_ancestors:
            set_header(b"X-Frame-Options", b"DENY")
        if self.hsts_s and request.isSecure() and _may_be_remembered(request.getRequestHostname()):
            set_header(b"Strict-Transport-Security", b"max-age=%d" % self.hsts_s)


def _both_schemes(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins of ws(s) addresses, and those of http(s) beside them: a client asks there what went wrong."""
    origins = ["/".join(address.split("/")[:3]) for address in addresses]
    return tuple(found for origin in origins for found in (origin, origin.replace("ws", "http", 1)))


def _may_be_remembered(host: bytes) -> bool:
    """HSTS binds every port of a name; never do that to localhost or a bare address on somebody's desk."""
    name = host.decode("latin-1")
    return name != "localhost" and not name.endswith(".localhost") and parse_address(name) is None
