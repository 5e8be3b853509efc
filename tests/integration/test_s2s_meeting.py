"""A meeting here and somebody of another domain: the link comes as a message, and she joins as a guest by it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.slix import Client
from tests.integration.visitors import API, Visitor, fetch, signed
from tests.raw import CLIENT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"


def come_by_link(here: Country, there: Any) -> None:
    """Romeo, of `here`, sends Juliet, of any server there is, the link of a meeting; she comes in by it."""
    body = {"account": ROMEO, "name": "Balcony"}
    status, _, made = fetch(here, "/api/v1/meetings", body, signed(body))
    assert status == 201, made

    async def tell() -> str:
        async with Client(here, ROMEO) as romeo, Client(there, JULIET) as juliet:
            romeo.send_message(mto=JULIET, mbody=f"Come to {made['link']}", mtype="chat")
            got = await juliet.message(lambda stanza: "Come to" in stanza["body"])
            return str(got["body"]).rpartition(" ")[2]

    link = asyncio.run(tell())
    status, _, info = fetch(here, f"/api/v1/meetings/{link.rpartition('/')[2]}")
    assert status == 200 and info["guest_domain"] == f"guest.{HERE}"
    with Visitor(here) as guest, Visitor(here) as other:
        assert guest.come(domain=f"guest.{HERE}").enter(info["room"], "Juliet") == ""
        assert other.come(domain=f"guest.{HERE}").enter(info["room"], "Nurse") == ""
        guest.send(f"<message to='{info['room']}' type='groupchat'><body>here I am</body></message>")
        while other.until("message").findtext(CLIENT + "body") != "here I am":
            pass
        # A guest reaches nobody of another domain.
        guest.send(f"<message to='{JULIET}' type='chat' id='out'><body>hello</body></message>")
        assert guest.until("message", type="error", id="out") is not None


def test_a_link_sent_abroad_lets_its_receiver_in(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Names() as dns, countries(
            Country(tmp_path / HERE, HERE, authority, dns, extra=API),
            Country(tmp_path / THERE, THERE, authority, dns)) as (here, there):
        come_by_link(here, there)
