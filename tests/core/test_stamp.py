"""Times on the wire, XEP-0082."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.stamp import InvalidStamp, format_stamp, parse_stamp


@pytest.mark.parametrize("text,stamp_ms", [
    ("1970-01-01T00:00:00Z", 0), ("1969-07-21T02:56:15Z", -14159025000), ("1969-07-20T21:56:15-05:00",
    -14159025000),
    ("2010-07-10T23:08:25.123Z", 1278803305123), ("2010-07-10T23:08:25.1Z", 1278803305100),
    ("2010-07-10T23:08:25.123456789012Z", 1278803305123), ("2016-12-31T23:59:60Z", 1483228800000),
    ("2010-07-11T01:08:25+02:00", 1278803305000), ("1970-01-01T14:59:00+14:59", 0)])
def test_parse(text: str, stamp_ms: int) -> None:
    assert parse_stamp(text) == stamp_ms


@pytest.mark.parametrize("text", [
    "", "2010-07-10", "2010-07-10T23:08:25", "2010-13-10T23:08:25Z", "2010-02-30T00:00:00Z",
    "2010-07-10 23:08:25Z",
    "2010-07-10T24:08:25Z", "2010-07-10T23:08:25.Z", "2010-07-10T23:08:25+15:00",
    "2010-07-10T23:08:25+01:60", "2010-07-10T23:08:25Zx",
    "\u0662010-07-10T23:08:25Z", "0000-01-01T00:00:00Z", "20100710T23:08:25Z", "2010-07-10T23:08:61Z"])
def test_refused(text: str) -> None:
    with pytest.raises(InvalidStamp):
        parse_stamp(text)


@given(st.integers(-62135596800000, 253402300799999))
def test_round_trip(stamp_ms: int) -> None:
    text = format_stamp(stamp_ms)
    assert text.endswith("Z") and len(text) == 24
    assert parse_stamp(text) == stamp_ms
