"""How a room's media flows, for people who look for a fault: every track, its layers, and every way to a receiver with
the word for why nothing flows there. Plain values, ready for JSON.

    tracks(room, now) -> [{"track", "from", "name", "kind", "source", "codec", "muted", "layers": […], "to": […]}, …]

Of a layer: "rank" (0 is the smallest), "bps", "keyframes" and "keyframe_s" (seconds since the last; None: none came),
"asked" (how often the publisher was asked for one), "loss" (0…1), "size".

Of a receiver: "who", "name", "state" (a key of `STATES`), "rank" sent now, "wanted", "allowed" by its line, "bps",
"packets", "since_s" (since the last was sent), "asked" (its requests for keyframes), "resent", "refused", "line_bps"
(None: not limited; "is_sure": packets show it), "loss", "round_trip_s".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livekit.protocol import models as M

from chatd.bridge.forward import NONE

if TYPE_CHECKING:
    from chatd.bridge.forward import Subscription
    from chatd.bridge.incoming import Layer
    from chatd.bridge.room import Room
    from chatd.bridge.subscriptions import Entry
    from chatd.bridge.tracks import Track

STATES = {
    "flows": "it is sent",
    "muted": "its publisher has muted it",
    "hidden": "the receiver shows it nowhere",
    "unbound": "the receiver's connection has no section for it yet",
    "refused": "the receiver decodes none of its codecs",
    "offered": "the receiver has not answered the offer with it yet",
    "connecting": "the receiver's connection is not up",
    "ended": "its codec has ended",
    "silent": "nothing arrives from its publisher",
    "line": "the receiver's line has no room for it",
    "keyframe": "the next keyframe is waited for",
}
"""Why something flows or not: word -> sentence."""


def tracks(room: Room, now: float) -> list[dict[str, Any]]:
    """See the module; `now` is the media port's clock."""
    return [_track(room, track, now) for track in room.tracks()]


def _track(room: Room, track: Track, now: float) -> dict[str, Any]:
    publication = track.publication
    receivers = [(person, entry) for person in room.participants.values()
                 if (entry := person.subscriptions.entries.get(track.sid)) is not None]
    return {
        "track": track.sid, "from": track.participant.identity, "name": track.participant.name, "kind": track.kind,
        "source": M.TrackSource.Name(track.info.source).lower(),
        "codec": track.encodings[0].word, "muted": track.info.muted,
        "layers": [_layer(layer, now) for publication in track.publications() for layer in publication.layers],
        "malformed": publication.malformed if publication is not None else 0,
        "to": [{"who": person.identity, "name": person.name, **_receiver(entry, now)} for person, entry in receivers],
    }


def _layer(layer: Layer, now: float) -> dict[str, Any]:
    return {
        "rank": layer.rank, "codec": layer.publication.codec,
        "bps": round(layer.rate.value(now)), "packets": layer.reception.received,
        "since_s": _age(layer.last_at, now) if layer.reception.received else None,
        "keyframes": layer.keyframes, "keyframe_s": _age(layer.keyframe_at, now) if layer.keyframes else None,
        "asked": layer.asked, "loss": round(layer.reception.recent_loss, 3),
        "size": f"{layer.width}x{layer.height}" if layer.width else "",
        "inside": {str(rank): round(rate.value(now)) for rank, rate in sorted(layer.rates.items())},
    }


def _receiver(entry: Entry, now: float) -> dict[str, Any]:
    media = entry.media
    found: dict[str, Any] = {"state": state(entry, now)}
    if media is None:
        return found
    line = media.transport.line.estimator
    available = line.available(now)
    packets, _ = media.counted()
    return {
        **found, "codec": media.publication.codec, "rank": media.rank, "wanted": media.wanted,
        "allowed": media.allowed, "awaited": media.awaited.rank if media.awaited is not None else None,
        "bps": round(media.rate(now)), "packets": packets, "since_s": _since(media, now),
        "asked": media.asked, "resent": media.repeats.sent, "refused": media.refused,
        "line_bps": None if available is None else round(available), "is_sure": line.is_sure,
        "loss": round(line.loss, 3), "round_trip_s": round(line.round_trip_s, 3),
    }


def state(entry: Entry, now: float) -> str:
    """Why this receiver gets the track or not: a key of `STATES`."""
    media = entry.media
    if media is None:
        return "refused" if entry.is_refused else "unbound"
    if media.is_closed:
        return "ended"
    if entry.is_held:
        return "offered"
    if media.is_paused:
        return "muted" if entry.track.info.muted else "hidden"
    if media.transport.state != "connected" or media.transport.path is None:
        return "connecting"
    publication = media.publication
    if media.layer is not None:
        return "flows" if media.layer.is_live(now) or publication.kind == "audio" else "silent"
    if media.allowed == NONE:
        return "line"
    return "keyframe" if any(layer.is_live(now) for layer in publication.layers) else "silent"


def _since(media: Subscription, now: float) -> float | None:
    if not media.counted()[0]:
        return None
    return _age(media.layer.last_at if media.layer is not None else media.left_at, now)


def _age(at: float, now: float) -> float:
    return round(max(0.0, now - at), 1)
