"""A little Webmail: somebody is logged in by a cookie, and its one page shows chatd's panel, under a strict policy.

It is at 127.0.0.1 and chatd at localhost, so the panel is a page of another site in it, as strict as browsers have it.
Browsers take both for safe, as if they came by https. `plain` is the same Webmail under a name that they do not: what
people have whose Webmail is opened by http.
"""

from __future__ import annotations

import json
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.daemon import DOMAIN, Daemon
from tests.webmail import KEY, ask

NAME = "little"

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Inbox</title>
<link rel="stylesheet" href="/page.css">
<script src="{chatd}/embed.js" async data-token-url="/chat-token" data-title data-bottom="0"{more}></script>
<script src="/page.js" defer></script></head>
<body><h1>Inbox</h1><p><button id="mail" type="button">Read</button> <input id="field" aria-label="Search"></p>
<p id="said"></p></body></html>"""

#: What would spoil the panel if it reached it, or hide its frame.
STYLE = """
* { color: rgb(200, 0, 0) !important; font-size: 31px !important; letter-spacing: 9px !important; }
iframe { display: none !important; width: 10px !important; opacity: .1 !important; transform: scale(.1) !important; }
body { margin: 0; background: rgb(250, 240, 200); } #launcher, .chatbox { display: none !important; }
button { position: absolute; left: 20px; top: 120px; }
"""

SCRIPT = """
const said = document.getElementById('said');
document.getElementById('mail').addEventListener('click', () => { said.textContent += 'read '; });
window.heard = [];
const listen = () => {
    if (!window.chatd) return setTimeout(listen, 10);
    chatd.on('state', ({ state }) => heard.push(state));
    chatd.on('unread', ({ count }) => heard.push(count));
};
listen();
"""


class LittleWebmail:
    """Serves it. answers: statuses that /chat-token gives next, before it does as it should. asked: how often.
    more: attributes of the script's element besides those it always has."""

    def __init__(self) -> None:
        self.daemon: Daemon | None = None
        self.answers: list[int] = []
        self.asked = 0
        self.more = ""
        self.logged_out: set[str] = set()
        webmail = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                webmail.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{port}"
        self.plain = f"http://webmail.home.test:{port}"     # harness.mjs says where that is
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def settings(self) -> str:
        """Its table in chatd.toml."""
        return (f'[[webmail]]\nname = "{NAME}"\ndomains = ["{DOMAIN}"]\nkey = "{KEY}"\n'
                f'origins = ["{self.origin}", "{self.plain}"]\n')

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _chatd(self, scheme: str) -> str:
        assert self.daemon is not None
        return f"{scheme}://localhost:{self.daemon.ports[scheme]}"

    def policy(self) -> str:
        """As docs/webmail.md states it: nothing inline, nothing of chatd but script and frame."""
        chatd = self._chatd("https")
        return (f"default-src 'none'; script-src 'self' {chatd}; style-src 'self'; connect-src 'self'; img-src 'self'; "
                f"frame-src {chatd}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")

    def sign_on(self, user: str, session: str) -> tuple[int, dict[str, Any]]:
        """What Webmail's server does for /chat-token."""
        said = {"address": f"{user}@{DOMAIN}", "name": user.title(), "session": session}
        return ask(self._chatd("http"), said, name=NAME)

    def log_out(self, session: str) -> dict[str, Any]:
        """Log-out at Webmail's server."""
        self.logged_out.add(session)
        code, answer = ask(self._chatd("http"), {"session": session}, "DELETE", name=NAME)
        assert code == 200, answer
        return answer

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        cookies = SimpleCookie(request.headers.get("Cookie", ""))
        user, session = (cookies[name].value if name in cookies else "" for name in ("user", "session"))
        if path == "/chat-token":
            self.asked += 1
            if not user or session in self.logged_out:
                self._send(request, 401, b"{}", "application/json")
            elif self.answers:
                self._send(request, self.answers.pop(0), b"Something went wrong", "text/plain")
            else:
                try:
                    code, found = self.sign_on(user, session)
                except OSError:
                    code, found = 502, {}
                self._send(request, code, json.dumps(found).encode(), "application/json")
        elif path == "/log-in":
            who = query.partition("-")[0]
            self._send(request, 302, b"", "text/plain", Location="/", **{
                "Set-Cookie": f"user={who}; Path=/", "Set-Cookie2": f"session={query}; Path=/"})
        elif path == "/":
            page = PAGE.format(chatd=self._chatd("https"), more=self.more and f" {self.more}")
            self._send(request, 200, page.encode(), "text/html; charset=utf-8",
                       **{"Content-Security-Policy": self.policy()})
        elif path == "/page.css":
            self._send(request, 200, STYLE.encode(), "text/css")
        elif path == "/page.js":
            self._send(request, 200, SCRIPT.encode(), "text/javascript")
        else:
            self._send(request, 204, b"", "text/plain")

    def _send(self, request: BaseHTTPRequestHandler, code: int, body: bytes, kind: str, **headers: str) -> None:
        try:
            request.send_response(code)
            for name, value in {"Content-Type": kind, "Cache-Control": "no-store", **headers}.items():
                request.send_header(name.rstrip("2"), value)
            if code not in (204, 304):
                request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            if code not in (204, 304):
                request.wfile.write(body)
        except OSError:
            pass            # the browser went on to something else
