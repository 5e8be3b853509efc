"""Files of a running daemon (XEP-0363): sent by slixmpp and read by another; quotas, strangers, chatctl, crashes."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0363.http_upload import FileTooBig

from chatd.core import ns
from tests.daemon import DOMAIN, OTHER, Daemon, running
from tests.integration.slix import PLUGINS, Client

ANN, BEN, OUTSIDER, GONE = f"ann@{DOMAIN}", f"ben@{DOMAIN}", f"outsider@{OTHER}", f"gone@{DOMAIN}"
SERVICE = f"upload.{DOMAIN}"
EXTRA = """[modules.upload]
file_mb = 2
quota_mb = 4
files = 6
keep_free_mb = 1
forbidden = [".exe", "application/x-msdownload"]
"""
DATA = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(Path(tmp_path_factory.mktemp("upload")), ANN, BEN, OUTSIDER, GONE, extra=EXTRA) as made:
        yield made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def client(daemon: Daemon, address: str) -> Client:
    return Client(daemon, address, plugins=(*PLUGINS, "xep_0363"))


def eventually(found: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def slot(asker: Client, name: str = "a.bin", size: int = 1000, type: str = "", more: str = "") -> Any:
    typed = f' content-type="{type}"' if type else ""
    answer = await asker.ask("get", f'<request xmlns="{ns.UPLOAD}" filename="{name}" size="{size}"{typed}>{more}'
                                    "</request>", f"upload.{asker.boundjid.domain}")
    return answer.xml.find(f"{{{ns.UPLOAD}}}slot")


def put_of(found: Any) -> tuple[str, str]:
    put = found.find(f"{{{ns.UPLOAD}}}put")
    header = put.find(f"{{{ns.UPLOAD}}}header")
    assert header.attrib["name"] == "Authorization"
    return put.attrib["url"], header.text


def http(daemon: Daemon, url: str, method: str = "GET", body: bytes | None = None,
         **headers: str) -> tuple[int, dict[str, str], bytes]:
    """By the plain port, whatever the public address says."""
    here = urlsplit(url)._replace(scheme="http", netloc=f"127.0.0.1:{daemon.ports['http']}").geturl()
    request = urllib.request.Request(here, data=body, method=method,
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


async def send(daemon: Daemon, sender: Client, body: bytes, name: str = "a.bin") -> str:
    url, authorization = put_of(await slot(sender, name, len(body)))
    code, _, said = await asyncio.to_thread(http, daemon, url, "PUT", body, Authorization=authorization)
    assert code == 201, said
    return url


def test_slixmpp_finds_the_service_and_sends_a_file(daemon: Daemon) -> None:
    """All but the PUT, for which it would look the host's name up in a DNS that knows it."""
    async def test() -> None:
        async with client(daemon, ANN) as ann, client(daemon, BEN) as ben:
            plugin = ann.plugin["xep_0363"]
            info = await plugin.find_upload_service()
            assert info["from"] == SERVICE and ns.UPLOAD in info["disco_info"]["features"]
            assert ("store", "file", None, "Files") in info["disco_info"]["identities"]
            [form] = info["disco_info"].xml.findall(f"{{{ns.DATA}}}x")
            values = {field.attrib["var"]: field[0].text for field in form}
            assert values == {"FORM_TYPE": ns.UPLOAD, "max-file-size": str(2 << 20)}
            found = await plugin.request_slot(info["from"], "très cool.png", len(DATA), "image/png")
            url = found["http_upload_slot"]["put"]["url"]
            [(name, authorization)] = [(header["name"], header["value"])
                                       for header in found["http_upload_slot"]["put"]["headers"]]
            assert name == "Authorization" and found["http_upload_slot"]["get"]["url"] == url
            assert url.isascii() and unquote(url).endswith("/très cool.png")
            assert url.startswith(f"https://xmpp.example:{daemon.ports['https']}/upload/")
            code, headers, _ = await asyncio.to_thread(http, daemon, url, "PUT", DATA, Authorization=authorization,
                                                       Content_Type="image/png")
            assert code == 201
            ann.send_message(mto=ben.boundjid.full, mbody=url, mtype="chat")
            link = (await ben.text(url))["body"]
            code, headers, body = await asyncio.to_thread(http, daemon, link)
            assert (code, body, headers["Content-Type"]) == (200, DATA, "image/png")
            code, headers, body = await asyncio.to_thread(http, daemon, link, Range="bytes=100000-254999")
            assert (code, body) == (206, DATA[100_000:255_000])
            with pytest.raises(FileTooBig):
                await plugin.upload_file(Path("big"), size=3 << 20, input_file=BytesIO(), domain=slixmpp.JID(DOMAIN))

    run(test())
    [file] = list((daemon.folder / "state" / "uploads").iterdir())
    assert file.read_bytes() == DATA and (file.parent.stat().st_mode & 0o777) == 0o700
    log = daemon.log.read_text()
    assert file.name not in log and "Bearer" not in log


def test_refusals_say_why(daemon: Daemon) -> None:
    async def test() -> None:
        async with client(daemon, BEN) as ben, client(daemon, OUTSIDER) as outsider:
            for changed, condition, says in (
                ({"size": 3 << 20}, "not-acceptable", "This file is too large: at most 2 MB."),
                ({"size": 0}, "bad-request", "The file is empty"),
                ({"name": "setup.exe"}, "not-acceptable", "Files of this kind cannot be sent here."),
                ({"name": "a", "type": "application/x-msdownload"}, "not-acceptable", "of this kind"),
                ({"name": "a", "type": "nonsense"}, "bad-request", "content-type"),
                ({"more": f'<ephemeral xmlns="{ns.UPLOAD_PURPOSE}" expire-before="2001-01-01T00:00:00Z"/>'},
                 "not-acceptable", "expired"),
                ({"more": f'<ephemeral xmlns="{ns.UPLOAD_PURPOSE}" expire-before="soon"/>'}, "bad-request", "2010"),
            ):
                with pytest.raises(IqError) as refused:
                    await slot(ben, **changed)
                assert refused.value.condition == condition and says in refused.value.text, changed
                if changed == {"size": 3 << 20}:
                    error = refused.value.iq.xml.find(f"{{{ns.CLIENT}}}error")
                    most = error.find(f"{{{ns.UPLOAD}}}file-too-large/{{{ns.UPLOAD}}}max-file-size")
                    assert most.text == str(2 << 20)
            # Somebody of another domain of this server, who has a service of his own.
            with pytest.raises(IqError) as refused:
                await outsider.ask("get", f'<request xmlns="{ns.UPLOAD}" filename="a" size="1"/>', SERVICE)
            assert refused.value.condition == "forbidden" and DOMAIN in refused.value.text
            assert (await slot(outsider)) is not None
            for xml in (f'<request xmlns="{ns.UPLOAD}"/>', "<request xmlns='urn:other'/>"):
                with pytest.raises(IqError):
                    await ben.ask("get", xml, SERVICE)

    run(test())


def test_the_quota(daemon: Daemon) -> None:
    """Two files of two megabytes fill it; chatctl makes room again."""
    async def test() -> None:
        async with client(daemon, BEN) as ben:
            big = bytes(2 << 20)
            first = await send(daemon, ben, big)
            await send(daemon, ben, big[:-1000])
            with pytest.raises(IqError) as refused:
                await slot(ben, size=1001)
            assert refused.value.condition == "resource-constraint"
            assert "Your files take 4 MB of the 4 MB you have here" in refused.value.text
            assert "The oldest goes on" in refused.value.text
            usage = await asyncio.to_thread(daemon.ctl, "upload", "usage", BEN)
            assert usage["result"] == [{"jid": BEN, "files": 2, "bytes": (4 << 20) - 1000}]
            listed = (await asyncio.to_thread(daemon.ctl, "upload", "list", BEN))["result"]
            assert [row["name"] for row in listed] == ["a.bin", "a.bin"]
            assert 364 < (listed[0]["expires"] - time.time()) / 86400 < 366
            done = await asyncio.to_thread(daemon.ctl, "upload", "delete", first)
            assert done["result"] == {"files": 1, "bytes": 2 << 20}
            assert (await asyncio.to_thread(http, daemon, first))[0] == 404
            await send(daemon, ben, b"x" * 1001)

    run(test())


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.long)])
def test_very_many_slots(daemon: Daemon, count: int) -> None:
    """Whoever asks for many is told to wait; others are not held up by it."""
    async def test() -> None:
        async with client(daemon, ANN) as ann, client(daemon, OUTSIDER) as outsider:
            asked = [ann.ask("get", f'<request xmlns="{ns.UPLOAD}" filename="a" size="1"/>', SERVICE)
                     for _ in range(count)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            refused = [answer for answer in answers if isinstance(answer, IqError)]
            assert len(answers) - len(refused) <= 6, "the files of the quota"
            assert {error.condition for error in refused} == {"resource-constraint"}
            retry = [error.iq.xml.find(f".//{{{ns.UPLOAD}}}retry") for error in refused]
            assert any(one is not None and one.attrib["stamp"].endswith("Z") for one in retry)
            assert await slot(outsider) is not None

    run(test())


def test_files_go_with_their_account(daemon: Daemon) -> None:
    url = ""

    async def test() -> None:
        nonlocal url
        async with client(daemon, GONE) as gone:
            url = await send(daemon, gone, b"mine")

    run(test())
    token = urlsplit(url).path.split("/")[2]
    file = daemon.folder / "state" / "uploads" / token
    assert file.read_bytes() == b"mine"
    daemon.ctl("user", "delete", GONE, "--yes")
    eventually(lambda: not file.exists())
    assert http(daemon, url)[0] == 404


def test_status_metrics_and_check(daemon: Daemon) -> None:
    files = daemon.ctl("status")["result"]["uploads"]
    assert files["files"] >= 1 and files["bytes"] > 0
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.ports['metrics']}/metrics", timeout=20) as answer:
        said = answer.read().decode()
    assert f"chatd_upload_files {float(files['files'])}" in said
    assert "chatd_upload_stored_total" in said and "chatd_upload_refused_total" in said


@pytest.mark.long
def test_what_a_crash_leaves_is_cleared_away(tmp_path: Path) -> None:
    """A file half there when the daemon is killed goes at the next start, one that was there stays."""
    with running(tmp_path, ANN, extra="[modules.upload]\nkeep_free_mb = 1\n") as daemon:
        urls = []

        async def test() -> None:
            async with client(daemon, ANN) as ann:
                urls.append(await send(daemon, ann, DATA))
                url, authorization = put_of(await slot(ann, "b.bin", 900_000))
                head = (f"PUT {urlsplit(url).path} HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n"
                        f"Authorization: {authorization}\r\n\r\n")
                reader, writer = await asyncio.open_connection("127.0.0.1", daemon.ports["http"])
                writer.write(head.encode() + bytes(400_000))
                folder = daemon.folder / "state" / "uploads"
                await asyncio.to_thread(eventually, lambda: any(
                    path.name.endswith(".part") and path.stat().st_size for path in folder.iterdir()))
                await asyncio.to_thread(daemon.kill)
                writer.close()
                (folder / ("z" * 32)).write_bytes(b"nobody knows this one")

        run(test())
        daemon.start()
        folder = daemon.folder / "state" / "uploads"
        eventually(lambda: len(list(folder.iterdir())) == 1)
        assert http(daemon, urls[0])[2] == DATA
        eventually(lambda: json.dumps(daemon.ctl("status")["result"]["uploads"]) == json.dumps(
            {"files": 1, "bytes": len(DATA)}))
