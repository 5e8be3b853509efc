"""HTTP File Upload, XEP-0363, on upload.DOMAIN of every domain served.

An account asks for a slot, and sends the file by HTTP PUT with what the slot's answer told; whoever has the address
gets it, for as long as the site keeps files. `chatd.web.uploads` speaks HTTP.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module, Option, Request
from chatd.xep.upload.commands import UploadCommands
from chatd.xep.upload.files import Files, Rules
from chatd.xep.upload.service import Uploads

__all__ = ["Upload"]

log = Logger()

_MIB: Final = 1024 * 1024
_SWEEP_S: Final = 60.0


class Upload(Module):
    """XEP-0363: files."""

    name = "upload"
    xep = "0363"
    version = "1.2.0"
    options = (
        Option("days", int, 365, "A file is deleted that many days after it was sent; 0: never.", 0, 36500),
        Option("file_mb", int, 50, "The largest file, in MB.", 1, 100_000),
        Option("files", int, 5000, "How many files of one account are kept at most.", 1, 10_000_000),
        Option("folder", str, "uploads", "Where the files are; a relative path starts at server.state_dir."),
        Option("forbidden", list, [],
               'What cannot be sent: types ("text/html"), families ("video/*") and endings (".exe").'),
        Option("keep_free_mb", int, 500, "So much of the disk is left for everything else.", 0, 1_000_000_000),
        Option("quota_mb", int, 1000, "What the files of one account may take together.", 1, 1_000_000_000),
        Option("types", list, [], "What can be sent, written likewise; with none, everything."),
    )

    def start(self, api: Api) -> None:
        """Serves upload.DOMAIN of each domain."""
        super().start(api)
        option = api.options
        rules = Rules(option["file_mb"] * _MIB, option["quota_mb"] * _MIB, option["files"], option["days"],
                      option["keep_free_mb"] * _MIB, tuple(option["types"]), tuple(option["forbidden"]))
        state_dir = Path(getattr(api.settings.server, "state_dir", "."))
        self.files = Files(state_dir / option["folder"], api.store.uploads, rules, api.now)
        self._services = {f"upload.{domain}": Uploads(f"upload.{domain}", domain, api, self.files)
                          for domain in sorted(api.router.domains)}
        for domain, service in self._services.items():
            api.serve(domain, service)
        api.on("disco.items", self._items)
        api.on("account.deleted", self._deleted)
        api.loop(_SWEEP_S, lambda: Deferred.fromCoroutine(self.files.sweep()))
        UploadCommands(self.files, api).register()
        self.files.open().addErrback(
            lambda failure: log.failure("the folder of files could not be looked through", failure=failure))

    def _items(self, request: Request, node: str | None) -> list[tuple[str, str, str]] | None:
        """Section 4: the service is an item of its domain."""
        service = f"upload.{request.to.domain}"
        if node or request.to.local or service not in self._services:
            return None
        return [(service, "Files", "")]

    def _deleted(self, account: IAccount) -> None:
        Deferred.fromCoroutine(self._delete_all(account)).addErrback(
            lambda failure: log.failure("files of a deleted account are left for the next sweep", failure=failure))

    async def _delete_all(self, account: Any) -> None:
        await self.files.delete(await self.api.store.uploads.of(account.id))
