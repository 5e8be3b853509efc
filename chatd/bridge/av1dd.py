"""AV1's dependency descriptor, as far as it says which layer a packet is of (AV1 RTP payload format 1.0, appendix A).

The structure with the layers of all templates comes with keyframes only, so a `Templates` per stream remembers it.
`read` never raises: a descriptor that ends early or names an unknown template gives None. Senders attach descriptors
only if the session allows mixed header extensions (a=extmap-allow-mixed): with a structure they are over 16 bytes.
"""

from __future__ import annotations

from typing import NamedTuple

# A.8.2: next_layer_idc
_SAME, _NEXT_TEMPORAL, _NEXT_SPATIAL = 0, 1, 2
MOST_TEMPLATES = 64


class Position(NamedTuple):
    """`begins`, `ends`: first and last packet of its frame; `is_key`: with a new structure, so a decoder can start."""

    begins: bool
    ends: bool
    is_key: bool
    spatial: int
    temporal: int
    frame: int


class Templates:
    """The layers of one stream's templates."""

    __slots__ = ("_offset", "_layers")

    def __init__(self) -> None:
        self._offset = 0
        self._layers: list[tuple[int, int]] = []

    def read(self, descriptor: bytes) -> Position | None:
        """A.8.1: mandatory fields in the first three bytes, then the structure if there is one."""
        if len(descriptor) < 3:
            return None
        first = descriptor[0]
        is_key = len(descriptor) > 3 and bool(descriptor[3] & 0x80)
        if is_key and not self._read_structure(descriptor):
            return None
        index = ((first & 63) - self._offset) & 63
        if index >= len(self._layers):
            return None
        spatial, temporal = self._layers[index]
        frame = descriptor[1] << 8 | descriptor[2]
        return Position(bool(first & 0x80), bool(first & 0x40), is_key and bool(first & 0x80), spatial, temporal, frame)

    def _read_structure(self, descriptor: bytes) -> bool:
        """A.8.2 from template_id_offset to the end of template_layers(); what follows tells dependencies."""
        bits = int.from_bytes(descriptor[3:], "big")
        left = 8 * (len(descriptor) - 3) - 5  # five flags come first

        def take(count: int) -> int:
            nonlocal left
            left -= count
            return bits >> left & (1 << count) - 1 if left >= 0 else -1

        offset = take(6)
        take(5)  # dt_cnt_minus_one
        spatial = temporal = 0
        found = [(0, 0)]
        while True:
            step = take(2)
            if step < 0 or len(found) > MOST_TEMPLATES or spatial > 3 or temporal > 7:
                return False
            if step == _NEXT_TEMPORAL:
                temporal += 1
            elif step == _NEXT_SPATIAL:
                spatial, temporal = spatial + 1, 0
            elif step != _SAME:
                break
            found.append((spatial, temporal))
        self._offset, self._layers = offset, found
        return True
