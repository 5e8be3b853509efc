"""What happens in rooms, for whoever wants to know: webhooks, recordings, tests.

    room.listen(callback)       # one room
    rooms.listen(callback)      # all rooms of the process
    callback(Event("track_published", room, participant, track))

Names: room_started, room_finished, participant_joined (its media is connected), participant_left,
participant_connection_aborted (left before that), track_published, track_unpublished (webhooks of LiveKit have the
same), and track_muted, track_unmuted. Callbacks are synchronous, in the order in which things happen; what they raise
is logged and stops nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from chatd.bridge.participant import Participant
    from chatd.bridge.room import Room
    from chatd.bridge.tracks import Track

log = logging.getLogger(__name__)


@attrs.frozen
class Event:
    """See the module. `track_unpublished` comes while the track's publications are still open, `participant_left`
    with the participant's last state (`info()` says DISCONNECTED and why).
    """

    name: str
    room: Room
    participant: Participant | None = None
    track: Track | None = None


Listener = Callable[[Event], None]


class Listeners:
    """Those who listen."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Call it with every event from now on."""
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """No longer; nothing happens if it does not listen."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, event: Event) -> None:
        """Call everybody."""
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed at %s", event.name)
