"""Poezio, an XMPP client for terminals.  Debian's package: log-in with encryption required, chat, a file's link, a room
with what was said in it before, a message that came while it was away.  A newer one, because Debian's cannot: a file
that is sent, and a contact's picture."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, PASSWORD, ROOT, Daemon, running
from tests.integration.guests import Guest
from tests.integration.slix import Client, befriend
from tests.interop.files import fetched, keeping_files, picture
from tests.interop.screen import has_programs
from tests.interop.terminal import Terminal

pytestmark = pytest.mark.long

PAT, SAM = f"pat@{DOMAIN}", f"sam@{DOMAIN}"
ROOM = f"garden@conference.{DOMAIN}"


NEWER = ROOT / "build/poezio"      # `make test-long` puts it there


@contextmanager
def poezio(daemon: Daemon, home: Path, *program: str, more: str = "") -> Iterator[Terminal]:
    """Poezio with an account, logging in.  program: instead of Debian's; more: lines of its configuration."""
    config = home / ".config/poezio"
    config.mkdir(parents=True)
    (config / "poezio.cfg").write_text(
        f"[Poezio]\njid = {PAT}\npassword = {PASSWORD}\ncustom_host = 127.0.0.1\ncustom_port = {daemon.ports['c2s']}\n"
        f"ca_cert_path = {daemon.certificate}\nshow_useless_separator = false\nenable_smacks = true\n"
        f"request_message_receipts = false\n{more}")
    # What it fetches by https is believed by the daemon's own certificate.
    command = ["env", f"SSL_CERT_FILE={daemon.certificate}", *(program or ["/usr/bin/poezio"])]
    if os.geteuid() == 0:
        # It does not run as root; in a user namespace of its own it is somebody else, with the same files.
        command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]
    terminal = Terminal(command, home, "xterm-256color")
    try:
        yield terminal
    finally:
        terminal.end()


@pytest.mark.skipif(not has_programs("poezio"), reason="tests/debian-packages-long")
def test_two_visits(tmp_path: Path) -> None:
    """A day, and the message that came in the night."""

    async def visits() -> None:
        loop = asyncio.get_running_loop()

        async def see(terminal: Terminal, *patterns: str) -> None:
            for pattern in patterns:
                await loop.run_in_executor(None, terminal.see, pattern)

        async def enter(terminal: Terminal, line: str) -> None:
            await loop.run_in_executor(None, terminal.enter, line)

        async with Client(daemon, SAM) as sam, Guest(daemon, "kim") as kim:
            async with Client(daemon, PAT) as before:
                await befriend(before, sam)
            await kim.make(ROOM, "kim")
            await kim.says(ROOM, "room-before-anybody-came")
            with poezio(daemon, tmp_path / "first") as terminal:
                await see(terminal, "Authentication success", "Your JID is", SAM)
                await enter(terminal, f"/message {SAM} poezio-says-hello")
                got = await sam.text("poezio-says-hello")
                sam.send_message(mto=got["from"], mbody="slixmpp-answers-hello", mtype="chat")
                await see(terminal, "slixmpp-answers-hello")
                link: Any = sam.make_message(mto=got["from"], mbody="https://files.example/tulips.png", mtype="chat")
                link.xml.append(_oob("https://files.example/tulips.png"))
                link.send()
                await see(terminal, "https://files.example/tulips.png")
                await enter(terminal, f"/join {ROOM}/patty")
                await kim.presence(f"{ROOM}/patty")
                await see(terminal, "room-before-anybody-came")
                await enter(terminal, "poezio-greets-the-room")
                await kim.hear("poezio-greets-the-room")
                kim.say(ROOM, "the-room-greets-back")
                await see(terminal, "the-room-greets-back")
                await enter(terminal, "/quit")
                await kim.presence(f"{ROOM}/patty", "unavailable")
            sam.send_message(mto=PAT, mbody="sent-while-nobody-was-there", mtype="chat")
            # Poezio shows what opens a conversation as the archive has it, which it asks up to the last whole second.
            await asyncio.sleep(1)
            with poezio(daemon, tmp_path / "second") as terminal:
                await see(terminal, "1[.]sam")
                await enter(terminal, "/win 1")
                await see(terminal, "sent-while-nobody-was-there")

    with running(tmp_path / "chatd", PAT, SAM, f"kim@{DOMAIN}") as daemon:
        asyncio.run(asyncio.wait_for(visits(), 300))


@pytest.mark.skipif(not NEWER.exists(), reason="make test-long")
def test_a_file_and_a_picture(tmp_path: Path) -> None:
    """A file arrives as it is on the disk; the picture of a contact as it was published."""
    home = tmp_path / "home"

    async def visit() -> None:
        loop = asyncio.get_running_loop()

        async def see(pattern: str) -> None:
            await loop.run_in_executor(None, terminal.see, pattern)

        async def enter(line: str) -> None:
            await loop.run_in_executor(None, terminal.enter, line)

        async with Client(daemon, SAM) as sam:
            async with Client(daemon, PAT) as before:
                await befriend(before, sam)
            face = picture(tmp_path / "face.png", 96, 96)
            await publish_face(sam, face)
            for pattern in ("Authentication success", "Your JID is", SAM):
                await see(pattern)
            await enter(f"/message {SAM} here-it-comes")
            await sam.text("here-it-comes")
            tulips = picture(tmp_path / "tulips.png", 320, 200)
            await enter(f"/upload {tmp_path / 'tulips.png'}")
            link = await sam.message(lambda stanza: stanza["body"].endswith("/tulips.png"))
            assert await loop.run_in_executor(None, fetched, daemon, link["body"]) == tulips
            await kept(home / ".cache/poezio/avatars", face)

    with keeping_files(tmp_path / "chatd", PAT, SAM) as daemon, poezio(
            daemon, home, f"PYTHONPATH={NEWER}", sys.executable, "-m", "poezio",
            more="plugins_autoload = upload\n") as terminal:
        asyncio.run(asyncio.wait_for(visit(), 120))


async def publish_face(client: Client, face: bytes) -> None:
    """As clients do it (XEP-0084)."""
    id_ = hashlib.sha1(face).hexdigest()
    for node, item in (
            (ns.AVATAR_DATA, f"<data xmlns='{ns.AVATAR_DATA}'>{b64encode(face).decode()}</data>"),
            (ns.AVATAR_METADATA, f"<metadata xmlns='{ns.AVATAR_METADATA}'>"
                                 f"<info id='{id_}' bytes='{len(face)}' type='image/png'/></metadata>")):
        await client.ask("set", f"<pubsub xmlns='{ns.PUBSUB}'><publish node='{node}'><item id='{id_}'>{item}</item>"
                                "</publish></pubsub>")


async def kept(folder: Path, content: bytes) -> None:
    """Waits until a file of this content is there."""
    async with asyncio.timeout(60):
        while not any(file.is_file() and file.read_bytes() == content for file in folder.rglob("*")):
            await asyncio.sleep(0.1)


def _oob(url: str) -> Any:
    from slixmpp.xmlstream import ET

    return ET.fromstring(f"<x xmlns='jabber:x:oob'><url>{url}</url></x>")
