"""Files of a running daemon where the disk takes no more, and where a sender goes on after a refusal, over TLS."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.daemon import DOMAIN, Daemon, running
from tests.integration.test_upload_live import client, http, put_of, slot

ANN = f"ann@{DOMAIN}"
EXTRA = "[modules.upload]\nfile_mb = 8\nquota_mb = 20\nkeep_free_mb = 0\n"
MB = 1024 * 1024
FULL_AT = 4 * MB
"""More than the database and the log of such a daemon ever have."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that takes larger files than a disk does that is full at FULL_AT."""
    with running(Path(tmp_path_factory.mktemp("disk")), ANN, extra=EXTRA) as made:
        yield made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 120))


def full(daemon: Daemon, at: int) -> None:
    """From now on the kernel refuses the daemon's process to write behind this place of any file, as a full disk does;
    -1: no more."""
    assert daemon.process is not None
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (at if at >= 0 else hard, hard))


def there(daemon: Daemon) -> list[tuple[str, int]]:
    """Names' ends and sizes of what lies in the folder of files."""
    return [(path.suffix, path.stat().st_size) for path in sorted((daemon.folder / "state" / "uploads").iterdir())]


def put(daemon: Daemon, url: str, body: bytes, length: int, authorization: str) -> bytes:
    """A PUT over TLS that looks for an answer while it sends; all that the server says until it hangs up."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = (f"PUT {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n"
            f"Authorization: {authorization}\r\nConnection: close\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", daemon.ports["https"]), 30) as plain, \
            context.wrap_socket(plain, server_hostname=parts.hostname) as line:
        said = b""
        line.settimeout(30)
        line.sendall(head)
        for at in range(0, len(body), 65_536):
            line.settimeout(0)
            with suppress(ssl.SSLWantReadError):        # what makes the socket readable may be TLS's own business
                said += line.recv(65_536)
            line.settimeout(30)
            try:
                if said:
                    break
                line.sendall(body[at:at + 65_536])
            except OSError:                 # the server has hung up; what it said before is still to be read
                break
        while data := line.recv(65_536):
            said += data
        return said


def test_a_disk_that_is_full(daemon: Daemon) -> None:
    """In the middle of a file the sender hears of it at once; nothing of the file is left, nor counted; once there is
    room again the very same slot takes it."""
    async def test() -> None:
        async with client(daemon, ANN) as ann:
            body = bytes(range(256)) * (6 * MB // 256)
            url, authorization = put_of(await slot(ann, "film.mp4", len(body), "video/mp4"))
            full(daemon, FULL_AT)
            try:
                said = await asyncio.to_thread(put, daemon, url, body, len(body), authorization)
                assert said.startswith(b"HTTP/1.1 507 "), said[:200]
                assert b"could not write the file" in said
                assert there(daemon) == []
                small, key = put_of(await slot(ann, "small.bin", 1000))
                said = await asyncio.to_thread(put, daemon, small, b"x" * 1000, 1000, key)
                assert said.startswith(b"HTTP/1.1 201 "), said[:200]
            finally:
                full(daemon, -1)
            said = await asyncio.to_thread(put, daemon, url, body, len(body), authorization)
            assert said.startswith(b"HTTP/1.1 201 "), said[:200]
            assert sorted(there(daemon), key=lambda file: file[1]) == [("", 1000), ("", len(body))]
            code, _, got = await asyncio.to_thread(http, daemon, url)
            assert (code, got) == (200, body)

    run(test())


@pytest.mark.parametrize("sent", [0, 300_000, 8 * MB])
def test_who_is_refused_hears_why_while_sending(daemon: Daemon, sent: int) -> None:
    """A length that is not the slot's, no slot at all, and the wrong key: told at the head, however much follows."""
    async def test() -> None:
        async with client(daemon, ANN) as ann:
            before = there(daemon)
            url, authorization = put_of(await slot(ann, "a.bin", 1000))
            nowhere = url.replace("/upload/", "/upload/x")
            for address, key, length, code in (
                    (url, authorization, 8 * MB, b"413"), (nowhere, authorization, 8 * MB, b"403"),
                    (url, "Bearer wrong", 1000 if sent == 0 else 8 * MB, b"403")):
                said = await asyncio.to_thread(put, daemon, address, bytes(sent), length, key)
                assert said.startswith(b"HTTP/1.1 " + code), (code, said[:200])
            assert there(daemon) == before
            said = await asyncio.to_thread(put, daemon, url, b"x" * 1000, 1000, authorization)
            assert said.startswith(b"HTTP/1.1 201 "), said[:200]

    run(test())
