"""Dino and Gajim, Debian's packages, in front of a screen: each finds the server by DNS, logs in, talks, sends a file
and a picture of its user, is in a room, and knows what was said before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import DOMAIN
from tests.integration.guests import Guest
from tests.integration.slix import Client, befriend
from tests.interop.desk import desk, missing, reachable
from tests.interop.dino import Dino
from tests.interop.files import fetched, picture, sees_avatar
from tests.interop.gajim import Gajim

pytestmark = pytest.mark.long

PAT, SAM, KIM = (f"{name}@{DOMAIN}" for name in ("pat", "sam", "kim"))
ROOM = f"garden@conference.{DOMAIN}"


@pytest.mark.parametrize("kind", [Dino, Gajim])
def test_a_day(kind: Any, tmp_path: Path) -> None:
    """Log-in, messages both ways, a file, an avatar, a room, a message while it was away, and the history where the
    same account logs in for the first time."""
    if why := missing(kind.program):
        pytest.skip(why)

    async def day() -> None:
        loop = asyncio.get_running_loop()

        async def do(what: Any, *arguments: Any) -> Any:
            return await loop.run_in_executor(None, what, *arguments)

        async with Client(daemon, SAM) as sam, Guest(daemon, "kim") as kim:
            async with Client(daemon, PAT) as before:
                await befriend(before, sam)
            await sam.presence_of(PAT, "unavailable")
            await kim.make(ROOM, "kim")
            await kim.says(ROOM, "said before you came")
            with desk(tmp_path / "one", names, daemon.certificate) as at:
                client = kind(at)
                await do(client.start)
                await do(client.add_account, PAT)
                here = await sam.presence_of(PAT)
                await do(client.talk_to, SAM)
                await do(client.say, "hello from a window")
                got = await sam.text("hello from a window")
                assert got["from"].full == here["from"].full
                sam.send_message(mto=PAT, mbody="and hello to the window", mtype="chat")
                await do(at.reads, "and hello to the window")

                tulips = picture(at.home / "tulips.png", 320, 200)
                await do(client.send, at.home / "tulips.png")
                link = await sam.message(lambda stanza: stanza["body"].endswith("/tulips.png"))
                assert await do(fetched, daemon, link["body"]) == tulips

                picture(at.home / "face.png", 96, 96)
                await do(client.avatar, at.home / "face.png")
                await sees_avatar(sam, PAT)

                await do(client.join, ROOM)
                await kim.presence(f"{ROOM}/{client.nick}")
                await do(at.reads, "said before you came")
                await do(client.say, "good day to all")
                await kim.message_of(f"{ROOM}/{client.nick}", lambda stanza: stanza["body"] == "good day to all")
                kim.say(ROOM, "and to you")
                await do(at.reads, "and to you")

                await do(client.end)
                await sam.presence_of(PAT, "unavailable")
                sam.send_message(mto=PAT, mbody="sent while nobody was there", mtype="chat")
                await do(client.start)
                await do(client.log_in)
                await sam.presence_of(PAT)
                await do(at.reads, "sent while nobody was there")
            with desk(tmp_path / "two", names, daemon.certificate) as at:
                client = kind(at)
                await do(client.start)
                await do(client.add_account, PAT)
                await sam.presence_of(PAT)
                await do(client.talk_to, SAM)
                # What was said first is above what is to be seen.
                await do(at.reads, "and hello to the window")
                await do(at.reads, "sent while nobody was there")

    with reachable(tmp_path / "chatd", PAT, SAM, KIM) as (daemon, names):
        asyncio.run(asyncio.wait_for(day(), 400))
