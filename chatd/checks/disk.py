"""The state folder: is it there, may we write, may others read, is there room."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from chatd.checks import Finding, Grade
from chatd.settings import Settings

SUBJECT = "disk"
MIB = 1024 * 1024
LITTLE_BYTES = 1024 * MIB
TOO_LITTLE_BYTES = 100 * MIB


def check(settings: Settings) -> Iterator[Finding]:
    """Look at state_dir."""
    folder = settings.server.state_dir
    if not folder.exists():
        yield from _missing(folder)
        return
    if not folder.is_dir():
        yield Finding(
            SUBJECT, Grade.ERROR, f"{folder} is not a folder.", ("server.state_dir must name a folder.",)
        )
        return
    status = folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            SUBJECT, Grade.ERROR, f"This user may not write into {folder}.", _owner(folder, status.st_uid)
        )
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"{folder} is open to other users of this machine (mode {stat.S_IMODE(status.st_mode):04o})."
        yield Finding(SUBJECT, Grade.WARNING, text, (f"chmod 700 {folder}",))
    yield from _room(folder)
    yield from _uploads(settings)


def _uploads(settings: Settings) -> Iterator[Finding]:
    """Look at the folder of files that people send, which may be on a disk of its own."""
    options = settings.modules.get("upload", {})
    folder = settings.server.state_dir / str(options.get("folder", "uploads"))
    if not folder.is_dir():
        if options.get("folder"):
            text = f"{folder} (modules.upload.folder) is not there yet; the daemon makes it at its first start."
            yield Finding(SUBJECT, Grade.NOTE, text)
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        text = f"This user may not write into {folder}, where files that people send are kept."
        yield Finding(SUBJECT, Grade.ERROR, text, _owner(folder, folder.stat().st_uid))
        return
    sizes = [entry.stat().st_size for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    free = shutil.disk_usage(folder).free
    keep = int(options.get("keep_free_mb", 500)) * MIB
    text = f"{len(sizes)} files that people sent take {sum(sizes) // MIB} MiB in {folder}"
    if free <= keep:
        advice = (f"No more are taken while less than {keep // MIB} MiB are free (modules.upload.keep_free_mb).",
                  "chatctl upload usage tells whose they are; modules.upload.days and quota_mb bound them.")
        yield Finding(SUBJECT, Grade.WARNING, f"{text}; {free // MIB} MiB are free there.", advice)
    else:
        yield Finding(SUBJECT, Grade.OK, f"{text}.")


def _missing(folder: Path) -> Iterator[Finding]:
    parent = next(parent for parent in folder.parents if parent.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        yield Finding(
            SUBJECT, Grade.NOTE, f"{folder} is not there yet; the daemon makes it at its first start."
        )
        yield from _room(parent)
    else:
        advice = (f"install -d -m 700 -o chatd -g chatd {folder}   (or whichever user runs the daemon)",)
        yield Finding(SUBJECT, Grade.ERROR, f"{folder} is not there and this user may not make it.", advice)


def _owner(folder: Path, owner: int) -> tuple[str, ...]:
    if owner != os.getuid():
        return (f"It belongs to user {owner}; run the check as that user, or chown it.",)
    return (f"chmod 700 {folder}",)


def _room(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    text = f"{free // MIB} MiB are free where {folder} is."
    if free < TOO_LITTLE_BYTES:
        yield Finding(SUBJECT, Grade.ERROR, text, ("Messages are refused when the disk is full: make room.",))
    elif free < LITTLE_BYTES:
        yield Finding(
            SUBJECT, Grade.WARNING, text, ("archive.retention_days bounds what the history takes.",)
        )
    else:
        yield Finding(SUBJECT, Grade.OK, text)
