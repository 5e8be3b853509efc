"""docs/webmail.md followed to the letter, as for a Webmail of one's own: its configuration, its PHP, its HTML."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.harness import Browser
from tests.daemon import DOMAIN, ROOT, Daemon, free_ports, running

DOCUMENT = (ROOT / "docs" / "webmail.md").read_text()
OWN = {"log-in.php": "<?php session_start(); $_SESSION['address'] = $_GET['who']; header('Location: /mail.php');",
       "mail.php": "<!doctype html><html lang=en><title>Inbox</title><body><h1>Inbox</h1>{line}</body></html>"}
"""What a Webmail has besides."""


def blocks(language: str) -> list[str]:
    """The document's code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Daemon]]:
    """The address of Webmail, and chatd, both set up by the document."""
    folder = tmp_path_factory.mktemp("webmail")
    key = folder / "key"
    [command] = [line for line in blocks("sh")[0].splitlines() if "openssl" in line]
    subprocess.run(command.replace("/etc/chatd/webmail-key", str(key)), shell=True, check=True)
    [port] = free_ports(1)
    origin = f"http://127.0.0.1:{port}"
    table = blocks("toml")[0].replace("/etc/chatd/webmail-key", str(key)) \
        .replace("https://webmail.example.org", origin).replace('"example.org"', f'"{DOMAIN}"')
    with running(tmp_path_factory.mktemp("chatd"), extra=table) as daemon:
        with serving(folder, key, daemon, port):
            yield origin, daemon


class serving:
    """PHP's own server, with the document's files and two of a Webmail."""

    def __init__(self, folder: Path, key: Path, daemon: Daemon, port: int) -> None:
        served = folder / "served"
        served.mkdir()
        [line] = [block for block in blocks("html") if "data-token-url" in block]
        line = line.replace('"/chat-token"', '"/chat-token.php"') \
            .replace("https://chat.example.org", f"https://localhost:{daemon.ports['https']}")
        files = {match[1]: block for block in blocks("php") if (match := re.match(r"<\?php\n// ([\w.-]+):", block))}
        assert set(files) == {"chatd.php", "chat-token.php", "log-out.php"}
        for name, text in {**files, **OWN}.items():
            (served / name).write_text(text.replace("/etc/webmail/chatd-key", str(key)).replace("{line}", line)
                                       .replace("127.0.0.1:5280", f"127.0.0.1:{daemon.ports['http']}"))
        php = shutil.which("php")
        assert php, "php is missing: apt-get install php-cli (tests/debian-packages)"
        self._process = subprocess.Popen([php, "-S", f"127.0.0.1:{port}", "-t", str(served)], cwd=folder,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._port = port

    def __enter__(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 2):
                return
            time.sleep(0.05)
        raise AssertionError("PHP's server does not answer")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest_twisted.ensureDeferred
async def test_the_document_is_all_it_takes(browser: Browser, place: tuple[str, Daemon]) -> None:
    origin, daemon = place
    page = await browser.page(f"{origin}/mail.php", https=True)
    await page.until("window.chatd?.state === 'ended'", 30)
    assert await page.count("iframe") == 0, "nobody is logged in"
    await page.goto(f"{origin}/log-in.php?who=hugo@{DOMAIN}")
    await page.until("window.chatd?.state === 'connected'", 60)
    await page.inside("iframe").see("#launcher", 30)
    assert len((await deferToThread(daemon.ctl, "token", "list", f"hugo@{DOMAIN}"))["result"]) == 1
    other = await page.tab(f"{origin}/log-out.php")
    await page.until("['ended', 'signed-out'].includes(chatd.state) && !document.querySelector('iframe')", 60)
    assert (await deferToThread(daemon.ctl, "token", "list", f"hugo@{DOMAIN}"))["result"] == []
    await other.close()
    await page.close()
