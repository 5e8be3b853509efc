"""Where everybody is in the composed picture. Numbers in, rectangles out.

"grid": all of the same size; shared screens are large, the people in a column beside them. "speaker": whoever speaks
takes the large place. "single-speaker": nothing but the large place. LiveKit's names with "-light" or "-dark" behind
them are taken as well; an unknown name is "grid".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GAP = 8
# Of the width, for the people beside a large picture.
STRIP = 0.2
# More in one column would be too small to be known again.
MOST_IN_COLUMN = 6


class Rect(NamedTuple):
    """In pixels; all numbers are even, as colours are stored for two pixels at a time."""

    x: int
    y: int
    width: int
    height: int


def kind(name: str) -> str:
    """The layout that a name means."""
    name = name.removesuffix("-light").removesuffix("-dark")
    return name if name in ("grid", "speaker", "single-speaker") else "grid"


def _even(value: float) -> int:
    return int(value) & ~1


def grid(count: int, area: Rect, aspect: float = 16 / 9) -> list[Rect]:
    """`count` tiles of the same size and aspect, as large as the area allows; the last row stands in the middle."""
    if count <= 0:
        return []
    best = (0.0, 1)
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        width = (area.width - GAP * (columns - 1)) / columns
        height = (area.height - GAP * (rows - 1)) / rows
        best = max(best, (min(width, height * aspect), -columns))
    width, columns = best[0], -best[1]
    rows = -(-count // columns)
    tile_width, tile_height = max(2, _even(width)), max(2, _even(width / aspect))
    top = area.y + (area.height - rows * tile_height - GAP * (rows - 1)) / 2
    found = []
    for row in range(rows):
        here = min(columns, count - row * columns)
        left = area.x + (area.width - here * tile_width - GAP * (here - 1)) / 2
        for column in range(here):
            found.append(Rect(_even(left + column * (tile_width + GAP)), _even(top + row * (tile_height + GAP)),
                              tile_width, tile_height))
    return found


def arrange(screens: Sequence[str], people: Sequence[str], speaker: str | None, width: int, height: int,
            name: str = "grid") -> dict[str, Rect]:
    """The place of each key that is to be seen. `speaker`: one of `people`, or None."""
    what = kind(name)
    everything = Rect(0, 0, width, height)
    large: list[str] = list(screens)
    small = list(people)
    if not large and what != "grid" and people:
        large = [speaker if speaker is not None and speaker in people else people[0]]
        small = [key for key in people if key != large[0]]
    if not large:
        return dict(zip(small, grid(len(small), everything), strict=True))
    if what == "single-speaker" or not small:
        return dict(zip(large, _fill(len(large), everything), strict=True))
    columns = -(-len(small) // MOST_IN_COLUMN)
    strip = _even(width * min(0.5, STRIP * (1 + (columns - 1) * 0.6)))
    places = dict(zip(large, _fill(len(large), Rect(0, 0, _even(width - strip - GAP), height)), strict=True))
    beside = Rect(width - strip, 0, strip, height)
    places.update(zip(small, _columns(len(small), columns, beside), strict=True))
    return places


def _fill(count: int, area: Rect) -> list[Rect]:
    """Shared screens have any shape: each gets as much room as there is, and is fitted in."""
    if count == 1:
        return [area]
    aspect = area.width / area.height if count > 2 else area.width / (area.height / 2)
    return grid(count, area, aspect)


def _columns(count: int, columns: int, area: Rect) -> list[Rect]:
    rows = -(-count // columns)
    tile_width = max(2, _even(min((area.width - GAP * (columns - 1)) / columns,
                                  (area.height - GAP * (rows - 1)) / rows * 16 / 9)))
    tile_height = max(2, _even(tile_width * 9 / 16))
    top = area.y + (area.height - rows * tile_height - GAP * (rows - 1)) / 2
    left = area.x + (area.width - columns * tile_width - GAP * (columns - 1)) / 2
    return [Rect(_even(left + (i // rows) * (tile_width + GAP)), _even(top + (i % rows) * (tile_height + GAP)),
                 tile_width, tile_height) for i in range(count)]


def fit(width: int, height: int, into: Rect) -> Rect:
    """The largest place inside for a picture of this shape: nothing is cut off."""
    scale = min(into.width / max(1, width), into.height / max(1, height))
    inner_width, inner_height = max(2, _even(width * scale + 1)), max(2, _even(height * scale + 1))
    inner_width, inner_height = min(inner_width, into.width), min(inner_height, into.height)
    return Rect(into.x + _even((into.width - inner_width) / 2), into.y + _even((into.height - inner_height) / 2),
                inner_width, inner_height)
