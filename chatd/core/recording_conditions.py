"""Why there is no file of a recording, in one word: what an engine says of it is English, and longer than people need.

The words are those of docs/protocol.md 11; pages have a sentence for each in their reader's language.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CONDITIONS", "condition_of"]

_SAID: Final = (
    ("no-space", ("no space left", "left on the disk", "quota exceeded")),
    ("server-restarted", ("server was restarted",)),
    ("file-missing", ("not where this server looks",)),
    ("nothing-recorded", ("nothing was recorded", "start signal not received")),
    ("recording-lost", ("no journal", "the journal has no", "is no manifest", "a manifest of version",
                        "no such file")),
    ("not-composed", ("composing process", "cannot be made here", "cannot hold these codecs")),
    ("not-written", ("permission denied", "input/output error", "read-only file system", "not a directory",
                     "does not keep up")),
    ("broke-off", ("broke off", "given up")),
)
"""Parts of what the bridge, the operating system and LiveKit say; the first that is found counts."""

CONDITIONS: Final = (*(word for word, _ in _SAID), "other")


def condition_of(problem: str) -> str:
    """The word for what an engine said, "" where nothing went wrong."""
    said = problem.lower()
    found = (word for word, parts in _SAID if any(part in said for part in parts))
    return next(found, "other") if said else ""
