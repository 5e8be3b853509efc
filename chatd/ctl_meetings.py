"""`chatctl meeting ...`: its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Do = Callable[[argparse.Namespace, str, dict[str, Any]], int]
"""Has the daemon carry out a command (words, arguments) and prints its answer."""


def add_meeting_commands(commands: Any, do: Do, confirm: Callable[[argparse.Namespace, str, str], None]) -> None:
    """Put `meeting` and its verbs into the parser of the command line. confirm: as for rooms."""
    meeting = commands.add_parser("meeting", help="video meetings: list, show, end, delete")
    verbs = meeting.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, says: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=says, description=says)
        parser.set_defaults(do=run)
        if name != "list":
            parser.add_argument("meeting", metavar="MEETING", help="its id, its link or its room's address")
        return parser

    def delete(arguments: argparse.Namespace) -> int:
        confirm(arguments, f"{arguments.meeting} with all that was said in it and its recordings", arguments.meeting)
        return do(arguments, "meeting delete", {"meeting": arguments.meeting})

    listing = verb("list", "list meetings, those with people first", lambda arguments: do(
        arguments, "meeting list", {"account": arguments.account} if arguments.account else {}))
    listing.add_argument("account", nargs="?", metavar="JID", help="made by this account only")
    verb("show", "show a meeting", lambda arguments: do(arguments, "meeting show", {"meeting": arguments.meeting}))
    verb("end", "put everybody out of a meeting; its link stays good", lambda arguments: do(
        arguments, "meeting end", {"meeting": arguments.meeting}))
    end = verb("delete", "delete a meeting with its chat and recordings", delete)
    end.add_argument("--yes", action="store_true", help="do not ask")
