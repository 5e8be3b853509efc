"""The one part of a file that a Range header asks for (RFC 9110 14)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["part_of"]

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


def part_of(asked: str, size: int) -> tuple[int, int]:
    """First byte, and the one behind the last, of a Range header; everything where it is one we do not know, such as
    several parts at once (RFC 9110 14.2 lets us); first >= behind where there is no such part."""
    match = _RANGE.fullmatch(asked.strip())
    if match is None or not (match[1] or match[2]):
        return 0, size
    if not match[1]:
        return max(size - int(match[2]), 0), size
    behind = int(match[2]) + 1 if match[2] else size
    if behind <= int(match[1]) and match[2]:
        return 0, size                      # the wrong way round: no range at all (RFC 9110 14.1.1)
    return int(match[1]), min(behind, size)
