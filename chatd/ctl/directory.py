"""chatctl's command line for the directory."""

from __future__ import annotations

import argparse
from typing import Any

from chatd.ctl.verbs import Do

__all__ = ["add_directory_commands"]


def add_directory_commands(commands: Any, do: Do) -> None:
    """Put `directory` into the parser of the command line."""
    noun = commands.add_parser("directory", help="who is in the organisation: search, status, groups")
    verbs = noun.add_subparsers(metavar="VERB", required=True)
    search = verbs.add_parser("search", help="find people by parts of their names and addresses")
    search.add_argument("text", metavar="TEXT", nargs="+")
    search.add_argument("--domain", metavar="NAME", help="of this domain only")
    search.set_defaults(do=lambda arguments: _search(arguments, do))
    groups = verbs.add_parser("groups", help="the organisation's groups, and how many are in them")
    groups.set_defaults(do=lambda arguments: do(arguments, "directory groups", {}))
    status = verbs.add_parser("status", help="how many people each source knows, and what is wrong with it")
    status.set_defaults(do=lambda arguments: do(arguments, "directory status", {}))


def _search(arguments: argparse.Namespace, do: Do) -> int:
    values = {"text": " ".join(arguments.text)}
    if arguments.domain:
        values["domain"] = arguments.domain
    return do(arguments, "directory search", values)
