"""The web site of a domain: HTTPS on loopback, with what a test puts there."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATH = "/.well-known/host-meta.json"


class WebSite(ThreadingHTTPServer):
    """Answers every request by `answer(handler)`; `asked` are the paths."""

    daemon_threads = True

    def __init__(self, certificate: tuple[Path, Path], address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.asked: list[str] = []
        self.answer: Any = None
        super().__init__(address, _Request)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def says(self, document: Any, code: int = 200, **headers: str) -> None:
        """From now on; document: bytes, or what JSON is made of."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(code)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)

        self.answer = answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is nothing to talk about."""

    def __enter__(self) -> WebSite:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    server: WebSite

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answer(self)

    def log_message(self, *_: Any) -> None:
        """Not here."""


def directions(port: int, sni: str, ip: str = "127.0.0.1", **xmpp: Any) -> dict[str, Any]:
    """A document of XEP-0487 that leads to one server."""
    return {"xmpp": {"ttl": 600, **xmpp}, "links": [{
        "rel": "urn:xmpp:alt-connections:s2s-tls", "port": port, "ips": [ip], "priority": 1, "weight": 1, "sni": sni}]}
