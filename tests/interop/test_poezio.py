"""Poezio, Debian's package, an XMPP client for terminals: log-in with encryption required, chat, a file's link, a
room with what was said in it before, a message that came while it was away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.integration.guests import Guest
from tests.integration.slix import Client, befriend
from tests.interop.screen import has_programs
from tests.interop.terminal import Terminal

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not has_programs("poezio"), reason="tests/debian-packages-long"),
]

PAT, SAM = f"pat@{DOMAIN}", f"sam@{DOMAIN}"
ROOM = f"garden@conference.{DOMAIN}"


@contextmanager
def poezio(daemon: Daemon, home: Path) -> Iterator[Terminal]:
    """Poezio with an account, logging in."""
    config = home / ".config/poezio"
    config.mkdir(parents=True)
    (config / "poezio.cfg").write_text(
        f"[Poezio]\njid = {PAT}\npassword = {PASSWORD}\ncustom_host = 127.0.0.1\ncustom_port = {daemon.ports['c2s']}\n"
        f"ca_cert_path = {daemon.certificate}\nshow_useless_separator = false\nenable_smacks = true\n"
        "request_message_receipts = false\n")
    command = ["poezio"]
    if os.geteuid() == 0:
        # It does not run as root; in a user namespace of its own it is somebody else, with the same files.
        command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]
    terminal = Terminal(command, home, "xterm-256color")
    try:
        yield terminal
    finally:
        terminal.end()


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
            with poezio(daemon, tmp_path / "second") as terminal:
                await see(terminal, "1[.]sam")
                await enter(terminal, "/win 1")
                await see(terminal, "sent-while-nobody-was-there")

    with running(tmp_path / "chatd", PAT, SAM, f"kim@{DOMAIN}") as daemon:
        asyncio.run(asyncio.wait_for(visits(), 300))


def _oob(url: str) -> Any:
    from slixmpp.xmlstream import ET

    return ET.fromstring(f"<x xmlns='jabber:x:oob'><url>{url}</url></x>")
