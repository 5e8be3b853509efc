"""profanity, an XMPP client for terminals built on another library than our tests (libstrophe): log-in over 5222 with
STARTTLS, and a chat both ways with slixmpp.

It runs in a pseudo-terminal, in a home of its own, and is driven by what a person would type and see.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon import DOMAIN, OTHER, PASSWORD, Daemon, running
from tests.dovecot import mail_server
from tests.integration.guests import Guest
from tests.integration.slix import Client, befriend
from tests.interop.files import fetched, keeping_files, picture, sees_avatar
from tests.interop.terminal import Terminal

PROFANITY = shutil.which("profanity") or "/usr/bin/profanity"
PAT, SAM = f"pat@{DOMAIN}", f"sam@{DOMAIN}"
@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, two people."""
    with running(Path(tmp_path_factory.mktemp("chatd")), PAT, SAM) as daemon:
        yield daemon


@contextmanager
def profanity(daemon: Daemon, tmp_path: Path, address: str, password: str) -> Iterator[Terminal]:
    """profanity with an account, not yet connected."""
    config, data = tmp_path / ".config/profanity", tmp_path / ".local/share/profanity"
    for folder in (config, data):
        folder.mkdir(parents=True)
    (config / "profrc").write_text("[ui]\nsplash=false\nbeep=false\n[notifications]\nmessage=false\n")
    (data / "accounts").write_text(
        f"[{address}]\nenabled=true\njid={address}\nserver=127.0.0.1\nport={daemon.ports['c2s']}\npassword={password}\n"
        "resource=terminal\ntls.policy=trust\nauth.policy=default\npresence.login=online\n")
    terminal = Terminal([PROFANITY, "--log=DEBUG"], tmp_path)
    try:
        yield terminal
    finally:
        terminal.end()


def shows_history(terminal: Terminal, whom: str, first: str, *more: str) -> None:
    """A chat that is opened now shows what was said before, in this order. profanity asks for the history of windows
    that it opens itself, not of those of news, and only once it knows what the server can."""
    for _ in range(12):
        terminal.type("/close all")
        terminal.type(f"/msg {whom}")
        try:
            terminal.see(first, 5)
        except AssertionError:
            continue
        break
    else:
        raise AssertionError(f"no history with {whom}: {first!r} is not shown")
    for said in more:
        terminal.see(said)


@pytest.fixture
def terminal(daemon: Daemon, tmp_path: Path) -> Iterator[Terminal]:
    """One with an account of ours."""
    with profanity(daemon, tmp_path, PAT, PASSWORD) as terminal:
        yield terminal


def test_log_in_with_the_mail_password(tmp_path: Path) -> None:
    """The mail server knows the password; there is no account before."""
    ann = f"ann@{OTHER}"
    home, folder = tmp_path / "home", tmp_path / "chatd"
    home.mkdir()
    folder.mkdir()
    with mail_server({ann: "pw-ann"}) as mail:
        extra = f'[[domain.auth]]\nkind = "imap"\nurl = "imaps://localhost:{mail.imaps}"\nca = "{mail.certificate}"\n'
        with running(folder, extra=extra) as daemon, profanity(daemon, home, ann, "pw-ann") as terminal:
            terminal.type(f"/connect {ann}")
            terminal.see("logged in successfully")
            assert daemon.ctl("user", "list", OTHER)["result"][0]["jid"] == ann
            terminal.type("/quit")
            terminal.process.wait(20)


def test_chat(daemon: Daemon, terminal: Terminal) -> None:
    """Log-in, presence, a message each way, and the end."""

    async def run() -> None:
        loop = asyncio.get_running_loop()

        async def see(pattern: str) -> str:
            return await loop.run_in_executor(None, terminal.see, pattern)

        async with Client(daemon, SAM) as sam:
            terminal.type(f"/connect {PAT}")
            await see("logged in successfully")
            sam.send_presence_subscription(pto=PAT, ptype="subscribe")
            await see(f"authorization request from {SAM}")
            terminal.type(f"/sub allow {SAM}")
            await sam.presence_of(f"{PAT}/terminal")
            terminal.type(f"/sub request {SAM}")
            await sam.presence_of(PAT, "subscribe")
            sam.send_presence_subscription(pto=PAT, ptype="subscribed")
            terminal.type(f"/msg {SAM} hello-from-a-terminal")
            got = await sam.text("hello-from-a-terminal")
            assert got["from"].full == f"{PAT}/terminal"
            sam.send_message(mto=got["from"], mbody="hello-from-slixmpp", mtype="chat")
            await see("hello-from-slixmpp")
            terminal.type("/quit")
            await sam.presence_of(f"{PAT}/terminal", "unavailable")

    asyncio.run(asyncio.wait_for(run(), 120))
    assert terminal.process.wait(20) == 0


def test_history(daemon: Daemon, terminal: Terminal) -> None:
    """What was said in another client before is there, both sides of it in their order."""

    async def talk() -> None:
        async with Client(daemon, PAT) as pat, Client(daemon, SAM) as sam:
            pat.send_message(mto=SAM, mbody="said-by-pat", mtype="chat")
            await sam.text("said-by-pat")
            sam.send_message(mto=PAT, mbody="said-by-sam", mtype="chat")
            await pat.text("said-by-sam")

    asyncio.run(asyncio.wait_for(talk(), 120))
    terminal.type("/mam on")
    terminal.see("Message Archive Management enabled")
    terminal.type(f"/connect {PAT}")
    terminal.see("logged in successfully")
    shows_history(terminal, SAM, "me: said-by-pat", f"{SAM}[^:]*: said-by-sam")
    terminal.type("/quit")
    assert terminal.process.wait(20) == 0


def test_file_picture_and_room(tmp_path: Path) -> None:
    """A file and a picture of its user arrive as they are on the disk; a room shows what was said, and is spoken in."""
    home = tmp_path / "home"
    home.mkdir()
    room = f"garden@conference.{DOMAIN}"

    async def run(terminal: Terminal) -> None:
        loop = asyncio.get_running_loop()

        async def see(pattern: str) -> str:
            return await loop.run_in_executor(None, terminal.see, pattern)

        async with Client(daemon, SAM) as sam, Guest(daemon, "kim") as kim:
            async with Client(daemon, PAT) as before:
                await befriend(before, sam)
            await kim.make(room, "kim")
            await kim.says(room, "said-before-you-came")
            terminal.type(f"/connect {PAT}")
            await see("logged in successfully")
            # It looks for the service of files by itself, before this is answered, and does not say so.
            terminal.type(f"/disco info upload.{DOMAIN}")
            await see("urn:xmpp:http:upload:0")
            terminal.type(f"/msg {SAM} here-it-comes")
            await sam.text("here-it-comes")
            tulips = picture(home / "tulips.png", 320, 200)
            terminal.type(f"/sendfile {home / 'tulips.png'}")
            link = await sam.message(lambda stanza: stanza["body"].endswith("/tulips.png"))
            assert await loop.run_in_executor(None, fetched, daemon, link["body"]) == tulips

            picture(home / "face.png", 96, 96)
            terminal.type(f"/avatar set {home / 'face.png'}")
            await sees_avatar(sam, PAT)

            terminal.type(f"/join {room} nick patty")
            await kim.presence(f"{room}/patty")
            await see("said-before-you-came")
            terminal.type("good-day-to-all")
            await kim.message_of(f"{room}/patty", lambda stanza: stanza["body"] == "good-day-to-all")
            kim.say(room, "and-to-you")
            await see("and-to-you")

    with keeping_files(tmp_path / "chatd", PAT, SAM, f"kim@{DOMAIN}") as daemon, profanity(
            daemon, home, PAT, PASSWORD) as terminal:
        asyncio.run(asyncio.wait_for(run(terminal), 120))
