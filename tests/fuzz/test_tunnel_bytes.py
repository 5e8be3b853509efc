"""Whatever a bridge process answers, in whatever pieces, the tunnel makes one thing of it: a refusal, an answer or a
pipe; and whatever is asked of it, what it asks the process is one request for one of four paths."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from chatd.web.passage import Inner, Refused
from chatd.web.tunnel import PATHS, _asked, _head

LINES = st.sampled_from([
    b"HTTP/1.1 101 Switching Protocols\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404\r\n", b"HTTP/1.1 1e3 X\r\n",
    b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"\r\n", b"abc",
    b"Transfer-Encoding: chunked\r\n", b":\r\n", b"Server: x\r\n", b"\n", b"\r", b"\0" * 50, b"x" * 20_000])
ANSWERS = st.lists(st.one_of(LINES, st.binary(max_size=40)), max_size=12)


class Passage:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.piped = b""

    def refused(self, why: str) -> None:
        self.ends.append("refused")

    def answered(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        assert status >= 0 and len(body) <= 65_536
        self.ends.append("answered")

    def accepted(self, inner: Inner, head: bytes, rest: bytes) -> bool:
        assert head.endswith(b"\r\n\r\n") and b"\n" not in head.replace(b"\r\n", b"")
        assert not any(line.startswith(b"server:") for line in head.lower().split(b"\r\n"))
        self.ends.append("accepted")
        inner.outer = SimpleNamespace(transport=self)  # type: ignore[assignment]
        return True

    def write(self, data: bytes) -> None:
        self.piped += data

    def unregisterProducer(self) -> None:
        pass

    def loseConnection(self) -> None:
        pass


class Transport(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


@given(ANSWERS)
@example([b"HTTP/1.1 101 Switching Protocols\r\n", b"\n", b"Server: x\r\n", b"\r\n"])
def test_answers(pieces: list[bytes]) -> None:
    passage: Any = Passage()
    inner = Inner(passage, b"GET /rtc HTTP/1.1\r\n\r\n")
    transport = Transport()
    inner.makeConnection(transport)
    for piece in pieces:
        if transport.disconnecting or transport.disconnected:
            break
        inner.dataReceived(piece)
    inner.connectionLost(Failure(ConnectionDone()))
    # What is refused or answered first may be told again at the end; the passage takes the first only.
    assert passage.ends and set(passage.ends) & {"accepted", "answered", "refused"}
    assert passage.ends[0] == passage.ends[-1] or passage.ends[-1] == "refused"
    assert passage.ends.count("accepted") <= ("answered" not in passage.ends)


TARGETS = st.one_of(
    st.sampled_from([b"/rtc", b"/rtc/v1", b"/rtc/../twirp", b"/rtc//v1", b"/rtc/v1/", b"/%72tc"]),
    st.binary(max_size=30).map(lambda data: b"/rtc/" + data))
QUERIES = st.lists(st.one_of(
    st.sampled_from([b"access_token=a.b.c", b"access%5ftoken=a.b.c", b"access_token=a.b.c%0d%0aX", b"x=%0d%0a", b"&"]),
    st.binary(max_size=20)), max_size=4).map(b"&".join)
VALUES = st.one_of(st.sampled_from([b"Bearer a.b.c", b"bearer a.b.c", b"Basic a.b.c", b"websocket"]),
                   st.binary(max_size=20).map(lambda data: data.translate(None, b"\r\n\0")))


@given(TARGETS, QUERIES, st.dictionaries(
    st.sampled_from([b"authorization", b"upgrade", b"origin", b"host", b"connection", b"cookie", b"sec-websocket-key"]),
    VALUES))
@example(b"/rtc/?", b"access_token=a.b.c&access_token=a.b.c", {})
def test_requests(target: bytes, query: bytes, values: dict[bytes, bytes]) -> None:
    headers = Headers({name: [value] for name, value in values.items()})

    def first(name: str) -> str | None:
        found = headers.getRawHeaders(name.encode())
        return found[0].decode("latin-1") if found else None

    request = SimpleNamespace(uri=target + b"?" + query, requestHeaders=headers, getHeader=first)
    try:
        path, kept, token = _asked(request)
    except Refused as refused:
        assert refused.status in (400, 401, 404)
        return
    head = _head(request, path, kept, token, "192.0.2.1")
    assert head.count(b"\r\n\r\n") == 1 and head.endswith(b"\r\n\r\n")
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert re.fullmatch(rb"GET [!-~]+ HTTP/1\.1", line) and line.split(b" ")[1].partition(b"?")[0] in PATHS
    assert [one.partition(b": ")[0] for one in lines].count(b"authorization") == 1
    assert b"\n" not in b"".join(lines) and token.encode() not in line
