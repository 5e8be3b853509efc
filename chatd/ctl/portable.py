"""`chatctl export FILE` and `chatctl import FILE ...`: all accounts, in the format of XEP-0227.

The file is read and written here, so it belongs to whoever runs chatctl; the daemon is handed one part of an account
at a time (chatd.commands.portable).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import attrs
from twisted.words.xish import domish

from chatd.commands.portable_file import BadFile, End, Part, User, read
from chatd.core import portable as pie
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import attribute
from chatd.ctl.client import Refused, ask
from chatd.ctl.portable_rooms import RoomImport, is_rooms_file, write_rooms
from chatd.ctl.verbs import WrongUse
from chatd.server.control import REQUEST_BYTES
from chatd.settings import Settings

DONE, REFUSED = 0, 1
_BATCH_BYTES: Final = 400_000
_BATCH: Final = 500
_BEFORE: Final = 8
"""So many parts are read before an account is made: what is kept of the password is among the first."""
_START = '<?xml version="1.0" encoding="UTF-8"?>\n'


def add_portable_commands(commands: Any, settings_of: Callable[[argparse.Namespace], Settings]) -> None:
    """Put `export` and `import` into the parser of the command line."""
    out = commands.add_parser("export", help="write all accounts with all that is theirs to a file (XEP-0227)")
    out.add_argument("file", metavar="FILE", type=Path, help="a new file; only its owner will be able to read it")
    out.add_argument("--domain", help="the accounts, or rooms, of this domain only")
    out.add_argument("--rooms", action="store_true", help="write the rooms instead, in a format of chatd's own")
    out.set_defaults(do=lambda arguments: export(arguments, settings_of(arguments)))
    back = commands.add_parser("import", help="take over what is in such files, of chatd, Prosody or ejabberd")
    back.add_argument("files", metavar="FILE", type=Path, nargs="+", help="a file, or a folder of *.xml files")
    back.add_argument("--dry-run", action="store_true", help="read everything, say what would happen, change nothing")
    back.set_defaults(do=lambda arguments: import_(arguments, settings_of(arguments)))


class _Progress:
    """What has been done so far, on a terminal as one line that changes."""

    def __init__(self, is_quiet: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._is_shown = sys.stderr.isatty() and not is_quiet

    def tell(self) -> None:
        """After each account."""
        if self._is_shown:
            print(f"\r{self.counts['accounts']} accounts, {self.counts['history']} messages ", end="", file=sys.stderr,
                  flush=True)

    def end(self) -> None:
        """The line stays."""
        if self._is_shown:
            print(file=sys.stderr)


# -- export
def export(arguments: argparse.Namespace, settings: Settings) -> int:
    """`export FILE`."""
    socket, progress = settings.control_socket, _Progress(arguments.json)
    if arguments.rooms:
        return _export_rooms(arguments, socket)
    rows = ask(socket, "user list", {"domain": arguments.domain} if arguments.domain else {})
    with _new_file(arguments.file) as file:
        file.write(f'{_START}<server-data xmlns="{pie.PIE}">\n')
        host = ""
        for row in sorted(rows, key=lambda row: row["jid"].partition("@")[::-1]):
            domain = row["jid"].partition("@")[2]
            if domain != host:
                file.write(("</host>\n" if host else "") + f'<host jid="{attribute(domain)}">\n')
                host = domain
            for piece in _user(socket, row["jid"], progress):
                file.write(piece)
            progress.counts["accounts"] += 1
            progress.tell()
        file.write(("</host>\n" if host else "") + "</server-data>\n")
        file.flush()
        os.fsync(file.fileno())
    progress.end()
    _say(arguments, {"file": str(arguments.file), "accounts": progress.counts["accounts"],
                     "messages": progress.counts["history"]},
         f"{progress.counts['accounts']} accounts with {progress.counts['history']} messages of history are in "
         f"{arguments.file}. Rooms are not (chatctl export --rooms), nor meetings and files.")
    return DONE


def _new_file(path: Path) -> TextIO:
    """A file that only its owner can read; raises WrongUse."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WrongUse(f"{path} is there already; nothing was written") from None
    except OSError as error:
        raise WrongUse(f"{path}: {error.strerror}") from None
    return os.fdopen(handle, "w", encoding="utf-8")


def _export_rooms(arguments: argparse.Namespace, socket: Path) -> int:
    counts: Counter[str] = Counter()
    with _new_file(arguments.file) as file:
        write_rooms(file, socket, arguments.domain, counts)
        file.flush()
        os.fsync(file.fileno())
    _say(arguments, {"file": str(arguments.file), "rooms": counts["rooms"], "messages": counts["messages"]},
         f"{counts['rooms']} rooms with {counts['messages']} messages are in {arguments.file}.")
    return DONE


def _user(socket: Path, jid: str, progress: _Progress) -> Iterator[str]:
    try:
        yield str(ask(socket, "export account", {"jid": jid})["xml"])
    except Refused as error:
        if error.condition != "item-not-found":
            raise
        return                          # deleted meanwhile
    after = ""
    is_first = True
    while is_first or after:
        page = ask(socket, "export archive", {"jid": jid, "after": after})
        if is_first and page["messages"]:
            yield pie.ARCHIVE_START
        yield page["xml"]
        progress.counts["history"] += page["messages"]
        if not page["after"] and (page["messages"] or not is_first):
            yield pie.ARCHIVE_END
        after, is_first = page["after"], False
    yield "</user>\n"


# -- import
@attrs.define
class _Import:
    """One run. kept: by the words of chatd.core.portable.KINDS. skipped: reasons. left_out: accounts, and why."""

    socket: Path
    is_dry: bool
    progress: _Progress
    skipped: Counter[str] = attrs.field(factory=Counter)
    left_out: list[tuple[str, str]] = attrs.field(factory=list)
    without_password: list[str] = attrs.field(factory=list)

    def take(self, files: list[Path]) -> None:
        """All users of these files; raises BadFile, Refused."""
        for file in files:
            user: User | None = None
            parts: list[Part] = []
            is_made, jid = False, ""
            for one in read(file):
                if isinstance(one, User):
                    user, parts, is_made, jid = one, [], False, ""
                    continue
                if user is None:
                    continue            # it is left out
                if isinstance(one, Part) and not is_made and len(parts) < _BEFORE:
                    parts.append(one)
                    continue
                if not is_made:
                    jid = self._begin(user, parts)
                    if not jid:
                        user = None
                        continue
                    is_made = True
                    batch = _Batch(self, jid)
                    for part in parts:
                        batch.add(part)
                if isinstance(one, Part):
                    batch.add(one)
                elif isinstance(one, End):
                    batch.flush()
                    if not self.is_dry:
                        values = {"jid": jid, "disabled": batch.is_disabled}
                        ask(self.socket, "import done", values)
                    self.progress.counts["accounts"] += 1
                    self.progress.tell()
                    user = None

    def _begin(self, user: User, parts: list[Part]) -> str:
        """Makes the account; its address, nothing where it is left out."""
        try:
            jid = JID.parse(user.address).bare
            credentials = [part.element.toXml() for part in parts if pie.kind_of(part.element) == "passwords"]
            answer = ask(self.socket, "import account", {
                "jid": jid, "password": user.password, "credentials": credentials, "dry": self.is_dry})
        except InvalidJID:
            self.left_out.append((user.address, "this is no address"))
            return ""
        except Refused as error:
            self.left_out.append((user.address, error.text))
            return ""
        self.skipped.update(answer["skipped"])
        if not answer["has_password"]:
            self.without_password.append(jid)
        return jid


class _Batch:
    """What is handed over together: what stands in one long part."""

    def __init__(self, import_: _Import, jid: str) -> None:
        self._import = import_
        self._jid = jid
        self.is_disabled = False
        self._inside = ""
        self._waiting: list[str] = []
        self._bytes = 0

    def add(self, part: Part) -> None:
        """One more part."""
        if part.inside != self._inside or len(self._waiting) >= _BATCH or self._bytes > _BATCH_BYTES:
            self.flush()
        kind = pie.KINDS.get(part.inside) or pie.kind_of(part.element)
        try:
            xml = part.element.toXml()
        except RecursionError:
            kind = ""
        if kind in ("passwords", "disabled"):
            self.is_disabled = self.is_disabled or kind == "disabled"
            return
        if not kind:
            self._import.skipped[f"<{part.element.name}/> of {part.element.uri} is not known here"] += 1
        elif len(xml) > REQUEST_BYTES // 8:
            self._split(part, kind)
        elif part.inside:
            self._inside = part.inside
            self._waiting.append(xml)
            self._bytes += len(xml)
        else:
            self._send(kind, xml, _count(kind, part.element))

    def _split(self, part: Part, kind: str) -> None:
        """What is large goes over child by child: nodes with many items, above all."""
        element = part.element
        if kind != "published items" or element.name == "item":
            self._import.skipped["something is too large"] += 1
            return
        for items in list(element.elements()):
            for item in list(items.elements()):
                xml = (f'<pubsub xmlns="{element.uri}"><items node="{attribute(items.getAttribute("node", ""))}">'
                       f"{item.toXml()}</items></pubsub>")
                if len(xml) > REQUEST_BYTES // 2:
                    self._import.skipped["something is too large"] += 1
                else:
                    self._send(kind, xml, 1)

    def flush(self) -> None:
        """What waits goes over."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if waiting:
            uri, _, name = self._inside.rpartition(" ")
            inner = "".join(waiting)
            self._send(pie.KINDS[self._inside], f'<{name} xmlns="{uri}">{inner}</{name}>', len(waiting))
        self._inside = ""

    def _send(self, kind: str, xml: str, count: int) -> None:
        if self._import.is_dry:
            self._import.progress.counts[kind] += count
            return
        answer = ask(self._import.socket, "import part", {"jid": self._jid, "xml": xml})
        self._import.progress.counts[kind] += answer["kept"]
        self._import.skipped.update(answer["skipped"])


def _count(kind: str, element: domish.Element) -> int:
    """How much there is in a part, for who only wants to know."""
    if kind in ("vCards", "requests"):
        return 1
    children = list(element.elements())
    if kind == "published items":
        return sum(len(list(items.elements())) for items in children)
    if kind == "nodes":
        return len({child.getAttribute("node") for child in children})
    return len(children)


def import_(arguments: argparse.Namespace, settings: Settings) -> int:
    """`import FILE ...`: REFUSED where something was left out or a file broke off."""
    files = [one for file in arguments.files for one in (sorted(file.glob("*.xml")) if file.is_dir() else [file])]
    if not files:
        raise WrongUse("there is no *.xml file in the folder")
    run = _Import(settings.control_socket, arguments.dry_run, _Progress(arguments.json))
    broken = ""
    rooms = [file for file in files if is_rooms_file(file)]
    try:
        run.take([file for file in files if file not in rooms])
    except BadFile as error:
        broken = str(error)
    run.progress.end()
    for file in rooms if not broken else ():
        taken = RoomImport(run.socket, run.is_dry, run.progress.counts, run.skipped, run.left_out)
        taken.take(file)
        broken = broken or taken.broken
    counts = {kind: number for kind, number in sorted(run.progress.counts.items()) if number}
    result = {"dry_run": run.is_dry, "kept": counts, "skipped": dict(sorted(run.skipped.items())),
              "left_out": [{"jid": jid, "why": why} for jid, why in run.left_out],
              "without_password": run.without_password, "error": broken}
    _say(arguments, result, "\n".join(_lines(run, counts, broken)))
    return REFUSED if broken or run.left_out else DONE


def _lines(run: _Import, counts: dict[str, int], broken: str) -> Iterator[str]:
    rooms = f" and {counts['rooms']} rooms" if "rooms" in counts else ""
    yield f"{counts.get('accounts', 0)} accounts{rooms} " + (
        "would be taken over." if run.is_dry else "were taken over.")
    yield from (f"  {kind}: {number}" for kind, number in counts.items() if kind not in ("accounts", "rooms"))
    if run.left_out:
        yield f"{len(run.left_out)} were left out:"
        yield from (f"  {jid}: {why}" for jid, why in run.left_out)
    if run.skipped:
        yield "Not taken over:"
        yield from (f"  {number} x {why}" for why, number in sorted(run.skipped.items()))
    if run.without_password:
        yield f"{len(run.without_password)} accounts have no password here (chatctl user passwd):"
        yield from (f"  {jid}" for jid in run.without_password)
    if broken:
        yield f"It ended early: {broken}. An account it was at is disabled; delete it before the next attempt."


def _say(arguments: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    if arguments.json:
        print(json.dumps({"ok": True, "result": result}, ensure_ascii=False))
    else:
        print(text)
