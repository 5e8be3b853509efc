"""chatctl: tells the running daemon what to do, and checks an installation whether the daemon runs or not.

    chatctl [--config FILE] [--json] COMMAND ...

Commands that are not in the list below are sent to the daemon as they are, arguments as NAME=VALUE: modules
bring commands of their own, and `chatctl help` asks the daemon for all of them. Passwords are typed or come
from standard input, never from the command line, where every user of the machine could read them.

Exit codes: 0 done, 1 refused (or `check` found an error), 2 wrong use or configuration, 3 the daemon does
not run.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from typing import Any

import chatd
from chatd.config import PLACES, ConfigError, find, load
from chatd.ctl import output as ctl_output
from chatd.ctl.client import NotRunning, Refused, ask
from chatd.ctl.directory import add_directory_commands
from chatd.ctl.meetings import add_meeting_commands
from chatd.ctl.portable import add_portable_commands
from chatd.ctl.reports import add_report_commands
from chatd.ctl.rooms import add_room_commands
from chatd.ctl.server import add_invite_command, add_notice_commands, add_server_commands
from chatd.ctl.tokens import add_token_commands
from chatd.ctl.uploads import add_upload_commands
from chatd.ctl.verbs import WrongUse, add_noun
from chatd.settings import Settings

DONE, REFUSED, WRONG_USE, NOT_RUNNING = range(4)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line; returns the exit code."""
    parser = make_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.do is not send:
        parser.error(f"what is {rest[0]!r}?")
    arguments.rest = rest
    try:
        return int(arguments.do(arguments))
    except WrongUse as error:
        return _fail(arguments, WRONG_USE, "bad-request", str(error))
    except ConfigError as error:
        return _fail(arguments, WRONG_USE, "bad-configuration", str(error))
    except NotRunning as error:
        return _fail(arguments, NOT_RUNNING, "not-running", f"chatd does not run: {error}.")
    except Refused as error:
        return _fail(arguments, REFUSED, error.condition, error.text)
    except KeyboardInterrupt:
        return 130


def _fail(arguments: argparse.Namespace, code: int, condition: str, text: str) -> int:
    if arguments.json:
        print(json.dumps({"ok": False, "error": condition, "text": text}, ensure_ascii=False))
    else:
        print(f"chatctl: {text}", file=sys.stderr)
    return code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; each command puts what carries it out under `do`."""
    parser = argparse.ArgumentParser(prog="chatctl", description="Run and check a chatd daemon.")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: the first there is of " + ", ".join(PLACES) + ")",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    parser.add_argument("--version", action="version", version=f"chatctl {chatd.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _user_commands(commands)
    add_room_commands(commands, _do, confirm, read_password)
    add_meeting_commands(commands, _do, confirm)
    add_directory_commands(commands, _do)
    add_portable_commands(commands, settings_of)
    add_token_commands(commands, _do)
    add_report_commands(commands, _do)
    add_upload_commands(commands, _do, confirm)
    add_server_commands(commands, _do)
    add_invite_command(commands, _do)
    add_notice_commands(commands, _do)
    check = commands.add_parser("check", help="what is wrong with configuration, certificates, DNS, ports, disk")
    check.add_argument("--offline", action="store_true", help="ask nobody: leave DNS out")
    check.add_argument("--from", dest="local", metavar="DOMAIN", help="with domain: in the name of this one of ours")
    check.add_argument("what", nargs="*", metavar="domain NAME",
                       help="have the daemon try to reach another domain, and tell step by step what works")
    check.set_defaults(do=check_installation)
    for words, says in (
        ("reload", "read configuration and certificates again; nobody is disconnected"),
        ("status", "what the daemon is doing"),
        ("help", "all commands of the running daemon, those of its modules included"),
    ):
        commands.add_parser(words, help=says).set_defaults(do=simple, words=words)
    other = commands.add_parser("do", help="any other command of the daemon: chatctl do WORD ... [NAME=VALUE ...]")
    other.add_argument("words", nargs="+", metavar="WORD")
    other.set_defaults(do=send)
    return parser


def _user_commands(commands: Any) -> None:
    says = "accounts: add, passwd, check-password, disable, enable, sign-out, end-session, delete, list, show"
    verb = add_noun(commands, "user", says, "jid", "such as john@example.com")
    verb("add", "make an account; asks for the password, or reads it from standard input", with_password)
    verb("passwd", "set the password of an account", with_password)
    verb("check-password", "is this the password of an account? Asks whoever knows it, a mail server too",
         with_one_password)
    verb("disable", "keep an account from logging in, and end its sessions", with_jid)
    verb("enable", "let a disabled account log in again", with_jid)
    verb("sign-out", "end an account's sessions, and what lets clients back in without the password", with_jid)
    verb("end-session", "end one session, such as john@example.com/phone, or all of an account's; they may come back",
         with_jid)
    delete = verb("delete", "delete an account with all that is kept of it", delete_user)
    delete.add_argument("--yes", action="store_true", help="do not ask")
    verb("show", "show an account", with_jid)
    listing = verb("list", "list accounts", list_users)
    listing.add_argument("domain", nargs="?", metavar="DOMAIN", help="of this domain only")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the configuration that the command line means; raises ConfigError."""
    return load(find(arguments.config))


def _do(arguments: argparse.Namespace, words: str, values: dict[str, Any]) -> int:
    """Have the daemon carry out a command and print what it answers."""
    result = ask(settings_of(arguments).control_socket, words, values)
    if arguments.json:
        print(json.dumps({"ok": True, "result": result}, ensure_ascii=False))
    else:
        print(ctl_output.text_of(words, result), end="")
    return DONE


def simple(arguments: argparse.Namespace) -> int:
    """A command without arguments."""
    return _do(arguments, arguments.words, {})


def with_jid(arguments: argparse.Namespace) -> int:
    """A command about one account."""
    return _do(arguments, arguments.words, {"jid": arguments.jid})


def with_password(arguments: argparse.Namespace) -> int:
    """A command that sets a password."""
    settings_of(arguments)  # say what is wrong with the configuration before anybody types a password
    return _do(arguments, arguments.words, {"jid": arguments.jid, "password": read_password(arguments.jid)})


def with_one_password(arguments: argparse.Namespace) -> int:
    """A command that needs the password an account has."""
    settings_of(arguments)
    password = read_password(arguments.jid, is_new=False)
    return _do(arguments, arguments.words, {"jid": arguments.jid, "password": password})


def read_password(jid: str, is_new: bool = True) -> str:
    """Return the password: typed on a terminal, a new one twice, else the first line of stdin. Raises WrongUse."""
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password for {jid}: ")
        if is_new and password and getpass.getpass("The same again: ") != password:
            raise WrongUse("the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise WrongUse("a password must not be empty")
    return password


def delete_user(arguments: argparse.Namespace) -> int:
    """`user delete`."""
    confirm(arguments, f"{arguments.jid} with contacts, messages and history", arguments.jid)
    return with_jid(arguments)


def confirm(arguments: argparse.Namespace, what: str, address: str) -> None:
    """Ask first when a person sits there, and need --yes otherwise. Raises WrongUse where it is not meant."""
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise WrongUse("deleting needs --yes when no terminal is there to ask")
    print(f"This deletes {what}.")
    if input("Type the address to confirm: ").strip() != address:
        raise WrongUse("nothing was deleted")


def list_users(arguments: argparse.Namespace) -> int:
    """`user list`."""
    return _do(arguments, arguments.words, {"domain": arguments.domain} if arguments.domain else {})


def send(arguments: argparse.Namespace) -> int:
    """`do`: words up to the first NAME=VALUE are the command, the others its arguments."""
    words = [word for word in arguments.words if "=" not in word]
    pairs = [word.partition("=") for word in arguments.words if "=" in word]
    if not words:
        raise WrongUse("which command? `chatctl help` lists them")
    return _do(arguments, " ".join(words), {name: _value(value) for name, _, value in pairs})


def _value(text: str) -> Any:
    """Return a JSON value where text is one (numbers, true, lists), otherwise the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_installation(arguments: argparse.Namespace) -> int:
    """`check`: look at everything, print the findings; REFUSED when one is an error."""
    if arguments.what:
        return check_domain(arguments)
    from chatd.ctl.check import findings_of  # imports a reactor, which the other commands do without

    findings = findings_of(find(arguments.config), is_offline=arguments.offline)
    if arguments.json:
        result = [finding.to_json() for finding in findings]
        print(json.dumps({"ok": True, "result": result}, ensure_ascii=False))
    else:
        print(ctl_output.findings_text(findings, is_coloured=sys.stdout.isatty()), end="")
    return REFUSED if any(finding.grade.value == "error" for finding in findings) else DONE


def check_domain(arguments: argparse.Namespace) -> int:
    """`check domain NAME`: REFUSED where a step fails that none after it made good."""
    if len(arguments.what) != 2 or arguments.what[0] != "domain":
        raise WrongUse("chatctl check, or chatctl check domain other.example")
    values = {"domain": arguments.what[1], **({"from": arguments.local} if arguments.local else {})}
    steps = ask(settings_of(arguments).control_socket, "check domain", values)
    if arguments.json:
        print(json.dumps({"ok": True, "result": steps}, ensure_ascii=False))
    else:
        print(ctl_output.steps_text(steps, is_coloured=sys.stdout.isatty()), end="")
    return DONE if steps and steps[-1]["ok"] else REFUSED
