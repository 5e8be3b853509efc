"""chatctl's command line for the tokens of Webmail."""

from __future__ import annotations

import argparse
from typing import Any

from chatd.ctl.verbs import Do, WrongUse

__all__ = ["add_token_commands"]


def add_token_commands(commands: Any, do: Do) -> None:
    """Put `token` into the parser of the command line."""
    says = "tokens with which people sign on from Webmail: list, revoke"
    verbs = commands.add_parser("token", help=says).add_subparsers(metavar="VERB", required=True)
    for name, says in (("list", "tokens that are good now, of one account or of all"),
                       ("revoke", "end tokens, and the sessions that were opened with them")):
        verb = verbs.add_parser(name, help=says, description=says)
        verb.add_argument("jid", nargs="?", metavar="JID", help="of this account")
        if name == "revoke":
            verb.add_argument("--webmail", metavar="NAME", help="given to this Webmail")
        verb.set_defaults(do=lambda arguments: _run(arguments, do), words=f"token {name}")


def _run(arguments: argparse.Namespace, do: Do) -> int:
    values = {name: value for name in ("jid", "webmail") if (value := getattr(arguments, name, None))}
    if arguments.words == "token revoke" and not values:
        raise WrongUse("whose tokens? chatctl token revoke john@example.com, or --webmail NAME")
    return do(arguments, arguments.words, values)
