"""``/config.json``: the few facts of this server that the log-in page and the panel need. Nothing secret."""

from __future__ import annotations

import json
from collections.abc import Sequence

from twisted.web.http import Request
from twisted.web.resource import Resource


class PanelConfig(Resource):
    """The resource."""

    isLeaf = True

    def __init__(self, domains: Sequence[str], websocket: str, bosh: str, files: str = "") -> None:
        """`domains` served here, the first one completes an address typed without; paths as in make_site; `files`: how
        the addresses of files that people send begin.
        """
        super().__init__()
        self.body = json.dumps(
            {"domains": list(domains), "websocket": websocket, "bosh": bosh, "files": files}
        ).encode()

    def render_GET(self, request: Request) -> bytes:
        """Answer with the facts."""
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Cache-Control", b"no-cache")
        return self.body
