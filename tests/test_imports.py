"""Who may import whom: the rooms of the house, as docs/decisions.md and the table below have them.

Every Python file is parsed, imports inside functions and under TYPE_CHECKING included (a type is a
dependency for the reader). Nothing is imported to find out.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

VALUES = ("chatd.settings",)
"""Frozen values without behaviour: whoever is handed settings may name their types."""

ALLOWED: dict[str, tuple[str, ...]] = {
    "core": ("chatd.core",),
    "store": ("chatd.store", "chatd.core", "chatd.interfaces", *VALUES),
    "xep": ("chatd.xep", "chatd.core", "chatd.interfaces"),
    # The bridge's supervisor joins what concerns media, as chatd.daemon joins the rest.
    "media": (
        "chatd.media", "chatd.meet.engine", "chatd.web", "chatd.config", "chatd.core", "chatd.interfaces", *VALUES
    ),
    "meet": ("chatd.meet", "chatd.xep.api", "chatd.core", "chatd.interfaces"),
    "server": ("chatd.server", "chatd.core", "chatd.interfaces", "chatd.compat", *VALUES),
    "web": ("chatd.web", "chatd.core", "chatd.interfaces", *VALUES),
    "auth": ("chatd.auth", "chatd.outside", "chatd.core", "chatd.interfaces", *VALUES),
    "directory": ("chatd.directory", "chatd.outside", "chatd.core", "chatd.interfaces", *VALUES),
    "outside": ("chatd.outside", "chatd.core"),
    "bridge": ("chatd.bridge",),
    "interfaces": ("chatd.interfaces", "chatd.core"),
    "settings": ("chatd.settings", "chatd.core.jid"),
    "compat": (),
}
"""Of chatd, what each room may import. Rooms not named (tap, ctl and what belongs to them) join everything."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "core": ("attrs", "idna", "precis_i18n", "scramp", "twisted.words.xish", "twisted.words.protocols.jabber"),
    "store": (
        "attrs",
        "psycopg",
        "zope.interface",
        "twisted.logger",
        "twisted.enterprise",
        "twisted.python",
        "twisted.internet.defer",
        "twisted.internet.interfaces",
        "twisted.internet.threads",
        "twisted.internet.task",
        "twisted.internet.error",
    ),
    # Whatever serves media, but no Twisted: the bridge is an asyncio program of its own.
    "bridge": (
        "aiohttp",
        "aioice",
        "aiortc",
        "attrs",
        "av",
        "cffi",
        "cryptography",
        "google",
        "jwt",
        "livekit",
        "numpy",
        "OpenSSL",
        "PIL",
        "prometheus_client",
        "pylibsrtp",
        "uvloop",
    ),
}
"""Of libraries, what a room may import; rooms not named may import any."""

NOT_IN_CORE = frozenset(
    {
        "asyncio",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "sqlite3",
        "subprocess",
        "threading",
        "time",
    }
)
"""Of the standard library: core gets time and randomness handed in, and touches nothing outside."""

FORBIDDEN_NAMES = ("utils", "util", "helpers", "helper", "common", "manager", "handler", "misc", "processor")
"""Words that say nothing about what is in a file."""

STANDARD_LIBRARY = frozenset(__import__("sys").stdlib_module_names)


def sources(*folders: str) -> list[Path]:
    """Return the Python files below folders that belong to the project."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not {"node_modules", "static", "__pycache__"} & set(path.parts)]


def room_of(path: Path) -> str:
    """Return the room a file of chatd belongs to: its folder, or its own name at the top."""
    parts = path.relative_to(ROOT / "chatd").parts
    return parts[0] if len(parts) > 1 else path.stem


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Give (line, module) for each import in a file; `from a import b` gives a.b, of which a prefix may be
    meant.
    """
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_below(module: str, roots: tuple[str, ...]) -> bool:
    """Return whether module is one of roots or inside one."""
    return any(module == root or module.startswith(root + ".") for root in roots)


def breaches(path: Path) -> Iterator[str]:
    """Give a sentence for every import of the file that its room may not make."""
    room = room_of(path)
    for line, module in imports_of(path):
        name = str(path.relative_to(ROOT))
        where = f"{name}:{line}"
        if (name, module) in EXCEPTIONS:
            continue
        top = module.partition(".")[0]
        if top == "chatd":
            if room in ALLOWED and not is_below(module, ALLOWED[room]) and module not in ("chatd", "chatd.__version__"):
                yield f"{where}: {room} must not import {module}"
            if room == "xep" and is_below(module, ("chatd.xep",)) and path.name not in ("__init__.py", "api.py"):
                allowed = ("chatd.xep.api", *(f"chatd.xep.{needed}" for needed in needs_of(path)))
                if not is_below(module, allowed) and not is_own_package(path, module):
                    yield f"{where}: a module must not import {module}, which it does not declare in needs"
        elif top in STANDARD_LIBRARY:
            if room == "core" and top in NOT_IN_CORE:
                yield f"{where}: core must not touch {top}"
        elif room in LIBRARIES and not is_below(module, LIBRARIES[room]):
            yield f"{where}: {room} must not import {module}"
        if top == "twisted" and module.startswith("twisted.internet.reactor") and room not in JOIN:
            yield f"{where}: {room} must be handed its reactor"


EXCEPTIONS = {
    ("chatd/core/hooks.py", "twisted.logger.Logger"): "a hook that fails is logged where it is called",
    ("chatd/core/hooks.py", "chatd.interfaces.IAccount"): "names the type only, under TYPE_CHECKING",
    ("chatd/core/hooks.py", "chatd.interfaces.ISession"): "names the type only, under TYPE_CHECKING",
}
"""Imports that break a rule, each with the reason why it may."""

JOIN = ("tap",)
"""Where the one reactor may be named."""


def needs_of(path: Path) -> frozenset[str]:
    """Return the modules that a module in xep/ declares to need; a file of a package needs what its module does."""
    return _needs((path,) if path.parent.name == "xep" else tuple(sorted(path.parent.glob("*.py"))))


@functools.cache
def _needs(files: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(
        constant.value
        for file in files
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "needs" for target in node.targets)
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    )


def is_own_package(path: Path, module: str) -> bool:
    """Return whether a file of a package inside xep/ (such as muc/) imports from that same package."""
    parts = path.relative_to(ROOT / "chatd" / "xep").parts
    return len(parts) > 1 and is_below(module, (f"chatd.xep.{parts[0]}",))


@pytest.mark.parametrize("room", sorted({room_of(path) for path in sources("chatd")}))
def test_rooms_import_only_what_they_may(room: str) -> None:
    found = [text for path in sources("chatd") if room_of(path) == room for text in breaches(path)]
    assert not found, "\n" + "\n".join(found)


def test_files_are_named_for_what_is_in_them() -> None:
    bad = [
        str(path.relative_to(ROOT))
        for path in sources("chatd", "twisted", "bench", "tests")
        if {path.stem, *path.stem.split("_")} & set(FORBIDDEN_NAMES)
    ]
    assert not bad


def test_names_of_test_files_are_unique() -> None:
    """Pytest imports them by their bare name; two of a name stop the whole run."""
    names = [path.name for path in sources("tests") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def first_line(path: Path, module: str) -> int | None:
    """Return the line of the first import of module or something in it."""
    return min((line for line, name in imports_of(path) if is_below(name, (module,))), default=None)


@pytest.mark.parametrize("path", [path for path in sources("chatd", "tests") if first_line(path, "wokkel")], ids=str)
def test_wokkel_is_never_imported_before_it_is_repaired(path: Path) -> None:
    repaired = first_line(path, "chatd.compat")
    imported = first_line(path, "wokkel")
    assert repaired is not None and imported is not None and repaired < imported


def test_every_exception_is_still_needed() -> None:
    for name, module in EXCEPTIONS:
        assert module in {found for _, found in imports_of(ROOT / name)}, f"{name} does not import {module} any more"


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("core/x.py", "import time"),
        ("core/x.py", "from twisted.internet import defer"),
        ("core/x.py", "import secrets"),
        ("core/x.py", "from chatd.store import open_store"),
        ("core/x.py", "def f():\n    from twisted.internet import reactor"),
        ("store/x.py", "from chatd.server.router import Router"),
        ("web/x.py", "from chatd.server import router"),
        ("web/x.py", "from chatd import server"),
        ("server/x.py", "from chatd.store.store import Store"),
        ("server/x.py", "from twisted.internet import reactor"),
        ("xep/x.py", "from chatd.xep.carbons import Carbons"),
        ("xep/x.py", "from chatd.server.session import Session"),
        ("bridge/x.py", "from twisted.internet import defer"),
    ],
)
def test_a_breach_is_found(room: str, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("test_imports.ROOT", tmp_path)
    path = tmp_path / "chatd" / room
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert list(breaches(path))
