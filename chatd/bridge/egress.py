"""LiveKit's Egress service: recordings, for whoever holds a token with the grant roomRecord.

StartRoomCompositeEgress, StartParticipantEgress, StartTrackCompositeEgress, StartTrackEgress, UpdateLayout, StopEgress,
ListEgress. Files only, in the folder of recordings; nothing is uploaded or streamed, and nothing but tracks of rooms is
recorded: StartWebEgress, StartEgress, UpdateStream and other outputs are answered `unimplemented`.

People are recorded as they come; the composed file is made when the recording has ended. So an egress stays ENDING for
a while (`details` tells how far it is). A second StopEgress, REPEAT_S after the first, gives the file up (ABORTED).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livekit.protocol import egress as E

from chatd.bridge.egresses import Egresses, TooMany
from chatd.bridge.egressjob import Plan, Status, source_of
from chatd.bridge.recording import layout, output, paths, remux
from chatd.bridge.recording.recorder import RecordingError
from chatd.bridge.recording.writer import SUFFIX
from chatd.bridge.twirp import Grants, TwirpError, denied

if TYPE_CHECKING:
    from chatd.bridge.room import Room
    from chatd.bridge.rooms import Rooms
    from chatd.bridge.tracks import Track

DESCRIPTOR = E.DESCRIPTOR.services_by_name["Egress"]
# Somebody who repeats a StopEgress at once has lost the answer.
REPEAT_S = 5.0

Preset = E.EncodingOptionsPreset
FileType = E.EncodedFileType
# Width, height, frames a second.
PRESETS = {
    Preset.H264_720P_30: (1280, 720, 30), Preset.H264_720P_60: (1280, 720, 60), Preset.H264_1080P_30: (1920, 1080, 30),
    Preset.H264_1080P_60: (1920, 1080, 60), Preset.PORTRAIT_H264_720P_30: (720, 1280, 30),
    Preset.PORTRAIT_H264_720P_60: (720, 1280, 60), Preset.PORTRAIT_H264_1080P_30: (1080, 1920, 30),
    Preset.PORTRAIT_H264_1080P_60: (1080, 1920, 60),
}
SUFFIX_OF_TYPE: dict[int, str] = {FileType.MP4: ".mp4", FileType.OGG: ".ogg"}


class EgressService:
    """The methods, for `Twirp.add(DESCRIPTOR, EgressService(rooms, egresses))`. Each raises TwirpError.

    `egresses` None: recording is not set up here.
    """

    def __init__(self, rooms: Rooms, egresses: Egresses | None) -> None:
        self._rooms = rooms
        self._egresses = egresses

    # -- starting

    async def start_room_composite_egress(self, request: E.RoomCompositeEgressRequest,
                                          grants: Grants | None) -> E.EgressInfo:
        """Everybody in the room, in one file."""
        room = self._room(request.room_name, grants)
        if request.custom_base_url:
            raise TwirpError("unimplemented", "layouts come from this server: custom_base_url is not available")
        if request.audio_only and request.video_only:
            raise TwirpError("invalid_argument", "audio_only and video_only at once")
        kinds = ["audio"] if request.audio_only else ["video"] if request.video_only else ["audio", "video"]
        arguments = [*_encoding(request), *(["--audio-only"] if request.audio_only else []),
                     *(["--video-only"] if request.video_only else [])]
        path = self._path(room, _one_file(request), ".ogg" if request.audio_only else ".webm")
        return await self._begin(room, Plan(
            path, kinds=kinds, layout=layout.kind(request.layout), arguments=arguments), "room_composite", request)

    async def start_participant_egress(self, request: E.ParticipantEgressRequest,
                                       grants: Grants | None) -> E.EgressInfo:
        """One participant's camera and microphone, or shared screen with its sound; until it leaves."""
        room = self._room(request.room_name, grants)
        if request.identity not in room.participants:
            raise TwirpError("not_found", "participant does not exist")
        sources = ["screen_share", "screen_share_audio"] if request.screen_share else ["camera", "microphone"]
        path = self._path(room, _one_file(request), ".webm", publisher_identity=request.identity)
        return await self._begin(room, Plan(
            path, identity=request.identity, sources=sources, layout="grid", arguments=_encoding(request)),
            "participant", request)

    async def start_track_composite_egress(self, request: E.TrackCompositeEgressRequest,
                                           grants: Grants | None) -> E.EgressInfo:
        """A picture and its sound in one file, as they are if the file may hold them; until both have ended."""
        room = self._room(request.room_name, grants)
        tracks = [self._track(room, sid, kind)
                  for sid, kind in ((request.audio_track_id, "audio"), (request.video_track_id, "video")) if sid]
        if not tracks:
            raise TwirpError("invalid_argument", "no track id")
        codecs = [track.encodings[0].word for track in tracks]
        usual = ".mkv" if "h264" in codecs else ".webm"
        path = self._path(room, _one_file(request), usual, more=(".mkv",),
                          publisher_identity=tracks[-1].participant.identity)
        arguments = _encoding(request)
        copies = not arguments and remux.may_copy(codecs, Path(path).suffix)
        if not copies and Path(path).suffix == ".mkv":
            raise TwirpError("invalid_argument", "a file that is encoded anew ends with .webm or .mp4")
        return await self._begin(room, Plan(
            path, "copy" if copies else "compose", tracks=[track.sid for track in tracks], layout="grid",
            arguments=arguments), "track_composite", request)

    async def start_track_egress(self, request: E.TrackEgressRequest, grants: Grants | None) -> E.EgressInfo:
        """One track as it comes; until it has ended."""
        room = self._room(request.room_name, grants)
        if request.WhichOneof("output") != "file":
            raise TwirpError("unimplemented", "tracks are written to files only")
        _only_here(request.file)
        track = self._track(room, request.track_id, "")
        suffix = SUFFIX[track.encodings[0].word]
        path = self._path(room, (request.file.filepath, FileType.DEFAULT_FILETYPE), suffix, more=(".mkv",),
                          publisher_identity=track.participant.identity, track_id=track.sid, track_type=track.kind,
                          track_source=source_of(track))
        return await self._begin(room, Plan(
            str(Path(path).with_suffix(suffix)), "move", tracks=[track.sid]), "track", request)

    # -- the others

    def update_layout(self, request: E.UpdateLayoutRequest, grants: Grants | None) -> E.EgressInfo:
        """From now on; what was before keeps its layout."""
        job = self._job(request.egress_id, grants)
        if job.info.WhichOneof("request") != "room_composite":
            raise TwirpError("invalid_argument", "only the layout of a room's recording can be changed")
        if not job.is_recording:
            raise TwirpError("failed_precondition", "the recording has ended")
        job.set_layout(layout.kind(request.layout))
        return _copy(job.info)

    async def stop_egress(self, request: E.StopEgressRequest, grants: Grants | None) -> E.EgressInfo:
        """End the recording; again, some seconds later: end the composing, there is no file then."""
        job = self._job(request.egress_id, grants)
        if job.is_over:
            raise TwirpError("failed_precondition", "egress with status %s cannot be stopped"
                             % Status.Name(job.info.status))
        if not job.is_recording and job.stopped_s >= REPEAT_S:
            await job.give_up()
        job.stop("stopped")
        found = _copy(job.info)
        if job.is_recording:
            found.status = Status.EGRESS_ENDING
        return found

    def list_egress(self, request: E.ListEgressRequest, grants: Grants | None) -> E.ListEgressResponse:
        """All that are known, or of one room, or one, or those that are not over; the newest first."""
        if grants is None or not grants.may_record:
            raise denied()
        jobs = self._egresses.jobs.values() if self._egresses is not None else ()
        found = [job.info for job in jobs
                 if (not request.room_name or job.info.room_name == request.room_name)
                 and (not request.egress_id or job.info.egress_id == request.egress_id)
                 and (not request.active or not job.is_over)]
        found.sort(key=lambda info: -info.started_at)
        return E.ListEgressResponse(items=found)

    # -- inside

    def _room(self, name: str, grants: Grants | None) -> Room:
        if grants is None or not grants.may_record:
            raise denied()
        if self._egresses is None:
            raise TwirpError("unimplemented", "recordings are not set up on this server")
        room = self._rooms.get(name)
        if room is None:
            raise TwirpError("not_found", "requested room does not exist")
        return room

    def _job(self, id_: str, grants: Grants | None) -> Any:
        if grants is None or not grants.may_record:
            raise denied()
        job = self._egresses.jobs.get(id_) if self._egresses is not None else None
        if job is None:
            raise TwirpError("not_found", "egress does not exist")
        return job

    @staticmethod
    def _track(room: Room, sid: str, kind: str) -> Track:
        track = room.track(sid)
        if track is None or kind and track.kind != kind:
            raise TwirpError("not_found", "track does not exist")
        if track.is_encrypted:
            raise TwirpError("failed_precondition", "the track is end-to-end encrypted: it cannot be recorded")
        if track.publication is None or track.encodings[0].word not in SUFFIX:
            raise TwirpError("failed_precondition", "the track cannot be recorded")
        return track

    def _path(self, room: Room, asked: tuple[str, int], usual: str, more: tuple[str, ...] = (),
              **values: str) -> str:
        """Where the file will be, or TwirpError."""
        assert self._egresses is not None
        template, file_type = asked
        wanted = SUFFIX_OF_TYPE.get(file_type, "")
        if file_type and not wanted:
            raise TwirpError("unimplemented", "files are .webm, .mp4 or .ogg")
        root = self._egresses.root
        try:
            name = paths.fill(template, {"room_name": room.name, "room_id": room.sid, **values}, time.time())
            path = paths.inside(root, name, paths.fill("{room_name}-{time}", {"room_name": room.name}, time.time()))
            known = path.suffix in (*output.FORMATS, *more)
            if wanted and path.suffix != wanted or not known:
                path = path.with_name(path.name + (wanted or usual))
            if path.suffix not in more and not output.supported(path.suffix):
                raise TwirpError("unimplemented", "this server cannot make files ending with %s" % path.suffix)
            paths.make_room(root, path)
        except paths.BadPath as error:
            raise TwirpError("invalid_argument", str(error)) from None
        except OSError as error:
            raise TwirpError("unavailable", "the folder of recordings: %s" % error.strerror) from None
        return str(path)

    async def _begin(self, room: Room, plan: Plan, request: str, asked: Any) -> E.EgressInfo:
        assert self._egresses is not None
        if asked.webhooks:
            raise TwirpError("unimplemented", "webhooks are set up for the whole server")
        try:
            job = await self._egresses.begin(room, plan, request, asked)
        except TooMany as error:
            raise TwirpError("resource_exhausted", str(error)) from None
        except RecordingError as error:
            raise TwirpError("unavailable", "nothing can be written: %s" % error) from None
        return _copy(job.info)


def _copy(info: E.EgressInfo) -> E.EgressInfo:
    found = E.EgressInfo()
    found.CopyFrom(info)
    return found


def _one_file(request: Any) -> tuple[str, int]:
    """The path and type of the one file that is asked for; TwirpError for anything else."""
    files = list(request.file_outputs)
    one = request.WhichOneof("output") if "output" in request.DESCRIPTOR.oneofs_by_name else None
    if one == "file":
        files.append(request.file)
    if one in ("stream", "segments") or request.stream_outputs or request.segment_outputs or request.image_outputs:
        raise TwirpError("unimplemented", "recordings are files: no streams, segments or images")
    if len(files) != 1:
        raise TwirpError("invalid_argument", "one file output is expected")
    _only_here(files[0])
    return files[0].filepath, files[0].file_type


def _only_here(file: Any) -> None:
    if file.WhichOneof("output") is not None:
        raise TwirpError("unimplemented", "files stay on this server: no uploads")


def _encoding(request: Any) -> list[str]:
    """Arguments for the composing process; empty for what is usual here."""
    which = request.WhichOneof("options")
    if which == "preset":
        size = PRESETS.get(request.preset)
        if size is None:
            raise TwirpError("unimplemented", "there is no such preset here")
        return ["--width", str(size[0]), "--height", str(size[1]), "--fps", str(size[2])]
    if which != "advanced":
        return []
    asked = request.advanced
    found: list[str] = []
    for name, value, least, most in (("width", asked.width, 16, 3840), ("height", asked.height, 16, 3840),
                                     ("fps", asked.framerate, 1, 60)):
        if value:
            if not least <= value <= most:
                raise TwirpError("invalid_argument", "%s is from %d to %d" % (name, least, most))
            found += ["--" + name, str(value)]
    # In kbit/s.
    for name, value, most in (("video-bitrate", asked.video_bitrate, 50_000),
                              ("audio-bitrate", asked.audio_bitrate, 510)):
        if value:
            if not 6 <= value <= most:
                raise TwirpError("invalid_argument", "%s is from 6 to %d kbit/s" % (name, most))
            found += ["--" + name, str(value * 1000)]
    return found
