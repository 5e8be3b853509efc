"""`chatctl upload ...`: its command line."""

from __future__ import annotations

import argparse
from typing import Any

from chatd.ctl.verbs import Confirm, Do, WrongUse


def add_upload_commands(commands: Any, do: Do, confirm: Confirm) -> None:
    """Put `upload` and its verbs into the parser of the command line."""
    verbs = commands.add_parser("upload", help="files that people send: usage, list, delete").add_subparsers(
        metavar="VERB", required=True)

    def delete(arguments: argparse.Namespace) -> int:
        if (arguments.file is None) == (arguments.of is None):
            raise WrongUse("chatctl upload delete FILE, or chatctl upload delete --of JID")
        if arguments.file is not None:
            return do(arguments, "upload delete", {"file": arguments.file})
        confirm(arguments, f"all files that {arguments.of} has sent", arguments.of)
        return do(arguments, "upload delete", {"jid": arguments.of})

    says = "what files take, by account, the largest first"
    usage = verbs.add_parser("usage", help=says, description=says)
    usage.set_defaults(do=lambda arguments: do(
        arguments, "upload usage", {"jid": arguments.jid} if arguments.jid else {}))
    usage.add_argument("jid", nargs="?", metavar="JID", help="of this account only")
    says = "list the files of an account"
    listing = verbs.add_parser("list", help=says, description=says)
    listing.set_defaults(do=lambda arguments: do(arguments, "upload list", {"jid": arguments.jid}))
    listing.add_argument("jid", metavar="JID", help="such as john@example.com")
    says = "delete one file, or all of an account"
    end = verbs.add_parser("delete", help=says, description=says)
    end.set_defaults(do=delete)
    end.add_argument("file", nargs="?", metavar="FILE", help="its address, or what `upload list` calls it")
    end.add_argument("--of", metavar="JID", help="all files of this account")
    end.add_argument("--yes", action="store_true", help="do not ask")
