"""chatctl meeting list, show, media, end, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, ensureDeferred

from chatd.core.errors import StanzaError
from chatd.core.media import MediaError
from chatd.xep.meet.moderation import end_meeting
from chatd.xep.muc.owner import destroy

if TYPE_CHECKING:
    from chatd.interfaces import IMediaEngine
    from chatd.xep.api import Api
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.meet.service import Meetings

__all__ = ["Administration"]


class Administration:
    """The commands.  services: by domain."""

    def __init__(self, services: Mapping[str, Meetings]) -> None:
        self._services = services
        self._engine: IMediaEngine | None = None

    def register(self, api: Api) -> None:
        """Offers them."""
        api.command("meeting list", self.list_all, "list meetings, of one account or of all")
        api.command("meeting show", self.show, "show one meeting: settings, who is in it, recordings")
        api.command("meeting media", self.media, "show how sound and pictures of a meeting flow, and why some do not")
        self._engine = api.media
        api.command("meeting end", self.end, "put everybody out of a meeting; its link stays good")
        api.command("meeting delete", self.delete, "delete a meeting with its chat and recordings")

    def _find(self, arguments: Mapping[str, Any]) -> Meeting:
        named = arguments.get("meeting")
        if not isinstance(named, str) or not named:
            raise StanzaError("bad-request", text="The command needs meeting: its id, its link or its address.")
        id = named.partition("#")[0].rstrip("/").rpartition("/")[2].partition("@")[0]
        for service in self._services.values():
            found = service.meeting(id)
            if found is not None and ("@" not in named or found.bare == named):
                return found
        raise StanzaError("item-not-found", text=f"There is no meeting {named}.")

    def list_all(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All meetings, those with people first, then those used last."""
        account = arguments.get("account")
        found = [room for service in self._services.values() for id in
                 [room.jid.local for room in service.rooms.values()] if (room := service.meeting(id)) is not None]
        rows = [self._shown(meeting) for meeting in found if account in (None, meeting.creator)]
        return sorted(rows, key=lambda row: (-row["occupants"], -row["used"]))

    def _shown(self, meeting: Meeting) -> dict[str, Any]:
        used_ms = meeting.now_ms if meeting.occupants else meeting.used_ms
        return {"id": meeting.jid.local, "name": meeting.config["name"], "creator": meeting.creator,
                "occupants": len(meeting.occupants), "used": used_ms / 1000,
                "recording": meeting.recording_state == "on"}

    def show(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One meeting."""
        meeting = self._find(arguments)
        recordings = meeting.service.recordings.of(meeting)
        return {
            **self._shown(meeting), "room": meeting.bare, "link": meeting.service.link(meeting.jid.local),
            "created": meeting.created_ms / 1000, "expires": meeting.expires_ms / 1000 if meeting.expires_ms else None,
            "password": meeting.config["protected"], "lobby": meeting.config["members_only"],
            "locked": meeting.present.is_locked, "e2ee": meeting.e2ee, "allowed": list(meeting.may),
            "people": [f"{one.nick} ({one.jid}, {one.role})" for one in meeting.occupants.values()],
            "waiting": [f"{one.nick} ({one.bare})" for one in meeting.waiting.values()],
            "recordings": len(recordings), "recordings_bytes": sum(row.bytes for row in recordings)}

    def media(self, arguments: Mapping[str, Any]) -> Deferred[list[dict[str, Any]]]:
        """A row for each track as it comes in, and one for each of those it goes on to."""
        meeting = self._find(arguments)

        async def ask() -> list[dict[str, Any]]:
            if self._engine is None:
                raise StanzaError("item-not-found", text="There is no media engine: [media] engine is off.")
            try:
                tracks = await self._engine.list_flows(meeting.bare)
            except MediaError as error:
                raise StanzaError("service-unavailable", text=f"The media engine does not say: {error.text}.") from None
            return [row for track in tracks for row in _rows(track)]

        return ensureDeferred(ask())

    def end(self, arguments: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        """Puts everybody out."""
        meeting = self._find(arguments)

        async def end() -> dict[str, Any]:
            people = len(meeting.occupants)
            end_meeting(meeting, "")
            return {"id": meeting.jid.local, "occupants": people}

        return meeting.service.run(meeting, end)

    def delete(self, arguments: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        """Deletes it."""
        meeting = self._find(arguments)

        async def delete() -> dict[str, Any]:
            recordings = len(meeting.service.recordings.of(meeting))
            await destroy(meeting, "", "", "")
            return {"id": meeting.jid.local, "recordings": recordings}

        return meeting.service.run(meeting, delete)


def _rows(track: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of a track as the bridge tells it (chatd/bridge/inspection.py)."""
    about = {"from": track["name"] or track["from"], "source": track["source"]}
    rows = [
        {**about, "to": "", "codec": layer["codec"], "state": "comes" if layer["bps"] else "silent",
         "layer": int(layer["rank"]), "kbit_s": layer["bps"] / 1000, "since_s": layer["since_s"],
         "keyframe_s": layer["keyframe_s"], "line_kbit_s": None, "loss": layer["loss"]}
        for layer in track["layers"]
    ]
    rows += [
        {**about, "to": one["name"] or one["who"], "codec": one.get("codec", track["codec"]), "state": one["state"],
         "layer": int(rank) if (rank := one.get("rank", -1)) >= 0 else None, "kbit_s": one.get("bps", 0) / 1000,
         "since_s": one.get("since_s"), "keyframe_s": None,
         "line_kbit_s": line / 1000 if (line := one.get("line_bps")) is not None else None, "loss": one.get("loss")}
        for one in track["to"]
    ]
    return rows or [{**about, "to": "", "codec": track["codec"], "state": "muted" if track["muted"] else "silent",
                     "layer": None, "kbit_s": 0.0, "since_s": None, "keyframe_s": None, "line_kbit_s": None,
                     "loss": None}]
