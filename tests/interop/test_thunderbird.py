"""Thunderbird, Debian's package, set up as its users set it up: XMPP, user name and domain apart, a server by hand, its
port, "Require encryption"."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import DOMAIN, running
from tests.integration.guests import Guest
from tests.integration.slix import Client
from tests.interop.screen import has_programs
from tests.interop.thunderbird import thunderbird

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not has_programs("thunderbird", "Xvfb"), reason="tests/debian-packages-long"),
]

PAT, SAM, KIM = (f"{name}@{DOMAIN}" for name in ("pat", "sam", "kim"))
#: With such blanks Thunderbird tells in its first message that it could encrypt by OTR, version 2; a server that trims
#: bodies breaks that.
OTR_OFFER = " \t  \t\t\t\t \t \t \t  " + "  \t\t  \t "
ROOM = f"garden@conference.{DOMAIN}"


def test_a_day_in_thunderbird(tmp_path: Path) -> None:
    """Log-in by the wizard, contacts, messages both ways to the letter, a contact added each way, a room."""

    async def day() -> None:
        loop = asyncio.get_running_loop()

        async def do(what: Any, *arguments: Any) -> Any:
            return await loop.run_in_executor(None, what, *arguments)

        async with Client(daemon, SAM) as sam, Guest(daemon, "kim") as kim:
            await do(client.open_chat)
            await do(client.add_account, "pat", DOMAIN, "localhost", daemon.ports["c2s"])
            await do(client.online)

            # A contact added in Thunderbird: asked for, granted, and seen to be online.
            await do(client.add_contact, SAM)
            await sam.presence_of(PAT, "subscribe")
            sam.send_presence_subscription(pto=PAT, ptype="subscribed")
            await do(client.contact, SAM)

            # Somebody asks for Thunderbird's user.
            kim.send_presence_subscription(pto=PAT, ptype="subscribe")
            await do(client.allow, KIM)
            await kim.presence_of(PAT, "subscribed")
            here = await kim.presence_of(PAT)

            # Messages, with the blanks and tabs at their ends and inside.
            await do(client.talk_to, SAM)
            await do(client.say, SAM, "hello from Thunderbird \t ")
            got = await sam.message(lambda stanza: "hello from Thunderbird" in stanza["body"])
            assert got["body"] == "hello from Thunderbird \t " + OTR_OFFER
            assert got["from"].full == here["from"].full
            text = "  two blanks, a tab\tinside, and at the end \t "
            sam.send_message(mto=PAT, mbody=text, mtype="chat")
            assert await do(client.shown, SAM, "two blanks") == text

            # A room, in which it sees others and speaks.
            await kim.make(ROOM, "kim")
            await do(client.join_room, "garden", f"conference.{DOMAIN}", "patty")
            await kim.presence(f"{ROOM}/patty")
            kim.say(ROOM, "welcome to the room")
            await do(client.shown, ROOM, "welcome to the room")
            await do(client.say, ROOM, "good day to all")
            await kim.message_of(f"{ROOM}/patty", lambda stanza: stanza["body"] == "good day to all")

    with running(tmp_path / "chatd", PAT, SAM, KIM) as daemon, thunderbird(daemon, tmp_path / "pat") as client:
        asyncio.run(asyncio.wait_for(day(), 300))
