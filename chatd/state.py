"""The state folder: the one place the daemon writes to."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

SECRET_BYTES = 32
SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket on Linux (sun_path, unix(7)), without the final zero byte."""


class StateDirError(Exception):
    """The state folder cannot be used; the text says why and what to do."""


def make_state_dir(folder: Path) -> None:
    """Make the folder, for its owner only, unless it is there. Raises StateDirError.

    A folder that is there keeps its mode: `chatctl check` warns when others may read it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateDirError(f"{folder} (server.state_dir) cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StateDirError(f"This user may not write into {folder} (server.state_dir).")
    socket = folder / "chatctl.sock"
    if len(os.fsencode(socket)) > SOCKET_PATH_BYTES:
        raise StateDirError(
            f"The path {socket} is too long for a Unix socket: server.state_dir must have a shorter one."
        )


def site_secret(folder: Path) -> bytes:
    """Return the 32 random bytes that belong to this site, made at the first start. Raises StateDirError.

    They make what must stay the same over restarts but must not be guessed, such as the salt that a log-in to an
    account that does not exist is shown.
    """
    path = folder / "secret"
    try:
        found = path.read_bytes()
        if len(found) == SECRET_BYTES:
            return found
        raise StateDirError(f"{path} does not hold {SECRET_BYTES} bytes: delete it, a new one is made.")
    except FileNotFoundError:
        made = secrets.token_bytes(SECRET_BYTES)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made)
        return made
    except OSError as error:
        raise StateDirError(f"{path} cannot be read: {error.strerror}.") from None
