"""What the nouns of chatctl's command line (user, room, meeting) have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Confirm", "Do", "Verb", "WrongUse", "add_noun"]

Do = Callable[[argparse.Namespace, str, dict[str, Any]], int]
"""Has the daemon carry out a command (words, arguments) and prints its answer."""
Confirm = Callable[[argparse.Namespace, str, str], None]
"""(arguments, what goes, address to type): raises WrongUse where the person does not mean it."""


class WrongUse(Exception):
    """The command line, or what was typed, cannot be understood."""


class Verb(Protocol):
    """Adds a verb to a noun."""

    def __call__(self, name: str, says: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        """Return the verb's parser."""


def add_noun(commands: Any, noun: str, says: str, argument: str, meaning: str) -> Verb:
    """Put a noun into the parser of the command line. argument: what all its verbs but `list` take first."""
    verbs = commands.add_parser(noun, help=says).add_subparsers(metavar="VERB", required=True)

    def verb(name: str, says: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=says, description=says)
        parser.set_defaults(do=run, words=f"{noun} {name}")
        if name != "list":
            parser.add_argument(argument, metavar=argument.upper(), help=meaning)
        return parser

    return verb
