"""Names and initials as small grey pictures, to be laid over tiles. Pillow draws them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

# Pillow's own font has Latin letters only; these have more and are on most machines.
FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
)
MOST_LETTERS = 60
BACKGROUND, INK = 40, 230

Grey = npt.NDArray[np.uint8]


@functools.lru_cache(maxsize=64)
def _font(size: int) -> Any:
    for path in FONTS:
        if Path(path).exists():
            try:
                return ImageFont.truetype(path, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


def clean(name: str) -> str:
    """A name as it can be drawn on one line: no control characters, not endless."""
    text = "".join(letter if letter.isprintable() else " " for letter in name[:4 * MOST_LETTERS])
    text = " ".join(text.split())
    return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS - 1] + "…"


@functools.lru_cache(maxsize=512)
def label(name: str, size: int, most_width: int) -> Grey:
    """The name, light on dark; even sizes, at most `most_width` wide; cut with "…" if it is too long.

    `size`: height of the letters in pixels.
    """
    font = _font(size)
    text = clean(name)
    room = most_width - size
    while text and font.getlength(text) > room:
        shorter = text.rstrip("…")[:-1]
        text = shorter.rstrip() + "…" if shorter else ""
    if not text:
        return np.zeros((0, 0), np.uint8)
    width = min(most_width, int(font.getlength(text)) + size) & ~1
    height = int(size * 1.7) & ~1
    image = Image.new("L", (max(2, width), max(2, height)), BACKGROUND)
    ImageDraw.Draw(image).text((size // 2, height // 2), text, font=font, fill=INK, anchor="lm")
    return np.asarray(image)


@functools.lru_cache(maxsize=512)
def placeholder(name: str, width: int, height: int) -> Grey:
    """A tile for somebody without a picture: the initial in a circle."""
    image = Image.new("L", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    radius = min(width, height) // 4
    middle = (width // 2, height // 2)
    draw.ellipse((middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius), fill=90)
    letter = clean(name)[:1].upper()
    if letter and radius >= 6:
        draw.text(middle, letter, font=_font(radius), fill=INK, anchor="mm")
    return np.asarray(image)
