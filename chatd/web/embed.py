"""``/embed``: the panel as a frame in the pages of a Webmail, which /embed.js makes there (docs/webmail.md)."""

from __future__ import annotations

from typing import Any, Final

from twisted.web.resource import Resource

from chatd.web.errors import error_body
from chatd.web.static import AssetResource, StaticFiles

__all__ = ["EMBED_PATH", "EmbedPage"]

EMBED_PATH: Final = "/embed"


class EmbedPage(Resource):
    """The page. Who may show it in a frame stands in the site's headers; without any [[webmail]] there is none."""

    isLeaf = True

    def __init__(self, files: StaticFiles, name: str = "embed/index.html") -> None:
        """files: the build; name: the page in it."""
        super().__init__()
        self._files = files
        self._name = name

    def render_GET(self, request: Any) -> Any:
        """Answers with it."""
        asset = self._files.assets.get(self._name)
        if request.postpath or asset is None or not request.site.headers.panel_origins:
            return error_body(request, 404)
        request.site.headers.allow_panel(request)
        return AssetResource(asset).render(request)
