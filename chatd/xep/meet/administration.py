"""chatctl meeting list, show, end, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from chatd.core.errors import StanzaError
from chatd.xep.meet.moderation import end_meeting
from chatd.xep.muc.owner import destroy

if TYPE_CHECKING:
    from chatd.xep.api import Api
    from chatd.xep.meet.meeting import Meeting
    from chatd.xep.meet.service import Meetings

__all__ = ["Administration"]


class Administration:
    """The commands.  services: by domain."""

    def __init__(self, services: Mapping[str, Meetings]) -> None:
        self._services = services

    def register(self, api: Api) -> None:
        """Offers them."""
        api.command("meeting list", self.list_all, "list meetings, of one account or of all")
        api.command("meeting show", self.show, "show one meeting: settings, who is in it, recordings")
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
