"""The arithmetic of the meeting page's tiles, run by node: they fit, keep their shape, and are as large as can be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser.harness import node_commands

LAYOUTS = Path(__file__).parents[2] / "chatd" / "web" / "ui" / "meet" / "layouts.js"
WIDE, PHONE, SIDEWAYS = (1408, 764, 12, 208), (374, 690, 8, 150), (828, 300, 8, 150)


def run(code: str) -> Any:
    """What an expression gives, with the functions of layouts.js."""
    node, _, environment = node_commands()
    script = f"import * as layouts from '{LAYOUTS}'; console.log(JSON.stringify({code}));"
    done = subprocess.run([*node, "--input-type=module", "-e", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=[WIDE, PHONE, SIDEWAYS], ids=["wide", "phone", "sideways"])
def grids(request: pytest.FixtureRequest) -> tuple[tuple[int, ...], list[dict[str, int]]]:
    """A place and its grids of 1 to 50."""
    width, height, gap, least = request.param
    options = f"{{ width: {width}, height: {height}, gap: {gap}, least: {least} }}"
    return request.param, run(f"Array.from({{ length: 50 }}, (_, at) => layouts.gridOf(at + 1, {options}))")


def test_tiles_fit(grids: tuple[tuple[int, ...], list[dict[str, int]]]) -> None:
    """All tiles of a page are inside the place, everybody is on a page, and no page is much emptier than others."""
    (width, height, gap, least), all_of_them = grids
    for count, grid in enumerate(all_of_them, 1):
        assert grid["columns"] * grid["width"] + (grid["columns"] - 1) * gap <= width
        assert grid["rows"] * grid["height"] + (grid["rows"] - 1) * gap <= height
        assert grid["columns"] * grid["rows"] >= grid["perPage"]
        assert (grid["pages"] - 1) * grid["perPage"] < count <= grid["pages"] * grid["perPage"]
        if grid["pages"] > 1:
            assert grid["width"] >= least, count


def test_tiles_keep_their_shape(grids: tuple[tuple[int, ...], list[dict[str, int]]]) -> None:
    """16:9 where the place is wide; on a phone held upright not higher than wide."""
    (width, height, _, _), all_of_them = grids
    for grid in all_of_them:
        shape = grid["width"] / grid["height"]
        if width > height:
            assert abs(shape - 16 / 9) < 0.03
        else:
            assert 0.99 < shape < 1.81


def test_tiles_are_large() -> None:
    """The sizes that people see on a usual screen; nobody is on a second page who would have had a place."""
    def grid(count: int) -> dict[str, int]:
        return run(f"layouts.gridOf({count}, {{ width: 1408, height: 764, gap: 12, least: 208 }})")

    assert grid(1)["width"] == 1358
    assert (grid(2)["columns"], grid(2)["width"]) == (2, 698)
    assert (grid(4)["columns"], grid(4)["width"]) == (2, 668)
    assert (grid(9)["columns"], grid(9)["width"]) == (3, 438)
    assert grid(25)["pages"] == 1 and grid(50)["pages"] == 2 and grid(50)["perPage"] == 25


OWN = """(width, height, count) => {
    const isNarrow = width < 620;
    const gap = isNarrow ? 8 : 12;
    const grid = layouts.gridOf(count, { width, height, gap, least: isNarrow ? 150 : 208 });
    const wide = isNarrow ? 104 : Math.min(208, Math.max(112, width * .17));
    return Array.from({ length: grid.pages }, (_, at) => Math.min(grid.perPage, count - at * grid.perPage))
        .map((shown) => ({ grid, gap, shown, own: layouts.cornerOf(shown, grid, { width, height, gap, wide }) }));
}"""
NAME_LEFT, NAME_BOTTOM, NAME_TOP = 8, 8, 36
"""Of a name in its tile, in pixels from the left and from the bottom."""
BUTTON_FROM, BUTTON_TO = 6, 42
"""Of the button that pins, from the top and from the side."""


@pytest.mark.parametrize("place", [(1408, 764), (828, 300), (374, 690), (374, 320), (828, 240), (900, 760), (560, 400)],
                         ids=lambda place: "x".join(map(str, place)))
def test_nobodys_name_is_under_ones_own_picture(place: tuple[int, int]) -> None:
    """Nor a button, wherever it goes: it is inside the place, so are the tiles; all names keep at least 100 pixels."""
    width, height = place
    made = run(f"Array.from({{ length: 30 }}, (_, at) => ({OWN})({width}, {height}, at + 1))")
    for page in [page for pages in made for page in pages]:
        grid, gap, own, shown = page["grid"], page["gap"], page["own"], page["shown"]
        x, y = width - own["right"] - own["width"], height - own["bottom"] - own["height"]
        assert x >= 0 and y >= 0 and own["right"] >= 0 and own["bottom"] >= 0, page
        rows = -(-shown // grid["columns"])
        used = rows * grid["height"] + (rows - 1) * gap
        across = grid["columns"] * grid["width"] + (grid["columns"] - 1) * gap
        assert used + own["below"] <= height and across + own["beside"] <= width, page
        for at in range(shown):
            row, column = divmod(at, grid["columns"])
            count = min(grid["columns"], shown - row * grid["columns"])
            left = (width - own["beside"] - count * grid["width"] - (count - 1) * gap) / 2
            tile_x = left + column * (grid["width"] + gap)
            bottom = (height - own["below"] - used) / 2 + (row + 1) * grid["height"] + row * gap
            most = own["name"] if at == shown - 1 and own["name"] else grid["width"] - 2 * NAME_LEFT
            assert most >= 100, page
            name_x, name_y = tile_x + NAME_LEFT, bottom - NAME_TOP
            is_apart = (name_x + most <= x or name_x >= x + own["width"] or bottom - NAME_BOTTOM <= y
                        or name_y >= y + own["height"])
            assert is_apart, (page, at)
            is_left = own["isOver"] and at == shown - 1
            button_x = tile_x + (BUTTON_FROM if is_left else grid["width"] - BUTTON_TO)
            button_y = bottom - grid["height"] + BUTTON_TO
            assert (button_x + BUTTON_TO - BUTTON_FROM <= x or button_x >= x + own["width"] or button_y <= y
                    or button_y - BUTTON_TO >= y + own["height"]), (page, at)


def person(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "isSpeaking": False, "spokeAt": 0, "level": 0, "isLocal": False, "isScreen": False} | more


def order(tiles: list[dict[str, Any]], before: str, most: int) -> str:
    found = run(f"layouts.ordered({json.dumps(tiles)}, {json.dumps(list(before))}, {most})")
    return "".join(one["key"] for one in found)


def test_everybody_keeps_his_place() -> None:
    """Newcomers come last, who has gone leaves no hole; who speaks out of sight takes the place of the quietest."""
    tiles = [person("a", spokeAt=5), person("b", spokeAt=3), person("c", spokeAt=9), person("d"), person("e")]
    assert order(tiles, "cba", 3) == "cbade"
    assert order(tiles[1:], "cba", 3) == "cbde"
    tiles[4]["isSpeaking"] = True
    assert order(tiles, "cbade", 3) == "ceadb"
    tiles[1] |= {"isSpeaking": True}
    assert order(tiles, "cbade", 3) == "cbeda"
    for one in tiles:
        one["isSpeaking"] = True
    assert order(tiles, "cbade", 3) == "cbade"


def test_who_is_large() -> None:
    """The speaker stays while speaking, and afterwards until somebody else speaks; never oneself or a screen."""
    def speaker(tiles: list[dict[str, Any]], before: str) -> str | None:
        found = run(f"layouts.speakerOf({json.dumps(tiles)}, {json.dumps(before)})")
        return found and found["key"]

    me, a, b = person("me", isLocal=True, isSpeaking=True, level=1), person("a", spokeAt=1), person("b", spokeAt=2)
    assert speaker([me], "") is None
    assert speaker([me, a, b], "") == "b"
    assert speaker([me, a, b], "a") == "a"
    a |= {"isSpeaking": True, "level": 0.2}
    assert speaker([me, a, b], "b") == "a"
    b |= {"isSpeaking": True, "level": 0.9}
    assert speaker([me, a, b], "a") == "a"
    assert speaker([me, a, b], "") == "b"
