"""Who speaks: from the audio levels that senders put into header extensions (RFC 6464). Numbers only."""

from __future__ import annotations

from collections.abc import Hashable

# Speech is loud above this; -dBov, so smaller is louder. A quiet room is at 60…90, talk at 15…45.
ACTIVE_DBOV = 45
HOLD_S = 1.0


class LevelMeter:
    """The level of one audio track between two looks."""

    __slots__ = ("_sum", "_count")

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def heard(self, dbov: int) -> None:
        """One packet's level, 0 (loudest) to 127 (silence)."""
        self._count += 1
        if dbov < 127:
            self._sum += 10 ** (-dbov / 20)

    def take(self, packets: int = 10) -> float:
        """The mean amplitude 0…1 since the last call. Fewer packets than `packets` (discontinuous sending) count as
        silence.
        """
        mean = self._sum / max(self._count, packets)
        self._sum, self._count = 0.0, 0
        return mean


def loudness(amplitude: float) -> float:
    """LiveKit's level 0…1 of an amplitude: linear enough for a meter, 0.1 is a low voice."""
    return min(1.0, amplitude * 4) if amplitude > 0 else 0.0


class Speakers:
    """The active speakers of a room; `update` twice a second."""

    def __init__(self, threshold_dbov: int = ACTIVE_DBOV) -> None:
        self._threshold = 10 ** (-threshold_dbov / 20)
        self._smooth: dict[Hashable, float] = {}
        # key -> (level told last, last time above the threshold)
        self._active: dict[Hashable, tuple[float, float]] = {}

    def update(self, amplitudes: dict[Hashable, float], now: float) -> list[tuple[Hashable, float, bool]]:
        """Amplitudes 0…1 of all participants with sound; returns (key, level 0…1, active) of those whose state changed.

        Somebody stays active for a second after the last loud moment; who is no longer in `amplitudes` has ended.
        """
        changes: list[tuple[Hashable, float, bool]] = []
        for key, amplitude in amplitudes.items():
            before = self._smooth.get(key, 0.0)
            smooth = self._smooth[key] = amplitude if amplitude > before else 0.5 * before + 0.5 * amplitude
            level = round(loudness(smooth), 2)
            active = self._active.get(key)
            if smooth >= self._threshold:
                if active is None or abs(active[0] - level) >= 0.05:
                    changes.append((key, level, True))
                    self._active[key] = (level, now)
                else:
                    self._active[key] = (active[0], now)
            elif active is not None and now - active[1] >= HOLD_S:
                del self._active[key]
                changes.append((key, 0.0, False))
        for key in [key for key in self._smooth if key not in amplitudes]:
            del self._smooth[key]
            if self._active.pop(key, None) is not None:
                changes.append((key, 0.0, False))
        return changes

    def active(self) -> list[tuple[Hashable, float]]:
        """Who is active now, loudest first, with the level told last."""
        return sorted(((key, told[0]) for key, told in self._active.items()), key=lambda entry: -entry[1])
