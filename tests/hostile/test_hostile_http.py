"""HTTP that is none, or not meant well: a status (RFC 9110) or a closed connection, and none of the machine's files."""

from __future__ import annotations

import time

import pytest

from tests.daemon import Daemon
from tests.raw import Cut, Raw

TRAVERSALS = [
    "/../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
    "/..\\..\\etc\\passwd", "/%5c..%5c..%5cetc%5cpasswd", "/....//....//etc/passwd", "/%252e%252e/etc/passwd",
    "/index.html/../../site.py", "/%00/etc/passwd", "/index.html%00.js", "/.git/config", "/../chatd.toml",
    "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "/;/../../etc/passwd", "/~root/", "/./././../headers.py", "/%ff%fe",
    "file:///etc/passwd", "http://localhost/../../etc/passwd", "/http-bind/../../../etc/passwd", "*", "?",
    "/" + "../" * 500,
]


def answer(daemon: Daemon, request: bytes, port: str = "http") -> tuple[int, bytes]:
    """The status and all bytes up to the end of the connection, 0 where it ends without an answer."""
    with Raw(daemon, port) as raw:
        data = b""
        try:
            raw.put(request)
        except Cut:
            pass                    # it has heard enough; the answer may be there all the same
        try:
            while True:
                data += raw.get()
        except Cut:
            pass
    return (int(data.split()[1]) if data.startswith(b"HTTP/1.") else 0), data


def get(path: str, *headers: str) -> bytes:
    """A request that is to be the connection's last."""
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers,
                                              "")).encode("latin-1")


def post(*headers: bytes, body: bytes = b"") -> bytes:
    """A request with a body, of whose length the headers are to tell."""
    return b"\r\n".join((b"POST /http-bind HTTP/1.1", b"Host: x", *headers, b"", body))


CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize("port", ["http", "https"])
@pytest.mark.parametrize("path", TRAVERSALS)
def test_paths(daemon: Daemon, port: str, path: str) -> None:
    """Nothing outside the folder of the browser's files is shown, however it is asked for."""
    code, data = answer(daemon, get(path), port)
    assert code in (200, 301, 302, 400, 404, 405, 503)      # 503: the browser part has not been built
    assert b"root:" not in data and b"from __future__" not in data and b"state_dir" not in data
    if code == 200:
        assert b"<!doctype html>" in data.lower()       # the log-in page


ODD = {
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {0, 400}),
    "a stream header": (b"<stream:stream to='x'>\r\n\r\n", {0, 400}),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {0, 400, 404, 405, 501, 505}),
    "HTTP/0.9": (b"GET /\r\n\r\n", {0, 400}),
    "HTTP/7.7": (b"GET / HTTP/7.7\r\nHost: x\r\n\r\n", {0, 400, 505}),
    "no method": (b" / HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400, 501}),
    "a method of nobody": (b"FLY /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {405, 501}),
    "TRACE": (b"TRACE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {405, 501}),
    "CONNECT": (b"CONNECT localhost:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400, 404, 405, 501}),
    "a path of 64 KiB": (get("/" + "x" * 65536), {0, 400, 414, 431}),
    "a header of 64 KiB": (get("/healthz", "X: " + "x" * 65536), {0, 400, 431}),
    "a thousand headers": (get("/healthz", *(f"X{n}: x" for n in range(1000))), {0, 400, 431}),
    "a header without end": (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, {0, 400, 431}),
    "a header without colon": (get("/healthz", "Hello"), {400}),
    "a blank before the colon": (get("/healthz", "Content-Length : 5"), {400}),
    "a folded header": (get("/healthz", "X: a", " b"), {200, 400}),
    "a control character in a header": (get("/healthz", "X: a\x01b"), {200, 400}),
    "a zero byte in a header": (get("/healthz", "X: a\0b"), {200, 400}),
    "two lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"abcdef"), {400}),
    "two lengths in one": (post(b"Content-Length: 5, 6", body=b"abcdef"), {400}),
    "a negative length": (post(b"Content-Length: -5"), {400}),
    "a length with a sign": (post(b"Content-Length: +5", body=b"abcde"), {400}),
    "a length in words": (post(b"Content-Length: many"), {400}),
    "a length without end": (post(b"Content-Length: " + b"9" * 400), {400, 413}),
    "length and chunks": (post(b"Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + get("/healthz")), {400}),
    "an encoding of nobody": (post(b"Transfer-Encoding: cow"), {400, 501}),
    "chunked, identity": (post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), {400, 501}),
    "a chunk with a sign": (post(CHUNKED, body=b"+1\r\na\r\n0\r\n\r\n"), {0, 400}),
    "a chunk in words": (post(CHUNKED, body=b"zz\r\na\r\n0\r\n\r\n"), {0, 400}),
    "a chunk without its end": (post(CHUNKED, body=b"1\r\nabc\r\n0\r\n\r\n"), {0, 400}),
    "a chunk's extension of 64 KiB": (post(CHUNKED, body=b"1;" + b"x" * 65536 + b"\r\na\r\n0\r\n\r\n"), {0, 400, 413}),
    "2 MiB": (post(b"Content-Length: 2097152", body=b"x" * 2097152), {413}),
    "2 MiB in chunks": (post(CHUNKED, body=(b"10000\r\n" + b"x" * 65536 + b"\r\n") * 32 + b"0\r\n\r\n"), {413}),
    "a body for a page": (b"POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
                          {404, 405}),
    "two hosts": (get("/healthz", "Host: y"), {200, 400}),
    "Expect": (post(b"Connection: close", b"Expect: magic", b"Content-Length: 0"), {400, 417}),
    "a forged proxy": (get("/config.json", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"), {200}),
    "ranges": (get("/healthz", "Range: bytes=0-1,0-1,0-1," + "0-1," * 500 + "0-1"), {200, 206, 400, 416}),
    "metrics on another port": (get("/metrics"), {404}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_requests(daemon: Daemon, name: str) -> None:
    """A refusal in words, or a closed connection; never an error of ours, never a second answer from a body."""
    request, codes = ODD[name]
    code, data = answer(daemon, request)
    assert code in codes, data[:300]
    assert data.count(b"HTTP/1.1 ") <= 1, "what was in the body was taken for a request"
    assert b"Traceback" not in data


def test_pipelined_requests(daemon: Daemon) -> None:
    """Many at once are answered in their order, the first wrong one ends the connection."""
    with Raw(daemon, "http") as raw:
        raw.put(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                + b"nonsense\r\n\r\n" + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        with pytest.raises(Cut):
            while True:
                data += raw.get()
    codes = [line.split()[1] for line in data.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert codes in ([b"200"] * 50 + [b"404"], [b"200"] * 50 + [b"404", b"400"])


def test_many_who_never_finish(daemon: Daemon) -> None:
    """A hundred requests that stop in the middle, of the head or of the body, and go."""
    crowd = []
    for n in range(100):
        raw = Raw(daemon, "http" if n % 2 else "https", source="127.0.0.12")
        raw.put(post(b"Content-Length: 1000", body=b"<bo") if n % 3 else b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow")
        crowd.append(raw)
    assert answer(daemon, get("/healthz"))[0] == 200
    for raw in crowd:
        raw.reset()


@pytest.mark.long
def test_slow_requests(daemon: Daemon) -> None:
    """Whoever takes longer than 30 s for one request is closed, however busy he keeps the connection."""
    slow = [Raw(daemon, "http", timeout_s=0.5) for _ in range(3)]
    try:
        slow[0].put(b"GET / HTTP/1.1\r\n")
        slow[1].put(post(b"Content-Length: 100000"))
        began, closed = time.monotonic(), dict[int, float]()
        while len(closed) < 3 and time.monotonic() - began < 60:
            for n, raw in enumerate(slow):
                if n not in closed:
                    try:
                        raw.put((b"X: y\r\n", b"x", b"")[n])
                        raw.get()
                    except TimeoutError:
                        pass
                    except Cut:
                        closed[n] = time.monotonic() - began
        assert len(closed) == 3 and min(closed.values()) > 20 and max(closed.values()) < 50
    finally:
        for raw in slow:
            raw.close()
