"""Dates and times on the wire, XEP-0082 (profile DateTime). Milliseconds since 1970, UTC, inside chatd."""
from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# XEP-0082 3.2: CCYY-MM-DDThh:mm:ss[.sss]TZD
_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)


class InvalidStamp(ValueError):
    """The text is not a time as XEP-0082 writes it."""


def format_stamp(stamp_ms: int) -> str:
    """`2010-07-10T23:08:25.000Z`. stamp_ms: 0 to the year 9999."""
    moment = _EPOCH + stamp_ms * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_stamp(text: str) -> int:
    """Milliseconds since 1970 (negative before). InvalidStamp for anything but an XEP-0082 DateTime."""
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise InvalidStamp("a time is written like 2010-07-10T23:08:25Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    leap = second == 60  # A leap second is legal XML Schema; datetime does not know it.
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        raise InvalidStamp("no such day or time") from None
    milliseconds = (moment - _EPOCH) // _MILLISECOND + 1000 * leap
    if match[7]:
        milliseconds += int(match[7].ljust(3, "0")[:3])
    if match[8]:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 14 or minutes > 59:
            raise InvalidStamp("no such time zone")
        offset = (hours * 60 + minutes) * 60_000
        milliseconds -= offset if match[8] == "+" else -offset
    return milliseconds
