"""Entity Time, XEP-0202: the server's clock.  (`time` is a module of Python's.)"""

from __future__ import annotations

from datetime import UTC, datetime

from chatd.core import ns
from chatd.core.stamp import format_stamp
from chatd.xep.api import Api, Module, Request

__all__ = ["EntityTime"]


class EntityTime(Module):
    """XEP-0202: the time where the server is, and its offset from UTC."""

    name = "entity_time"
    xep = "0202"
    version = "2.0"
    features = (ns.TIME,)

    def start(self, api: Api) -> None:
        """Answers for domains."""
        super().start(api)
        api.iq("get", f"{ns.TIME} time", self._time, "domain")

    def _time(self, request: Request) -> bytes:
        now = self.api.now()
        offset = datetime.fromtimestamp(now, UTC).astimezone().utcoffset()
        minutes = 0 if offset is None else round(offset.total_seconds() / 60)
        hours, rest = divmod(abs(minutes), 60)
        tzo = f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "Z"
        utc = format_stamp(int(now * 1000))
        return f'<time xmlns="{ns.TIME}"><tzo>{tzo}</tzo><utc>{utc}</utc></time>'.encode()
