"""Files that people send each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from chatd.core.uploads import UploadRow

# mypy: disable-error-code="empty-body,misc"


class IUploads(Interface):
    """Files that people send, as the web knows them: it moves the bytes, and asks here what may be."""

    folder = Attribute("Path: where the files are, each by its token.")
    total = Attribute("Usage: all files that are there.")
    counts = Attribute("Of chatd.core.uploads.UploadCounts; the web counts what it sends.")

    def take(token: str, name: str, secret: str, length: int | None, content_type: str | None) -> Deferred[UploadRow]:
        """The file of a slot begins to come. length, content_type: as its sender says. Until `stored` or `given_up` no
        other comes into that slot. Fails: UploadRefused."""

    def stored(row: UploadRow) -> Deferred[bool]:
        """It is in the folder, on the disk. False where its slot was taken back meanwhile: then it has to go."""

    def given_up(row: UploadRow) -> None:
        """It has not come; what there was of it is gone."""

    def find(token: str, name: str) -> Deferred[UploadRow | None]:
        """The file of this address, None where there is none (any more)."""
