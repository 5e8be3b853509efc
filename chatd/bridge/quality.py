"""Connection quality of a participant as LiveKit's clients show it. Numbers only.

The score is the E-model's shape (ITU-T G.107) made small: it falls with loss, delay and jitter.
"""

from __future__ import annotations

# livekit.models.ConnectionQuality
POOR, GOOD, EXCELLENT, LOST = 0, 1, 2, 3


def score(loss: float, round_trip_s: float, jitter_s: float) -> float:
    """0…100 from the fraction lost 0…1, round trip and jitter in seconds."""
    delay_ms = round_trip_s * 500 + jitter_s * 2000
    penalty = delay_ms / 40 if delay_ms < 160 else (delay_ms - 120) / 10
    return max(0.0, min(100.0, 100.0 - penalty - loss * 250))


def quality(loss: float, round_trip_s: float, jitter_s: float, is_limited: bool = False) -> int:
    """EXCELLENT, GOOD or POOR; `is_limited`: a layer below the wanted one is sent or arrives, so it is not excellent.
    """
    value = score(loss, round_trip_s, jitter_s)
    if value >= 85:
        return GOOD if is_limited else EXCELLENT
    return GOOD if value >= 60 else POOR
