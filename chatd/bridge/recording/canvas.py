"""The composed picture as planes of numbers: tiles with pictures, names and a border, drawn only where they change."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from chatd.bridge.recording import labels
from chatd.bridge.recording.layout import GAP, Rect, fit

BACKGROUND = 24
NEUTRAL = 128
# Y, U, V of the border of somebody who speaks: a light green.
BORDER = (170, 95, 90)
BORDER_WIDTH = 4


class Canvas:
    """`width` and `height` are even. `frame()` gives the picture; `draws`: tiles drawn so far."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.draws = 0
        self._all = np.zeros((height * 3 // 2, width), np.uint8)
        quarter = (height // 2, width // 2)
        flat = self._all.reshape(-1)
        size = width * height
        self._planes = (self._all[:height], flat[size:size + size // 4].reshape(quarter),
                        flat[size + size // 4:].reshape(quarter))
        self._scalers: dict[str, VideoReformatter] = {}
        self._drawn: dict[str, object] = {}
        self._bordered: dict[str, bool] = {}
        self._places: dict[str, Rect] = {}
        self.clear()

    def clear(self) -> None:
        """Nothing is to be seen."""
        self._fill(Rect(0, 0, self.width, self.height), (BACKGROUND, NEUTRAL, NEUTRAL))
        self._drawn.clear()
        self._bordered.clear()

    def arrange(self, places: dict[str, Rect]) -> None:
        """Where tiles are from now on."""
        if places != self._places:
            self._places = dict(places)
            self.clear()
            for key in list(self._scalers):
                if key not in places:
                    del self._scalers[key]

    def tile(self, key: str, name: str, frame: av.VideoFrame | None, serial: object, degrees: int,
             is_screen: bool) -> None:
        """Draw a tile if anything is other than before. Without a frame it is the name's initial."""
        rect = self._places.get(key)
        state = (frame is not None, serial if frame is not None else None, degrees, name)
        if rect is None or self._drawn.get(key) == state:
            return
        before = self._drawn.get(key)
        self._drawn[key] = state
        self.draws += 1
        if frame is None:
            self._fill(rect, (labels.BACKGROUND, NEUTRAL, NEUTRAL))
            self._grey(labels.placeholder(name, rect.width, rect.height), rect.x, rect.y)
        else:
            # What the last picture covered and this one does not.
            turned = degrees % 180 != 0
            width, height = (frame.height, frame.width) if turned else (frame.width, frame.height)
            inner = fit(width, height, rect)
            if not isinstance(before, tuple) or before[0] is False or before[2] != degrees or inner != rect:
                self._fill(rect, (16, NEUTRAL, NEUTRAL))
            self._picture(key, frame, inner, degrees)
        size = max(12, min(28, rect.height // 14))
        text = labels.label(name, size, rect.width & ~1)
        if text.size and not is_screen:
            self._grey(text, rect.x, rect.y + rect.height - text.shape[0])

    def border(self, key: str, is_on: bool) -> None:
        """Around somebody who speaks."""
        rect = self._places.get(key)
        if rect is None or self._bordered.get(key, False) == is_on:
            return
        self._bordered[key] = is_on
        colour = BORDER if is_on else (BACKGROUND, NEUTRAL, NEUTRAL)
        b = min(BORDER_WIDTH, GAP // 2)
        for side in (Rect(rect.x - b, rect.y - b, rect.width + 2 * b, b),
                     Rect(rect.x - b, rect.y + rect.height, rect.width + 2 * b, b),
                     Rect(rect.x - b, rect.y, b, rect.height), Rect(rect.x + rect.width, rect.y, b, rect.height)):
            x, y = max(0, side.x), max(0, side.y)
            right, bottom = min(self.width, side.x + side.width), min(self.height, side.y + side.height)
            if right > x and bottom > y:
                self._fill(Rect(x, y, right - x, bottom - y), colour)

    def frame(self) -> av.VideoFrame:
        """The picture as it is now."""
        return av.VideoFrame.from_ndarray(self._all, format="yuv420p")

    # -- inside

    def _picture(self, key: str, frame: av.VideoFrame, inner: Rect, degrees: int) -> None:
        scaler = self._scalers.setdefault(key, VideoReformatter())
        turned = degrees % 180 != 0
        scaled = scaler.reformat(
            frame, inner.height if turned else inner.width, inner.width if turned else inner.height, "yuv420p",
            interpolation=Interpolation.AREA if frame.width > inner.width else Interpolation.BILINEAR)
        for plane, source, half in zip(self._planes, scaled.planes, (1, 2, 2), strict=True):
            width, height = scaled.width // half, scaled.height // half
            data = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)[:height, :width]
            if degrees:
                # rot90 turns against the clock.
                data = np.rot90(data, -degrees // 90 % 4)
            plane[inner.y // half:inner.y // half + data.shape[0],
                  inner.x // half:inner.x // half + data.shape[1]] = data

    def _grey(self, picture: labels.Grey, x: int, y: int) -> None:
        height, width = picture.shape
        self._planes[0][y:y + height, x:x + width] = picture
        for plane in self._planes[1:]:
            plane[y // 2:(y + height) // 2, x // 2:(x + width) // 2] = NEUTRAL

    def _fill(self, rect: Rect, colour: tuple[int, int, int]) -> None:
        for plane, value, half in zip(self._planes, colour, (1, 2, 2), strict=True):
            plane[rect.y // half:(rect.y + rect.height) // half, rect.x // half:(rect.x + rect.width) // half] = value
