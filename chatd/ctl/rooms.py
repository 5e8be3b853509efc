"""`chatctl room ...`: its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from chatd.ctl.verbs import Confirm, Do, WrongUse, add_noun


def add_room_commands(commands: Any, do: Do, confirm: Confirm, read_password: Callable[[str], str]) -> None:
    """Put `room` and its verbs into the parser of the command line."""
    verb = add_noun(commands, "room", "rooms: list, show, create, config, destroy, affiliation, occupants, kick",
                    "room", "such as attic@conference.example.com")

    def with_settings(arguments: argparse.Namespace, words: str, values: dict[str, Any]) -> int:
        for setting in arguments.settings:
            name, equals, value = setting.partition("=")
            if not equals or not name:
                raise WrongUse(f"{setting!r} is not NAME=VALUE")
            # A password is not for the eyes of everybody who may list processes.
            is_asked = name == "roomsecret" and value == "-"
            values[name] = read_password(arguments.room) if is_asked else value
        return do(arguments, words, values)

    def destroy(arguments: argparse.Namespace) -> int:
        confirm(arguments, f"{arguments.room} with settings, members and all that was said in it", arguments.room)
        return do(arguments, "room destroy", _given(arguments, "room", "reason", "alternate"))

    listing = verb("list", "list rooms", lambda arguments: do(arguments, "room list", _given(arguments, "domain")))
    listing.add_argument("domain", nargs="?", metavar="DOMAIN", help="of this domain only")
    verb("show", "show a room", lambda arguments: do(arguments, "room show", {"room": arguments.room}))
    create = verb("create", "make a room that is ready for use", lambda arguments: with_settings(
        arguments, "room create", {"room": arguments.room, "owner": arguments.owner}))
    create.add_argument("owner", metavar="OWNER", help="the address of the person it belongs to")
    config = verb("config", "show the settings of a room, or change some", lambda arguments: with_settings(
        arguments, "room config", {"room": arguments.room}))
    for parser in (create, config):
        parser.add_argument("settings", nargs="*", metavar="NAME=VALUE",
                            help="such as membersonly=true; lists with commas; roomsecret=- reads the password")
    end = verb("destroy", "end a room with all that is kept of it", destroy)
    end.add_argument("--alternate", metavar="ROOM", help="where those inside are told to go")
    end.add_argument("--yes", action="store_true", help="do not ask")
    standing = verb("affiliation", "show who belongs to a room, or change what somebody is in it",
                    lambda arguments: do(arguments, "room affiliation", _given(
                        arguments, "room", "jid", "affiliation", "reason")))
    standing.add_argument("jid", nargs="?", metavar="JID")
    standing.add_argument("affiliation", nargs="?", metavar="AFFILIATION",
                          help="owner, admin, member, none or outcast")
    verb("occupants", "show who is in a room", lambda arguments: do(
        arguments, "room occupants", {"room": arguments.room}))
    kick = verb("kick", "put an occupant out of a room", lambda arguments: do(
        arguments, "room kick", _given(arguments, "room", "nick", "reason")))
    kick.add_argument("nick", metavar="NICKNAME")
    for parser in (end, standing, kick):
        parser.add_argument("--reason", metavar="TEXT", help="told to those concerned")


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
