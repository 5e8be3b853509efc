"""Meetings, and the engine that carries their media."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from twisted.internet.defer import Deferred

    from chatd.core.jid import JID
    from chatd.core.media import Grants, MediaEvent, MediaParticipant, MediaRoom, MediaTrack, Recording

# mypy: disable-error-code="empty-body,misc"


class IMediaEngine(Interface):
    """What carries sound and pictures: the bridge processes of this daemon, or a LiveKit server.

    Every Deferred fails with MediaError (chatd.core.media), with code "unavailable" where the engine cannot be asked
    now. What an engine keeps of a room is gone when the room is empty for a while or the engine restarts; who needs it
    makes it again.
    """

    name = Attribute("embedded or livekit.")
    url = Attribute("The address clients connect to (wss://…); LiveKit's clients add /rtc themselves.")

    def access_token(identity: str, room: str, grants: Grants, name: str = "", metadata: str = "",
                     attributes: Mapping[str, str] | None = None, ttl_s: float = 600.0) -> str:
        """A token that lets its holder join `room` as `identity`. ttl_s: until when joining must have begun; who is in
        gets fresh ones from the engine. Raises ValueError without identity or room."""

    def create_room(name: str, metadata: str = "", max_participants: int = 0, empty_timeout_s: int = 0,
                    departure_timeout_s: int = 0) -> Deferred[MediaRoom]:
        """Makes a room, or gives the one there is. It also comes into being when the first participant joins.

        max_participants: 0 for the engine's own limit. empty_timeout_s: closes it when nobody came;
        departure_timeout_s: when the last has gone; 0 for the engine's own.
        """

    def delete_room(name: str) -> Deferred[bool]:
        """Disconnects everybody (ROOM_DELETED) and closes it. Fires with whether there was one."""

    def list_rooms(names: Iterable[str] = ()) -> Deferred[list[MediaRoom]]:
        """All rooms, or those of these names that there are."""

    def update_room_metadata(name: str, metadata: str) -> Deferred[MediaRoom]:
        """Fails: not_found."""

    def list_participants(room: str) -> Deferred[list[MediaParticipant]]:
        """Everybody in a room; nobody where there is no such room."""

    def get_participant(room: str, identity: str) -> Deferred[MediaParticipant | None]:
        """One, None if it is not in that room."""

    def remove_participant(room: str, identity: str) -> Deferred[bool]:
        """Disconnects it (PARTICIPANT_REMOVED); its token lets it in again while it is good. Fires with whether it was
        there."""

    def mute_track(room: str, identity: str, track_sid: str, muted: bool = True) -> Deferred[MediaTrack]:
        """Mutes a track. Unmuting somebody from afar is refused by engines: failed_precondition. Fails: not_found."""

    def update_participant(room: str, identity: str, name: str | None = None, metadata: str | None = None,
                           attributes: Mapping[str, str] | None = None,
                           grants: Grants | None = None) -> Deferred[MediaParticipant]:
        """Changes what is given; an attribute of value "" is taken away. Fails: not_found."""

    def update_subscriptions(room: str, identity: str, track_sids: Iterable[str], subscribe: bool) -> Deferred[None]:
        """Subscribes a participant to tracks or ends that. Fails: not_found."""

    def send_data(room: str, data: bytes, topic: str = "", to: Iterable[str] = (),
                  is_reliable: bool = True) -> Deferred[None]:
        """Sends a data message to everybody in a room, or to these identities. Fails: not_found."""

    def list_flows(room: str) -> Deferred[list[dict[str, Any]]]:
        """How every track of a room comes in and where it goes on to, with the word for why it does not; what is told
        stands in chatd/bridge/inspection.py. Nothing where there is no such room. Fails: unimplemented with a LiveKit
        server, whose API has nothing of the kind."""

    def start_room_recording(room: str, path: str, layout: str = "grid",
                             is_audio_only: bool = False) -> Deferred[Recording]:
        """Records a whole meeting into one file. path: with its ending, relative to where the engine keeps recordings.
        Fails: not_found; LiveKit servers without an egress service: internal or unavailable."""

    def start_track_recording(room: str, track_sid: str, path: str) -> Deferred[Recording]:
        """Records one track as it is. Fails like start_room_recording."""

    def stop_recording(id: str) -> Deferred[Recording]:
        """Ends a recording; its file is there at egress_ended. Fails: not_found, failed_precondition when it has ended
        already."""

    def list_recordings(room: str = "", is_active: bool = False) -> Deferred[list[Recording]]:
        """Recordings the engine knows of, of one room if given, only those that run if is_active."""

    def listen(callback: Callable[[MediaEvent], object]) -> Callable[[], None]:
        """Calls back for everything that happens, in the order the engine tells; gives what ends that.

        An engine tells an event at least once and tries again for a while when the daemon was away; each is passed on
        once. What was missed is found out by list_rooms and list_participants.
        """


class IMeetings(Interface):
    """Meetings, as the web knows them; the words of what is told are those of docs/protocol.md."""

    is_open = Attribute("The meetings have been read from the store.")

    def create(account: JID, name: str = "", password: str = "", lobby: bool = False, e2ee: bool = False,
               expires_ms: int = 0) -> Deferred[dict[str, Any]]:
        """Makes a meeting for an account of ours; fires with what `info` gives.  Fails: StanzaError item-not-found (no
        such account), resource-constraint, not-acceptable."""

    def info(id: str) -> dict[str, Any] | None:
        """What somebody with the link may know before joining; None where there is no such meeting."""

    def admits(room: str, identity: str) -> bool:
        """May this participant of the media engine be in that media room?  Of rooms that are no meetings' always."""

    def recording(id: str, given: str) -> tuple[Path, str] | None:
        """Path and file name of a recording, for who has a pass; None where it is not good, or there is none.
        given: the pass, of the address that the room gave a moderator."""
