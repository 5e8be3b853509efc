"""Mixing sound without clipping: tracks are added, and what would be too loud is turned down before it comes.

A limiter with a look-ahead of one block: the gain of a block goes in a straight line to what the next one needs, so no
sample is ever above CEILING, and there is no click. It recovers slowly. Arrays in, arrays out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 48000
BLOCK = 960
CEILING = 0.97
# Back to full loudness in about half a second.
RELEASE_PER_BLOCK = 0.04

Sound = npt.NDArray[np.float32]


class Limiter:
    """`push(block)` takes BLOCK samples of two channels and gives the block before it (None at first).

    `flush()` gives the last.
    """

    def __init__(self) -> None:
        self._held: Sound | None = None
        self._peak = 0.0
        self._gain = 1.0

    def push(self, block: Sound) -> Sound | None:
        """See the class. Values that are no numbers count as silence."""
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        peak = float(np.abs(block).max(initial=0.0))
        held, held_peak = self._held, self._peak
        self._held, self._peak = block, peak
        if held is None:
            self._gain = min(1.0, CEILING / peak) if peak > CEILING else 1.0
            return None
        return self._turn(held, held_peak, peak)

    def flush(self) -> Sound | None:
        """The end: what is held."""
        held, self._held = self._held, None
        return None if held is None else self._turn(held, self._peak, 0.0)

    def _turn(self, block: Sound, peak: float, coming: float) -> Sound:
        """At its beginning the gain fits this block already; at its end it has to fit this and the next."""
        target = min(1.0, self._gain + RELEASE_PER_BLOCK)
        for one in (peak, coming):
            if one * target > CEILING:
                target = CEILING / one
        start, self._gain = self._gain, target
        if start == 1.0 and target == 1.0:
            return block
        ramp = np.linspace(start, target, len(block), dtype=np.float32)[:, None]
        return block * ramp


def loudness(block: Sound) -> float:
    """Root mean square, 0…1."""
    return float(np.sqrt(np.mean(np.square(block)))) if block.size else 0.0


def stretch(block: Sound, length: int) -> Sound:
    """The same sound in `length` samples, a few more or less: inaudible up to some per mille."""
    if len(block) == length or len(block) < 2:
        return block
    at = np.linspace(0, len(block) - 1, length)
    below = np.minimum(at.astype(np.int64), len(block) - 2)
    part = (at - below).astype(np.float32)[:, None]
    return block[below] * (1 - part) + block[below + 1] * part
