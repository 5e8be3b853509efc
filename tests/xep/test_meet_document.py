"""docs/protocol.md describes every element, attribute, condition and HTTP key of ours that the code says or hears."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from chatd.xep.meet.moderation import BESIDE, COMMANDS

ROOT = Path(__file__).resolve().parents[2]
MEET = sorted((ROOT / "chatd" / "xep" / "meet").glob("*.py"))
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()


def calls(name: str) -> Iterator[ast.Call]:
    """The calls of a function of this name."""
    for path in [*MEET, ROOT / "chatd" / "server" / "visits.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                yield node


def keys(node: ast.AST) -> set[str]:
    """Of the dictionaries written in it."""
    return {key.value for one in ast.walk(node) if isinstance(one, ast.Dict) for key in one.keys
            if isinstance(key, ast.Constant) and re.fullmatch(r"[a-z-]+", str(key.value))}


def test_elements() -> None:
    said = {one.args[0].value for one in calls("element") if isinstance(one.args[0], ast.Constant)}
    conditions = {one.args[0].value for one in calls("condition") if isinstance(one.args[0], ast.Constant)}
    source = "".join(path.read_text() for path in [*MEET, ROOT / "chatd" / "server" / "visits.py"])
    heard = {*COMMANDS, *BESIDE, *re.findall(r'(?<![.\w])name == "([a-z]+)"', source)}
    heard |= set(re.findall(r'\{ns\.MEET\} ([a-z]+)"', source))
    assert len(said) >= 9 and conditions == {"locked", "denied"} and len(heard) >= 20
    missing = [name for name in said | conditions | heard if not re.search(rf"<{name}[ />]", DOCUMENT)]
    assert missing == []


def test_attributes() -> None:
    found = set().union(*(keys(one) for one in calls("element")))
    facts = ast.parse((ROOT / "chatd" / "xep" / "meet" / "state.py").read_text())
    for function in facts.body:
        if isinstance(function, ast.FunctionDef) and function.name in ("info", "meeting_xml"):
            found |= keys(function) | set(re.findall(r'facts\["([a-z-]+)"\]', ast.unparse(function)))
    found |= {one.args[1].value for name in ("truth", "getAttribute") for one in calls(name)
              if len(one.args) > 1 and isinstance(one.args[1], ast.Constant)}
    found |= {one.args[0].value for one in calls("getAttribute") if isinstance(one.args[0], ast.Constant)}
    assert len(found) > 30
    missing = [name for name in found if not re.search(rf"\b{name}=|`{name}`", DOCUMENT)]
    assert missing == []


def test_what_the_page_in_a_frame_says() -> None:
    """Every key of its postMessage, and every word of it that the panel's window understands."""
    ui = ROOT / "chatd" / "web" / "ui"
    seen = re.search(r"function seen\(meeting\) \{.*?\};\n", (ui / "meet" / "frame.js").read_text(), re.S)
    assert seen is not None
    told = set(re.findall(r"(\w+): ", seen[0]))
    assert {"phase", "link", "unread"} <= told
    assert [key for key in told if f'"{key}"' not in DOCUMENT] == []
    states = re.findall(r"on\.state\('(\w+)'\)", (ui / "meet" / "link.js").read_text())
    assert set(states) == {"up", "quiet", "down"} and all(f"`{state}`" in DOCUMENT for state in states)
