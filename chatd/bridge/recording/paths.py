"""Names of files that callers ask for: always inside the folder of recordings, whatever they write.

A path is relative to the folder (or absolute and inside), with "/" between names. LiveKit's placeholders are filled in;
what they stand for cannot add folders. Ends it with "/" or is it empty, a name is made.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

MOST_LENGTH = 512
MOST_NAME_BYTES = 200
MOST_DEPTH = 8
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_UNSAFE = re.compile(r"[^\w.@+=, -]", re.ASCII)


class BadPath(Exception):
    """Nobody may write there; the text says why."""


def fill(template: str, values: Mapping[str, str], now: float) -> str:
    """Put values in for {room_name} and the like; {time} and {utc} are of `now`. BadPath for an unknown one."""
    moment = time.gmtime(now)
    known = {**values, "time": time.strftime("%Y-%m-%dT%H%M%S", moment), "utc": time.strftime("%Y%m%d%H%M%S", moment)}

    def one(match: re.Match[str]) -> str:
        value = known.get(match[1])
        if value is None:
            raise BadPath("there is no {%s} here" % match[1])
        # No separators, no hidden files, no "..": a room may have any name.
        return (_UNSAFE.sub("_", value).strip(". ") or "_")[:80]

    return _PLACEHOLDER.sub(one, template)


def inside(root: Path, asked: str, usual_name: str) -> Path:
    """The path below `root` that is meant; `usual_name` where none is asked for. BadPath. Nothing is made."""
    if len(asked) > MOST_LENGTH or any(not letter.isprintable() for letter in asked):
        raise BadPath("the path is too long or has characters that no file name should have")
    if not asked or asked.endswith("/"):
        asked += usual_name
    path = PurePosixPath(asked)
    if path.is_absolute():
        try:
            path = path.relative_to(root)
        except ValueError:
            raise BadPath("files are written below the folder of recordings only: give a relative path") from None
    parts = path.parts
    if not parts or len(parts) > MOST_DEPTH:
        raise BadPath("a path has 1 to %d names" % MOST_DEPTH)
    for part in parts:
        if part.startswith(".") or len(part.encode("utf-8", "replace")) > MOST_NAME_BYTES:
            raise BadPath("names may not begin with a dot or be longer than %d bytes" % MOST_NAME_BYTES)
    return root.joinpath(*parts)


def make_room(root: Path, path: Path) -> None:
    """Make the folders of a path that `inside` gave. BadPath if a link leads out of the root; OSError."""
    # Folder by folder, so that nothing is made behind a link.
    real = root.resolve()
    folder = root
    for part in path.parent.relative_to(root).parts:
        folder = folder / part
        if not folder.resolve().is_relative_to(real):
            raise BadPath("the path leads out of the folder of recordings")
        folder.mkdir(mode=0o750, exist_ok=True)
    if path.is_symlink():
        raise BadPath("the path is a link")
