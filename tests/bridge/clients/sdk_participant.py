"""One participant with the real Python SDK, told what to do in JSON lines (run by sdk.py's `Sdk`, one process each: the
SDK's Rust part may abort the process at exit).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import struct
import sys
import time
from typing import Any

from google.protobuf.json_format import MessageToDict
from livekit import rtc

SOURCES = {
    "camera": rtc.TrackSource.SOURCE_CAMERA, "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "screen_share": rtc.TrackSource.SOURCE_SCREENSHARE, "screen_share_audio": rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}
NAMES = {number: name for name, number in SOURCES.items()}
CODECS = {"vp8": rtc.VideoCodec.VP8, "vp9": rtc.VideoCodec.VP9, "h264": rtc.VideoCodec.H264, "av1": rtc.VideoCodec.AV1}
EVENTS = (
    "participant_connected", "participant_disconnected", "participant_active", "local_track_published",
    "local_track_unpublished", "local_track_subscribed", "local_track_republished", "track_published",
    "track_unpublished", "track_subscribed", "track_unsubscribed", "track_subscription_failed", "track_muted",
    "track_unmuted", "active_speakers_changed", "room_metadata_changed", "participant_metadata_changed",
    "participant_name_changed", "participant_attributes_changed", "connection_quality_changed",
    "participant_permissions_changed", "connection_state_changed", "connected", "disconnected", "reconnecting",
    "reconnected", "token_refreshed", "room_updated",
)


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """What of an event's argument can be told in JSON."""
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    for field in ("identity", "sid"):
        if isinstance(getattr(value, field, None), str):
            return getattr(value, field)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)[:80]


class Seen:
    """What arrived of one track."""

    def __init__(self) -> None:
        self.frames, self.width, self.height, self.gap_s, self.last, self.level = 0, 0, 0, 0.0, 0.0, 0.0

    def count(self) -> None:
        now = time.monotonic()
        if self.last:
            self.gap_s = max(self.gap_s, now - self.last)
        self.last = now
        self.frames += 1


class Participant:
    def __init__(self) -> None:
        self.room = rtc.Room()
        self.seen: dict[str, Seen] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.published: dict[str, Any] = {}
        self.sources: dict[str, asyncio.Task[None]] = {}
        for name in EVENTS:
            self.room.on(name, lambda *args, name=name: say(event=name, args=[plain(arg) for arg in args]))
        self.room.on("data_received", self._data)
        self.room.on("track_subscribed", self._subscribed)

    def _data(self, packet: Any) -> None:
        say(event="data", sender=packet.participant.identity if packet.participant else None, topic=packet.topic,
            text=bytes(packet.data).decode("utf-8", "replace")[:2000], kind=packet.kind)

    def _subscribed(self, track: Any, publication: Any, participant: Any) -> None:
        seen = self.seen[f"{participant.identity}/{NAMES.get(publication.source, 'unknown')}"] = Seen()
        pump = self._watch(track, seen) if track.kind == rtc.TrackKind.KIND_VIDEO else self._listen(track, seen)
        self._keep(pump)

    def _keep(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            say(event="failed", args=[repr(task.exception())])

    async def _watch(self, track: Any, seen: Seen) -> None:
        while True:
            stream = rtc.VideoStream(track, capacity=2)
            try:
                # Seen once in fifty on a busy machine: the SDK decodes (its statistics say so) and hands out nothing.
                event = await asyncio.wait_for(anext(stream), 8)
            except TimeoutError:
                say(event="stream_restarted", args=[track.sid])
                await stream.aclose()
                continue
            except StopAsyncIteration:
                return
            break
        while True:
            seen.count()
            seen.width, seen.height = event.frame.width, event.frame.height
            try:
                event = await anext(stream)
            except StopAsyncIteration:
                return

    async def _listen(self, track: Any, seen: Seen) -> None:
        async for event in rtc.AudioStream(track, capacity=10):
            seen.count()
            data = event.frame.data
            seen.level = max(abs(sample) for sample in data[::16]) / 32768 if len(data) else 0.0

    # -- what it is told

    async def join(self, url: str, token: str, *, auto_subscribe: bool = True, single: bool = True,
                   dynacast: bool = False, key: str = "") -> dict[str, Any]:
        options = rtc.RoomOptions(auto_subscribe=auto_subscribe, single_peer_connection=single, dynacast=dynacast)
        if key:
            options.encryption = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=key.encode()))
        await self.room.connect(url, token, options)
        return await self.state()

    async def publish(self, source: str = "camera", *, width: int = 640, height: int = 360, fps: float = 15,
                      codec: str = "vp8", simulcast: bool = False, dtx: bool = True, red: bool = False,
                      stereo: bool = False, bitrate: int = 0, frequency: float = 440, layers: str = "",
                      flashes: float = 0) -> str:
        """`flashes`: every so many seconds of the machine's clock a picture is white and a tone is to be heard for
        0.2 s, dark and silent otherwise; the same moments in all processes.
        """
        options = rtc.TrackPublishOptions(source=SOURCES[source], dtx=dtx, red=red)
        track: Any
        if source in ("camera", "screen_share"):
            options.video_codec, options.simulcast = CODECS[codec], simulcast
            if bitrate:
                options.video_encoding.max_bitrate, options.video_encoding.max_framerate = bitrate, fps
            if layers:
                options.scalability_mode = layers
            video = rtc.VideoSource(width, height, is_screencast=source == "screen_share")
            track = rtc.LocalVideoTrack.create_video_track(source, video)
            work = (self._flash(video, width, height, fps, flashes) if flashes
                    else self._film(video, width, height, fps))
        else:
            channels = 2 if stereo else 1
            # What flashes is sent when it is made: nothing waits in the source.
            audio = rtc.AudioSource(48000, channels, queue_size_ms=0 if flashes else 1000)
            track = rtc.LocalAudioTrack.create_audio_track(source, audio)
            work = (self._beep(audio, frequency, channels, flashes) if flashes
                    else self._sing(audio, frequency, channels))
        self.sources[source] = self._keep(work)
        publication = await self.room.local_participant.publish_track(track, options)
        self.published[source] = publication
        return str(publication.sid)

    async def _film(self, source: Any, width: int, height: int, fps: float) -> None:
        # A few moving pictures made once: this process has to leave the processor to others.
        pictures = []
        for number in range(8):
            row = bytes((x * 3 + number * 29) & 255 for x in range(width))
            rows = b"".join(row[y % width:] + row[:y % width] for y in range(height))
            colour = bytes([(number * 30) & 255]) * (width * height // 4)
            pictures.append(rows + colour + colour[::-1])
        number = 0
        due = time.monotonic()
        while True:
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, pictures[number % 8]))
            number += 1
            due = max(due + 1 / fps, time.monotonic() - 0.5)
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def _sing(self, source: Any, frequency: float, channels: int) -> None:
        wave = []
        for start in range(0, 48000, 480):
            samples = [int(12000 * math.sin((start + k) * 2 * math.pi * frequency / 48000)) for k in range(480)]
            wave.append(b"".join(struct.pack("<h", sample) * channels for sample in samples))
        number = 0
        while True:
            await source.capture_frame(rtc.AudioFrame(wave[number % 100], 48000, channels, 480))
            number += 1

    async def _flash(self, source: Any, width: int, height: int, fps: float, period: float) -> None:
        grey = bytes([128]) * (width * height // 2)
        dark, white = (rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, bytes([luma]) * (width * height) + grey)
                       for luma in (50, 235))
        while True:
            now = time.time()
            source.capture_frame(white if now % period < 0.2 else dark)
            await asyncio.sleep(1 / fps - (time.time() * fps) % 1 / fps)

    async def _beep(self, source: Any, frequency: float, channels: int, period: float) -> None:
        number = 0
        due = time.time()
        while True:
            samples = [int(12000 * math.sin((number * 480 + k) * 2 * math.pi * frequency / 48000)) for k in range(480)]
            is_on = due % period < 0.2
            data = b"".join(struct.pack("<h", sample if is_on else 0) * channels for sample in samples)
            await source.capture_frame(rtc.AudioFrame(data, 48000, channels, 480))
            number += 1
            due += 0.01
            if time.time() - due > 0.1:
                # This process was held up: what is late is left out.
                due = time.time()
            await asyncio.sleep(max(0, due - time.time()))

    async def unpublish(self, source: str) -> None:
        publication = self.published.pop(source)
        self.sources.pop(source).cancel()
        await self.room.local_participant.unpublish_track(publication.sid)

    async def mute(self, source: str, muted: bool = True) -> None:
        track = self.published[source].track
        if muted:
            track.mute()
        else:
            track.unmute()

    async def data(self, text: str, *, reliable: bool = True, topic: str = "", to: list[str] | None = None) -> None:
        await self.room.local_participant.publish_data(
            text.encode(), reliable=reliable, topic=topic, destination_identities=to or [])

    async def text(self, text: str, topic: str = "chat") -> None:
        await self.room.local_participant.send_text(text, topic=topic)

    def _publication(self, sid: str) -> Any:
        for participant in self.room.remote_participants.values():
            if sid in participant.track_publications:
                return participant.track_publications[sid]
        raise KeyError(sid)

    async def subscribe(self, sid: str, wanted: bool = True) -> None:
        self._publication(sid).set_subscribed(wanted)

    async def quality(self, sid: str, quality: int) -> None:
        self._publication(sid).set_video_quality(quality)

    async def allow(self, everybody: bool, identities: list[str] | None = None) -> None:
        self.room.local_participant.set_track_subscription_permissions(
            allow_all_participants=everybody,
            participant_permissions=[
                rtc.ParticipantTrackPermission(participant_identity=who, allow_all=True) for who in identities or []])

    async def describe(self, *, name: str | None = None, metadata: str | None = None,
                       attributes: dict[str, str] | None = None) -> None:
        own = self.room.local_participant
        if name is not None:
            await own.set_name(name)
        if metadata is not None:
            await own.set_metadata(metadata)
        if attributes is not None:
            await own.set_attributes(attributes)

    async def answer_rpc(self, method: str) -> None:
        async def answer(call: Any) -> str:
            return f"{call.caller_identity}: {call.payload}"

        self.room.local_participant.register_rpc_method(method, answer)

    async def rpc(self, to: str, method: str, payload: str) -> str:
        return str(await self.room.local_participant.perform_rpc(
            destination_identity=to, method=method, payload=payload, response_timeout=10))

    async def state(self) -> dict[str, Any]:
        """All that is known of the room now."""
        def about(person: Any) -> dict[str, Any]:
            return {
                "sid": person.sid, "name": person.name, "metadata": person.metadata, "kind": int(person.kind),
                "attributes": dict(person.attributes),
                "tracks": {NAMES.get(t.source, "unknown"): {
                    "sid": t.sid, "muted": t.muted, "mime_type": t.mime_type, "width": t.width, "height": t.height,
                    "simulcasted": t.simulcasted, "subscribed": getattr(t, "subscribed", None)}
                    for t in person.track_publications.values()}}

        room = self.room
        own = room.local_participant if room.isconnected() else None
        return {
            "room": room.name, "metadata": room.metadata, "is_recording": room.is_recording,
            "connection": int(room.connection_state), "own": about(own) if own is not None else None,
            "others": {identity: about(person) for identity, person in room.remote_participants.items()}}

    async def frames(self) -> dict[str, dict[str, Any]]:
        """What has arrived, by "identity/source"."""
        return {key: {"frames": s.frames, "width": s.width, "height": s.height, "gap_s": round(s.gap_s, 3),
                      "level": round(s.level, 3)} for key, s in self.seen.items()}

    async def forget_gaps(self) -> None:
        """Begin anew to look for the longest gap between frames."""
        for seen in self.seen.values():
            seen.gap_s = 0.0
            seen.last = 0.0

    async def stats(self) -> dict[str, Any]:
        """WebRTC statistics of both directions."""
        stats = await self.room.get_rtc_stats()
        return {"publisher": [MessageToDict(s) for s in stats.publisher_stats],
                "subscriber": [MessageToDict(s) for s in stats.subscriber_stats]}

    async def leave(self) -> None:
        for task in self.sources.values():
            task.cancel()
        await asyncio.sleep(0.05)
        await asyncio.wait_for(self.room.disconnect(), 5)


async def main() -> None:
    participant = Participant()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey(id: int, op: str, **values: Any) -> None:
        try:
            say(id=id, ok=await getattr(participant, op)(**values))
        except Exception as error:
            say(id=id, error=f"{type(error).__name__}: {error}")

    running = set()
    while line := await reader.readline():
        task = asyncio.ensure_future(obey(**json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    try:
        await participant.leave()
    except Exception as error:
        print(f"leaving: {error!r}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    # The SDK may abort while its threads are taken down.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
