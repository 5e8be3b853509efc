"""The settings of Webmail, [[webmail]]: whose people a Webmail may sign on. As in chatd.settings, of which this is a
part; docs/webmail.md says how a Webmail does it.
"""

from __future__ import annotations

from pathlib import Path

import attrs
from attrs import frozen

from chatd.settings.kinds import FilePath, Names, PageOrigins, Secret, Text, Whole, setting

KEY_LEAST = 32
"""Bytes of a key."""


@frozen(kw_only=True)
class Webmail:
    """[[webmail]]: one Webmail that signs its users on. A reload carries out all of it."""

    name: str = setting(attrs.NOTHING, Text("roundcube"), "What it calls itself in its requests.", live=True)
    domains: tuple[str, ...] = setting((), Names(), "The domains whose people it may sign on.", live=True)
    key: str = setting("", Secret(), "What it signs with: 32 characters or more.", live=True, secret=True)
    key_file: Path | None = setting(
        None, FilePath("/etc/chatd/webmail-key"), "A file that holds it instead.", live=True
    )
    origins: tuple[str, ...] = setting(
        (), PageOrigins(), "Where its pages come from; they alone may show the panel in a frame.", live=True
    )
    token_s: int = setting(300, Whole(60, 3600), "How long a token is good for logging in.", live=True)
