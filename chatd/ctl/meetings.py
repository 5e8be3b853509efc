"""`chatctl meeting ...`: its command line."""

from __future__ import annotations

import argparse
from typing import Any

from chatd.ctl.verbs import Confirm, Do, add_noun


def add_meeting_commands(commands: Any, do: Do, confirm: Confirm) -> None:
    """Put `meeting` and its verbs into the parser of the command line."""
    verb = add_noun(commands, "meeting", "video meetings: list, show, media, end, delete",
                    "meeting", "its id, its link or its room's address")

    def delete(arguments: argparse.Namespace) -> int:
        confirm(arguments, f"{arguments.meeting} with all that was said in it and its recordings", arguments.meeting)
        return do(arguments, "meeting delete", {"meeting": arguments.meeting})

    listing = verb("list", "list meetings, those with people first", lambda arguments: do(
        arguments, "meeting list", {"account": arguments.account} if arguments.account else {}))
    listing.add_argument("account", nargs="?", metavar="JID", help="made by this account only")
    verb("show", "show a meeting", lambda arguments: do(arguments, "meeting show", {"meeting": arguments.meeting}))
    verb("media", "show how its sound and pictures flow, and why some do not", lambda arguments: do(
        arguments, "meeting media", {"meeting": arguments.meeting}))
    verb("end", "put everybody out of a meeting; its link stays good", lambda arguments: do(
        arguments, "meeting end", {"meeting": arguments.meeting}))
    end = verb("delete", "delete a meeting with its chat and recordings", delete)
    end.add_argument("--yes", action="store_true", help="do not ask")
