"""chatctl announce and shutdown, which concern everybody who is there, and invite for who is not yet."""

from __future__ import annotations

import argparse
from typing import Any

from chatd.ctl.verbs import Do

__all__ = ["add_invite_command", "add_notice_commands", "add_server_commands"]


def add_server_commands(commands: Any, do: Do) -> None:
    """Put them into the parser of the command line."""
    announce = commands.add_parser("announce", help="tell everybody who is online something")
    announce.add_argument("--domain", help="only the people of this domain")
    announce.add_argument("text", nargs="+", metavar="WORD")
    announce.set_defaults(do=lambda arguments: _announce(arguments, do))
    shutdown = commands.add_parser("shutdown", help="end the daemon in good order")
    shutdown.add_argument("--delay", type=int, default=0, metavar="SECONDS", help="not at once")
    shutdown.add_argument("text", nargs="*", metavar="WORD", help="told to everybody who is online")
    shutdown.set_defaults(do=lambda arguments: do(arguments, "shutdown", {
        "delay_s": arguments.delay, "text": " ".join(arguments.text)}))


def add_notice_commands(commands: Any, do: Do) -> None:
    """`motd` and `welcome`: what all accounts of a domain are told."""
    for kind, says in (("motd", "the message of the day, told each account once"),
                       ("welcome", "what each new account is told")):
        verbs = commands.add_parser(kind, help=says).add_subparsers(metavar="VERB", required=True)
        for verb in ("show", "set", *(["edit"] if kind == "motd" else []), "delete"):
            parser = verbs.add_parser(verb, help={"edit": "correct it; nobody is told again", "show": "show it",
                                                  "delete": "tell it no more"}.get(verb, "set it"))
            parser.add_argument("--domain", help="where there are several")
            if verb in ("set", "edit"):
                parser.add_argument("text", nargs="+", metavar="WORD")
            parser.set_defaults(do=lambda arguments, words=f"{kind} {verb}": _notice(arguments, words, do))


def _notice(arguments: argparse.Namespace, words: str, do: Do) -> int:
    values = {"domain": arguments.domain} if arguments.domain else {}
    return do(arguments, words, {**values, "text": " ".join(arguments.text)} if "text" in arguments else values)


def add_invite_command(commands: Any, do: Do) -> None:
    """`invite`, and `invite --list`."""
    invite = commands.add_parser("invite", help="a link by which somebody can make an account, once")
    invite.add_argument("domain", nargs="?", metavar="DOMAIN", help="where there are several")
    invite.add_argument("--name", help="the user name; without it, whoever is invited chooses one")
    invite.add_argument("--list", action="store_true", help="show those that were not used yet")
    invite.set_defaults(do=lambda arguments: _invite(arguments, do))


def _invite(arguments: argparse.Namespace, do: Do) -> int:
    values = {key: value for key in ("domain", "name") if (value := getattr(arguments, key))}
    return do(arguments, "invite list" if arguments.list else "invite", values)


def _announce(arguments: argparse.Namespace, do: Do) -> int:
    values = {"text": " ".join(arguments.text)}
    return do(arguments, "announce", {**values, "domain": arguments.domain} if arguments.domain else values)
