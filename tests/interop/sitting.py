"""Somebody who sits at a screen: starts programs on it, sees of them what a screen reader sees (AT-SPI), and presses
and types.  Told what to do in JSON lines.

Run by Debian's own Python, which knows GNOME's libraries (python3-gi); the tests talk to it through desk.py.
Requests that mean something on the screen name it by `role`, `name`, `description` or `text` (regular expressions that
must match the whole), by `within` (what it is in, named alike), by `nth`, and by being `enabled`, `active` or
`focused`, and wait for it up to `patience_s`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # type: ignore[import-untyped, unused-ignore] # noqa: E402

LONGEST_TREE = 20_000
#: What people press; pictures and labels are only in it.
PRESSED = re.compile(r".*button|.*menu item|menu|check box|list item|page tab|table cell")
#: Roles by their numbers, with the names that GTK 3 gives them.
ROLES = {7: "check box", 16: "dialog", 19: "file chooser", 20: "filler", 23: "frame", 29: "label", 31: "list",
         32: "list item", 33: "menu", 35: "menu item", 39: "panel", 40: "password text", 43: "push button", 61: "text",
         62: "toggle button", 69: "window", 75: "application", 79: "entry"}
#: Bits of a state.
ACTIVE, FOCUSED, SENSITIVE, SHOWING, VISIBLE = 1, 12, 24, 25, 30
STATES = {"enabled": SENSITIVE, "active": ACTIVE, "focused": FOCUSED}
IN_WINDOW = 1
Wanted = dict[str, Any]


# -- seeing
class Node:
    """Something on the screen: an object of a program on the bus of screen readers.

    libatspi keeps copies of all it has seen, and waits for itself where they change while it looks; so this asks.
    """

    bus: Any = None

    def __init__(self, program: str, path: str, gtk4: bool | None = None) -> None:
        self.program = program
        self.path = path
        self._gtk4 = gtk4

    def call(self, interface: str, method: str, arguments: Any = None) -> Any:
        """A method of an AT-SPI interface; GLib.Error."""
        answer = self.bus.call_sync(self.program, self.path, f"org.a11y.atspi.{interface}", method, arguments, None,
                                    Gio.DBusCallFlags.NONE, 5000, None)
        found = answer.unpack()
        return found[0] if len(found) == 1 else found

    def get(self, interface: str, name: str) -> Any:
        """A property."""
        return self.bus.call_sync(
            self.program, self.path, "org.freedesktop.DBus.Properties", "Get",
            GLib.Variant("(ss)", (f"org.a11y.atspi.{interface}", name)), None, Gio.DBusCallFlags.NONE, 5000,
            None).unpack()[0]

    @functools.cached_property
    def role(self) -> str:
        # Names differ between toolkits, numbers do not.
        number = self.call("Accessible", "GetRole")
        return ROLES.get(number) or str(self.call("Accessible", "GetRoleName"))

    @functools.cached_property
    def name(self) -> str:
        return str(self.get("Accessible", "Name"))

    @functools.cached_property
    def description(self) -> str:
        return str(self.get("Accessible", "Description"))

    @functools.cached_property
    def states(self) -> int:
        low, high = self.call("Accessible", "GetState")
        return int(low) | int(high) << 32

    @functools.cached_property
    def interfaces(self) -> set[str]:
        return {one.rpartition(".")[2] for one in self.call("Accessible", "GetInterfaces")}

    @property
    def text(self) -> str:
        if "Text" not in self.interfaces:
            return ""
        return str(self.call("Text", "GetText", GLib.Variant("(ii)", (0, -1))))

    @functools.cached_property
    def place(self) -> list[int]:
        """Left, top, width and height in its window."""
        if "Component" not in self.interfaces:
            return [0, 0, 0, 0]
        return list(self.call("Component", "GetExtents", GLib.Variant("(u)", (IN_WINDOW,))))

    @property
    def parent(self) -> Node:
        return Node(*self.get("Accessible", "Parent"), self._gtk4)

    @property
    def gtk4(self) -> bool:
        """Whether its program is made with GTK 4."""
        if self._gtk4 is None:
            root = Node(self.program, "/org/a11y/atspi/accessible/root")
            with contextlib.suppress(GLib.Error):
                self._gtk4 = str(root.get("Application", "Version")).startswith("4")
        return bool(self._gtk4)

    def has(self, state: int) -> bool:
        return bool(self.states >> state & 1)

    def children(self) -> Iterator[Node]:
        """What is directly in it; nothing where it has gone meanwhile."""
        with contextlib.suppress(GLib.Error):
            for program, path in self.call("Accessible", "GetChildren"):
                yield Node(program, path, self._gtk4)

    def is_shown(self) -> bool:
        """Whether it, or what is in it, is to be seen. GTK 4 says so of windows only; the rest has a size once it was
        shown."""
        with contextlib.suppress(GLib.Error):
            if self.has(SHOWING):
                return True
            return self.gtk4 and self.has(VISIBLE) and ("Component" not in self.interfaces or self.place[2] > 0)
        return False

    def described(self) -> Wanted:
        """What is known of it."""
        return {"role": self.role, "name": self.name, "text": self.text, "description": self.description,
                "place": self.place, **{key: self.has(state) for key, state in STATES.items()}}


def screen_readers_bus() -> Any:
    """The bus on which programs tell what they show."""
    session = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    address = session.call_sync("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress", None, None,
                                Gio.DBusCallFlags.NONE, -1, None).unpack()[0]
    flags = Gio.DBusConnectionFlags
    return Gio.DBusConnection.new_for_address_sync(
        address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None)


def programs() -> list[Node]:
    """All that are on the screen."""
    return list(Node("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root", False).children())


def walk(node: Node, depth: int = 0) -> Iterator[tuple[int, Node]]:
    """It and all that is shown in it, with their depth."""
    yield depth, node
    for child in node.children():
        if child.is_shown():
            yield from walk(child, depth + 1)


def fits(node: Node, wanted: Wanted) -> bool:
    """Whether it is meant."""
    with contextlib.suppress(GLib.Error):
        return all(re.fullmatch(wanted[key], getattr(node, key), re.DOTALL)
                   for key in ("role", "name", "description", "text") if key in wanted) and all(
                       node.has(state) for key, state in STATES.items() if wanted.get(key))
    return False


def matching(wanted: Wanted) -> Iterator[Node]:
    """All on the screen that may be meant."""
    roots = [Node(one.program, one.path) for one in programs()]
    if within := wanted.get("within"):
        roots = [node for root in roots for _, node in walk(root) if fits(node, within)]
    for root in roots:
        yield from (node for _, node in walk(root) if fits(node, wanted))


def find(wanted: Wanted) -> Node:
    """The nth that fits, as soon as it is there; LookupError."""
    deadline = time.monotonic() + float(wanted.get("patience_s", 30))
    while True:
        for number, node in enumerate(matching(wanted)):
            if number == int(wanted.get("nth", 0)):
                return node
        if time.monotonic() > deadline:
            raise LookupError(f"{wanted} is not shown; what is:\n{tree()}")
        time.sleep(0.2)


def seen(wanted: Wanted) -> list[Wanted]:
    """All that fit, without those that go while they are looked at."""
    found = []
    for node in matching(wanted):
        with contextlib.suppress(GLib.Error):
            found.append(node.described())
    return found


def tree() -> str:
    """All that is shown, one a line."""
    lines = []
    for program in programs():
        for depth, node in walk(Node(program.program, program.path)):
            with contextlib.suppress(GLib.Error):
                one = node.described()
                lines.append(f"{'  ' * depth}{one['role']} {one['name']!r} {one['text'][:80]!r} "
                             f"{one['description']!r} {one['place']}{'' if one['enabled'] else ' -'}"
                             f"{' *' if one['focused'] else ''}")
    return "\n".join(lines)[:LONGEST_TREE]


# -- doing
def press(node: Node) -> None:
    """What a click does: the first action of it, or of the button whose label it is; an entry of a list is chosen."""
    button = node
    with contextlib.suppress(GLib.Error):
        while not PRESSED.fullmatch(button.role):
            button = button.parent
        node = button
    if node.role == "list item" and "Selection" in node.parent.interfaces:
        index = node.call("Accessible", "GetIndexInParent")
        node.parent.call("Selection", "SelectChild", GLib.Variant("(i)", (index,)))
        return
    if "Action" not in node.interfaces or not node.get("Action", "NActions"):
        raise LookupError(f"{node.described()} can do nothing")
    node.call("Action", "DoAction", GLib.Variant("(i)", (0,)))


def fill(node: Node, value: str) -> None:
    """Replaces the text of a field."""
    if "EditableText" not in node.interfaces:
        raise LookupError(f"{node.described()} is no field")
    node.call("EditableText", "SetTextContents", GLib.Variant("(s)", (value,)))


def xdotool(*words: str) -> None:
    """Keys and mouse."""
    subprocess.run(["xdotool", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Sitting:
    """The programs that were started."""

    def __init__(self) -> None:
        self.programs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, command: list[str], log: str) -> None:
        """One more."""
        with open(log, "ab") as output:
            self.programs[command[0]] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                                         stderr=output)

    def quit(self, name: str) -> None:
        """Waits until it has ended because somebody has told it to in one of its windows."""
        self.programs[name].wait(30)
        del self.programs[name]

    def end(self, name: str) -> None:
        """Ends it and waits for that."""
        process = self.programs.pop(name)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def answer(self, request: Wanted) -> Any:
        """Does what is asked."""
        match request["do"]:
            case "start":
                self.start(request["command"], request["log"])
            case "end":
                self.end(request["program"])
            case "quit":
                self.quit(request["program"])
            case "tree":
                return tree()
            case "find":
                return find(request).described()
            case "all":
                return seen(request)
            case "press":
                press(find(request))
            case "focus":
                find(request).call("Component", "GrabFocus")
            case "fill":
                fill(find(request), request["value"])
            case "key":
                xdotool("key", "--clearmodifiers", request["key"])
            case "mouse":
                xdotool("mousemove", str(request["x"]), str(request["y"]))
            case "activate":
                # By its title; --sync would wait for ever for one that is in front already.
                xdotool("search", "--onlyvisible", "--name", request["title"], "windowactivate")
            case "size":
                xdotool("getactivewindow", "windowmove", "0", "0", "windowsize", str(request["width"]),
                        str(request["height"]))
            case "type":
                xdotool("type", "--delay", "20", request["value"])
        return None


def main() -> None:
    """A request a line, an answer a line; ends all programs at the end."""
    sitting = Sitting()
    Node.bus = screen_readers_bus()
    try:
        for line in sys.stdin:
            try:
                said = {"result": sitting.answer(json.loads(line))}
            except (LookupError, GLib.Error, OSError, subprocess.SubprocessError) as error:
                said = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(said), flush=True)
    finally:
        for name in list(sitting.programs):
            sitting.end(name)


if __name__ == "__main__":
    main()
