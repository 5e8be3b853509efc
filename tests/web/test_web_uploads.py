"""Files over HTTP: put once with what the slot told, served so that nothing in them acts; and what goes wrong."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
from browser_like import Answer, Connection, ask, site_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from chatd.core.uploads import UPLOADS_PATH, UploadRow, Usage, hashed, path_of
from chatd.interfaces import IUploads, IUploadStore
from chatd.web.incoming import IncomingFile
from chatd.web.put import GRACE_S, STALL_S
from chatd.web.uploads import UploadsResource
from chatd.xep.upload.files import AT_ONCE, Files, Rules

NOW = 1_800_000_000.0
SECRET = "s3cret"
PICTURE = bytes(range(256)) * 8
HERE = "https://chat.example.org"
MB = 1024 * 1024


@implementer(IUploadStore)
class Shelf:
    """An IUploadStore in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, UploadRow] = {}
        self.wait: Deferred[None] | None = None

    def reserve(self, row, files, most, slots):
        self.rows[row.token] = row
        return succeed("")

    def get(self, token):
        found = succeed(self.rows.get(token))
        if self.wait is not None:
            wait, self.wait = self.wait, None
            return wait.addCallback(lambda _: found)
        return found

    def prolong(self, token, slot_ms):
        row = self.rows.get(token)
        if row is None or row.stored_ms:
            return succeed(False)
        self.rows[token] = attrs.evolve(row, slot_ms=slot_ms)
        return succeed(True)

    def keep(self, token, type, stored_ms):
        row = self.rows.get(token)
        if row is None or row.stored_ms:
            return succeed(False)
        self.rows[token] = attrs.evolve(row, type=type, stored_ms=stored_ms)
        return succeed(True)

    def usage(self, account_id, now_ms):
        return succeed(Usage(0, 0))

    def total(self):
        return succeed(Usage(0, 0))

    def users(self):
        return succeed([])

    def of(self, account_id):
        return succeed([])

    def due(self, now_ms, most):
        return succeed([])

    def known(self, tokens):
        return succeed(set(self.rows) & set(tokens))

    def delete(self, tokens):
        return succeed(None)


class Place:
    """A site with a folder of files."""

    def __init__(self, root: Path, folder: Path, **rules) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.folder = root / "uploads"
        self.folder.mkdir()
        self.shelf = Shelf()
        self.files = Files(self.folder, self.shelf, Rules(50 * MB, 100 * MB, 100, 0, 0, **rules), lambda: NOW)
        self.jobs: list[tuple] | None = None
        resource = UploadsResource(self.files, self.clock, self.in_thread,
                                   lambda request: request.getHeader("origin") == HERE)
        self.site = site_of(folder, self.clock, mounts={UPLOADS_PATH: resource}, bodies={UPLOADS_PATH: resource})

    def in_thread(self, job, *arguments):
        if self.jobs is None:
            return execute(job, *arguments)
        done = Deferred()
        self.jobs.append((done, job, arguments))
        return done

    def work(self) -> None:
        """The disk catches up."""
        while self.jobs:
            done, job, arguments = self.jobs.pop(0)
            execute(job, *arguments).chainDeferred(done)

    def slot(self, name="a.png", size=2048, type="image/png", letter="a", **more) -> str:
        """A new slot; its path."""
        now_ms = int(NOW * 1000)
        row = UploadRow(letter * 32, 1, hashed(SECRET), name, type, size, now_ms, now_ms + 300_000)
        row = attrs.evolve(row, **more)
        self.shelf.rows[row.token] = row
        return f"{UPLOADS_PATH}/{path_of(row)}"

    def put(self, path: str, body: bytes = PICTURE, secret: str = SECRET, **headers: str) -> Answer:
        headers = {"content_type": "image/png", "authorization": f"Bearer {secret}", **headers}
        return ask(self.site, path, "PUT", body=body, **{name: value for name, value in headers.items() if value})

    def begin(self, path: str, length: int, **headers: str) -> Connection:
        """A PUT's head."""
        connection = Connection(self.site)
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.send(f"PUT {path} HTTP/1.1\r\nhost: chat.example.org\r\ncontent-length: {length}\r\n"
                        f"authorization: Bearer {SECRET}\r\n{more}\r\n".encode())
        return connection

    def there(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def place(tmp_path: Path, folder: Path) -> Place:
    return Place(tmp_path, folder)


def test_interfaces(place: Place) -> None:
    verifyObject(IUploadStore, place.shelf)
    verifyObject(IUploads, place.files)


def test_put_once_and_got_by_everybody(place: Place) -> None:
    path = place.slot()
    assert ask(place.site, path).code == 404, "it is not there yet"
    answer = place.put(path)
    assert (answer.code, answer.body) == (201, b"")
    assert place.there() == ["a" * 32] and (place.folder / ("a" * 32)).read_bytes() == PICTURE
    assert (place.folder / ("a" * 32)).stat().st_mode & 0o777 == 0o600
    got = ask(place.site, path)
    assert (got.code, got.body) == (200, PICTURE)
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"] == 'inline; filename="a.png"'
    assert got.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert "script" not in got.headers["content-security-policy"]
    assert got.headers["cross-origin-resource-policy"] == "cross-origin"
    assert got.headers["access-control-allow-origin"] == "*"
    head = ask(place.site, path, "HEAD")
    assert (head.code, head.body, head.headers["content-length"]) == (200, b"", str(len(PICTURE)))
    again = place.put(path, b"x" * len(PICTURE))
    assert again.code == 409 and (place.folder / ("a" * 32)).read_bytes() == PICTURE
    assert (place.files.counts.stored, place.files.counts.stored_bytes) == (1, len(PICTURE))
    assert place.files.total == Usage(1, len(PICTURE))


@pytest.mark.parametrize(("name", "type"), [
    ("page.html", "text/html"), ("drawing.svg", "image/svg+xml"), ("x.xhtml", "application/xhtml+xml"),
    ("x.png", "text/html"), ("a.js", "text/javascript"), ("page.html", ""),
])
def test_what_a_browser_would_run_is_only_saved(place: Place, name: str, type: str) -> None:
    path = place.slot(name, type=type)
    assert place.put(path, content_type=type).code == 201
    got = ask(place.site, path)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith("attachment; ")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]


def test_odd_names(place: Place) -> None:
    path = place.slot('tr\u00e8s "cool" \U0001f600.txt', type="text/plain")
    assert place.put(path, content_type="text/plain; charset=utf-8").code == 201
    got = ask(place.site, path)
    assert got.code == 200 and got.headers["content-type"] == "text/plain; charset=utf-8"
    assert got.headers["content-disposition"].endswith(
        "filename*=UTF-8''tr%C3%A8s%20%22cool%22%20%F0%9F%98%80.txt")
    assert ask(place.site, f"{UPLOADS_PATH}/{'a' * 32}/another.txt").code == 404, "a link shows the name it opens"


@pytest.mark.parametrize(("change", "code"), [
    ({"secret": "wrong"}, 403), ({"authorization": ""}, 403), ({"authorization": "Basic s3cret"}, 403),
    ({"body": PICTURE + b"x"}, 413), ({"body": PICTURE[:-1]}, 400), ({"content_type": "image/jpeg"}, 415),
    ({"content_type": "nonsense"}, 400),
])
def test_a_put_must_be_what_the_slot_is_for(place: Place, change: dict, code: int) -> None:
    path = place.slot()
    answer = place.put(path, **{"body": PICTURE, **change})
    assert answer.code == code and answer.headers["connection"] == "close"
    assert place.there() == [] and SECRET not in answer.body.decode()
    assert place.put(path).code == 201, "the slot is still good"


def test_an_expired_slot(place: Place) -> None:
    assert place.put(place.slot(slot_ms=int(NOW * 1000))).code == 410
    assert place.there() == []


def test_a_put_without_a_length(place: Place) -> None:
    path = place.slot()
    connection = Connection(place.site)
    connection.send(f"PUT {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {SECRET}\r\n"
                    "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())
    assert connection.answer().code == 411 and connection.transport.disconnecting


@pytest.mark.parametrize("path", [
    "/upload/../../etc/passwd", "/upload/%2e%2e/x", "/upload/..%2f..%2fetc/passwd", "/upload/" + "a" * 32,
    "/upload/" + "a" * 32 + "/", "/upload//a.png", "/upload/" + "a" * 32 + "/a.png/x",
    "/upload/" + "a" * 31 + "%00/a.png",
    "/upload/" + "A" * 32 + "/a.png", "//upload/" + "a" * 32 + "/a.png", "/upload/" + "a" * 32 + "/%61.png%2f",
    "/upload/" + "a" * 32 + ".part/a.png", "/upload/" + "\xe9" * 32 + "/a.png", "/upload",
])
def test_paths_that_lead_nowhere(place: Place, path: str) -> None:
    place.put(place.slot())
    for method in ("GET", "PUT"):
        headers = {"authorization": f"Bearer {SECRET}"}
        answer = ask(place.site, path, method, body=b"x" * 10 if method == "PUT" else b"", **headers)
        assert answer.code in (400, 403, 404, 405), (method, answer)
    assert place.there() == ["a" * 32]


def test_a_put_written_oddly_is_refused_and_not_kept_in_memory(place: Place) -> None:
    path = place.slot().replace("/upload", "/%75pload")
    assert place.put(path).code == 400 and place.there() == []


def test_parts(place: Place) -> None:
    path = place.slot("a.mp4", 300_000, "video/mp4")
    video = os.urandom(300_000)
    assert place.put(path, video, content_type="video/mp4").code == 201
    got = ask(place.site, path, range="bytes=1000-1999")
    assert (got.code, got.body) == (206, video[1000:2000])
    assert got.headers["content-range"] == "bytes 1000-1999/300000"
    assert ask(place.site, path, range="bytes=-60000").body == video[-60_000:]
    none = ask(place.site, path, range="bytes=300000-")
    assert none.code == 416 and none.headers["content-range"] == "bytes */300000"
    for abuse in ("bytes=" + ",".join(f"{n}-{n}" for n in range(500)), "bytes=9-1", "bytes=--1", "x" * 4000):
        assert ask(place.site, path, "HEAD", range=abuse).headers["content-length"] == "300000", abuse
    tag = ask(place.site, path, "HEAD").headers["etag"]
    assert ask(place.site, path, if_none_match=tag).code == 304
    assert ask(place.site, path, range="bytes=0-9", if_range=tag).code == 206
    assert ask(place.site, path, "HEAD", range="bytes=0-9", if_range='"other"').code == 200


def test_a_file_that_has_expired(place: Place) -> None:
    path = place.slot(expires_ms=int(NOW * 1000) + 5000)
    place.put(path)
    assert int(ask(place.site, path).headers["cache-control"].split("max-age=")[1].split(",")[0]) <= 31_536_000
    place.shelf.rows["a" * 32] = attrs.evolve(place.shelf.rows["a" * 32], expires_ms=int(NOW * 1000))
    gone = ask(place.site, path, accept="text/html")
    assert gone.code == 404 and b"Ask whoever sent it" in gone.body


# -- other sites' pages
def test_pages_of_other_sites_may_read_and_only_allowed_ones_put(place: Place) -> None:
    path = place.slot()
    mine = ask(place.site, path, "OPTIONS", origin=HERE, access_control_request_method="PUT")
    assert mine.code == 204 and mine.headers["access-control-allow-origin"] == HERE
    assert "PUT" in mine.headers["access-control-allow-methods"]
    assert mine.headers["access-control-allow-headers"] == "Authorization, Content-Type"
    other = ask(place.site, path, "OPTIONS", origin="https://evil.example", access_control_request_method="PUT")
    assert other.headers["access-control-allow-origin"] == "*"
    assert "PUT" not in other.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in mine.headers
    refused = place.put(path, secret="wrong", origin=HERE)
    assert refused.headers["access-control-allow-origin"] == HERE, "the page must be able to tell why"
    answer = place.put(path, origin=HERE)
    assert answer.code == 201 and answer.headers["access-control-allow-origin"] == HERE
    assert ask(place.site, path, origin="https://evil.example").headers["access-control-allow-origin"] == "*"


# -- as it comes
def test_it_is_written_as_it_comes_and_nothing_is_read_meanwhile(place: Place) -> None:
    path = place.slot("a.mp4", 4 * MB, "video/mp4")
    place.jobs = []
    connection = place.begin(path, 4 * MB, **{"content-type": "video/mp4"})
    transport = connection.transport
    assert transport.producerState == "paused", "until the file is open"
    place.work()
    assert transport.producerState == "producing"
    for _ in range(4):
        connection.send(b"x" * (MB // 2))
        assert transport.producerState == "paused"
        place.work()
        assert transport.producerState == "producing"
        connection.send(b"x" * 1000)
        assert transport.producerState == "producing", "small pieces are gathered"
        connection.send(b"x" * (MB // 2 - 1000))
        assert transport.producerState == "paused"
        place.work()
    assert place.there() == ["a" * 32], "under its own name"
    assert connection.answer().code == 201
    assert (place.folder / ("a" * 32)).stat().st_size == 4 * MB


def test_what_comes_together_with_the_head_waits_for_the_slot(place: Place) -> None:
    path = place.slot()
    place.shelf.wait = wait = Deferred()
    connection = place.begin(path, len(PICTURE))
    connection.send(PICTURE)
    assert connection.transport.value() == b""
    wait.callback(None)
    assert connection.answer().code == 201
    assert (place.folder / ("a" * 32)).read_bytes() == PICTURE
    assert connection.ask("/healthz").code == 200, "the connection goes on"


def test_two_requests_behind_each_other(place: Place) -> None:
    first, second = place.slot(letter="a"), place.slot(letter="b")
    head = f"HTTP/1.1\r\nhost: a\r\ncontent-length: {len(PICTURE)}\r\nauthorization: Bearer {SECRET}\r\n\r\n"
    connection = Connection(place.site)
    connection.send(b"".join(f"PUT {path} {head}".encode() + PICTURE for path in (first, second)))
    assert connection.transport.value().count(b"HTTP/1.1 201 Created") == 2
    assert place.there() == ["a" * 32, "b" * 32]


def test_byte_by_byte(place: Place) -> None:
    path = place.slot(size=64)
    connection = place.begin(path, 64)
    for byte in PICTURE[:64]:
        connection.send(bytes([byte]))
    assert connection.answer().code == 201
    assert (place.folder / ("a" * 32)).read_bytes() == PICTURE[:64]


@pytest.mark.parametrize("before", [0, 100, len(PICTURE) - 1])
def test_a_cut_line_leaves_nothing_and_the_slot_is_good_again(place: Place, before: int) -> None:
    path = place.slot()
    connection = place.begin(path, len(PICTURE))
    connection.send(PICTURE[:before])
    assert place.there() == ["a" * 32 + ".part"]
    connection.channel.connectionLost()
    assert place.there() == [] and place.files.counts.stored == 0
    assert place.put(path).code == 201


def test_a_line_cut_while_the_disk_works(place: Place) -> None:
    path = place.slot()
    place.jobs = []
    connection = place.begin(path, len(PICTURE))
    connection.send(PICTURE)
    connection.channel.connectionLost()
    place.work()
    assert place.there() == [], "nobody would ever have heard of it"
    place.jobs = None
    assert place.put(path).code == 201


def test_a_line_cut_before_the_slot_is_known(place: Place) -> None:
    path = place.slot()
    place.shelf.wait = wait = Deferred()
    connection = place.begin(path, len(PICTURE))
    connection.channel.connectionLost()
    wait.callback(None)
    assert place.there() == [] and place.put(path).code == 201


def test_a_second_sender_of_the_same_slot_is_refused(place: Place) -> None:
    path = place.slot()
    connection = place.begin(path, len(PICTURE))
    connection.send(PICTURE[:100])
    assert place.put(path).code == 409
    connection.send(PICTURE[100:])
    assert connection.answer().code == 201
    assert (place.folder / ("a" * 32)).read_bytes() == PICTURE


def test_so_many_at_a_time(place: Place) -> None:
    paths = [place.slot(letter=letter) for letter in "abcdefg"[:AT_ONCE + 1]]
    connections = [place.begin(path, len(PICTURE)) for path in paths]
    assert connections[-1].answer().code == 429
    connections[0].channel.connectionLost()
    assert place.put(paths[-1]).code == 201


def test_nothing_for_a_while(place: Place) -> None:
    connection = place.begin(place.slot(), len(PICTURE))
    connection.send(PICTURE[:10])
    place.clock.advance(STALL_S - 1)
    assert not connection.transport.disconnecting
    connection.send(PICTURE[10:20])
    place.clock.advance(STALL_S - 1)
    assert not connection.transport.disconnecting, "it goes on"
    place.clock.advance(2)
    assert connection.transport.disconnecting


def test_next_to_nothing_for_long(place: Place) -> None:
    """A byte every second keeps the line busy for a minute, not for ever."""
    connection = place.begin(place.slot(), len(PICTURE))
    seconds = 0
    while not connection.transport.disconnecting:
        connection.send(b"x")
        place.clock.advance(1)
        seconds += 1
        assert seconds < GRACE_S + 60
    assert seconds > GRACE_S


def test_refused_at_the_head_without_the_body(place: Place) -> None:
    path = place.slot("a.mp4", 40 * MB, "video/mp4")
    connection = place.begin(path, 41 * MB)
    answer = connection.answer()
    assert answer.code == 413 and connection.transport.disconnecting
    connection.send(b"x" * MB)
    assert connection.transport.value() == b"" and place.there() == []


def test_a_full_disk(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place.slot("a.mp4", 2 * MB, "video/mp4")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        answer = place.put(path, b"x" * 2 * MB, content_type="video/mp4")
    assert answer.code == 507 and place.there() == []
    assert place.put(path, b"x" * 2 * MB, content_type="video/mp4").code == 201


@pytest.mark.parametrize("at", ["open", "write", "sync"])
def test_a_full_disk_while_more_comes(place: Place, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """The disk works in a thread of its own: whoever still sends is answered once, and is read from to the end, also
    while what came of his file is tidied up; then the same slot is good again."""
    path = place.slot("a.mp4", 2 * MB, "video/mp4")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    place.jobs = []
    half = 2 * MB if at == "sync" else MB
    with monkeypatch.context() as patched:
        if at == "write":
            patched.setattr(IncomingFile, "_write_pieces", full)
        else:
            patched.setattr(os, {"open": "open", "sync": "fsync"}[at], full)
        connection = place.begin(path, 2 * MB)
        connection.send(b"x" * half)
        assert connection.transport.value() == b"", "nobody knows yet"
        while connection.transport.value() == b"":
            done, job, arguments = place.jobs.pop(0)
            execute(job, *arguments).chainDeferred(done)
    assert connection.transport.producerState == "producing"
    assert connection.answer().code == 507
    if half < 2 * MB:
        connection.send(b"x" * (2 * MB - half))
    place.work()
    assert connection.transport.producerState == "producing"
    assert connection.transport.value() == b"" and place.there() == []
    place.jobs = None
    assert place.put(path, b"x" * 2 * MB, content_type="video/mp4").code == 201


def test_a_folder_that_has_gone(place: Place) -> None:
    path = place.slot()
    place.folder.rmdir()
    assert place.put(path).code == 507


def test_a_store_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place.slot()
    with monkeypatch.context() as patched:
        patched.setattr(place.shelf, "get", lambda token: fail(RuntimeError("away")))
        assert place.put(path).code == 500 and ask(place.site, path).code == 500
    with monkeypatch.context() as patched:
        patched.setattr(place.shelf, "keep", lambda *_: fail(RuntimeError("away")))
        assert place.put(path).code == 507 and place.there() == []
    assert place.put(path).code == 201


def test_a_slot_taken_back_meanwhile(place: Place) -> None:
    path = place.slot()
    connection = place.begin(path, len(PICTURE))
    del place.shelf.rows["a" * 32]
    connection.send(PICTURE)
    assert connection.answer().code == 410 and place.there() == []


def test_forbidden_kinds(tmp_path: Path, folder: Path) -> None:
    place = Place(tmp_path, folder, forbidden=("video/*", ".exe"))
    assert place.put(place.slot("a", type=""), content_type="video/mp4").code == 415
    assert place.put(place.slot("a", type=""), content_type="image/png").code == 201


def test_addresses_are_not_logged(place: Place) -> None:
    shown = place.site.shown_path(place.slot().encode())
    assert shown == "/upload/..." and place.site.shown_path(b"/healthz") == "/healthz"


LINES = st.sampled_from([
    b"PUT /upload/" + b"a" * 32 + b"/a.png HTTP/1.1\r\n", b"GET /upload/" + b"a" * 32 + b"/a.png HTTP/1.1\r\n",
    b"HEAD /upload/" + b"a" * 32 + b"/a.png HTTP/1.0\r\n", b"OPTIONS /upload/x/y HTTP/1.1\r\n",
    b"PUT /upload/ HTTP/1.1\r\n",
    b"Host: a\r\n", b"Authorization: Bearer s3cret\r\n", b"Authorization: \xff\r\n", b"Content-Length: 64\r\n",
    b"Accept: \xff\r\n", b"Origin: \xff\r\n", b"If-Range: \xff\r\n", b"Content-Type: \xff\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: -1\r\n", b"Content-Length: 63\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Content-Type: image/png\r\n", b"Content-Type:\r\n", b"Expect: 100-continue\r\n", b"Range: bytes=3-5\r\n",
    b"Range: bytes=-\xb2\r\n", b"Origin: https://chat.example.org\r\n", b"Connection: close\r\n", b"\r\n", PICTURE[:64],
    PICTURE[:32], b"40\r\n", b"0\r\n\r\n", b"\0" * 20])
GOOD = [b"PUT /upload/" + b"a" * 32 + b"/a.png HTTP/1.1\r\n", b"Host: a\r\n", b"Authorization: Bearer s3cret\r\n",
        b"Content-Length: 64\r\n", b"\r\n", PICTURE[:64]]


@given(st.lists(st.one_of(LINES, st.binary(max_size=30)), max_size=10), st.integers(0, 10_000), st.integers(1, 200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_it_is_there_whole_or_not_at_all(folder: Path, odd: list[bytes], at: int, step: int) -> None:
    """Any bytes, in any pieces, amid a good request: each answer is one, none fails by a mistake of ours, and what lies
    in the folder at the end is the whole file of the slot, or nothing."""
    with TemporaryDirectory() as root:
        place = Place(Path(root), folder)
        place.slot(size=64)
        at %= len(GOOD) + 1
        data = b"".join([*GOOD[:at], *odd, *GOOD[at:]])
        connection = Connection(place.site)
        for start in range(0, len(data), step):
            if not connection.transport.disconnecting:
                connection.send(data[start:start + step])
        said = connection.transport.value()
        assert said == b"" or said.startswith(b"HTTP/1.")
        assert b"HTTP/1.1 500" not in said
        connection.channel.connectionLost()
        assert place.there() in ([], ["a" * 32])
        if place.there():
            assert (place.folder / ("a" * 32)).stat().st_size == 64 and b"HTTP/1.1 201" in said
