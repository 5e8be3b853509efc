"""A meeting's owner with a plain XMPP client (slixmpp's own XEP-0045): what it does counts for those on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slixmpp.stanza import Message
from slixmpp.xmlstream import ET

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, running
from tests.integration.slix import PATIENCE_S, PLUGINS, Client
from tests.integration.visitors import Visitor, codes, host, make
from tests.raw import CLIENT

JOHN = f"john@{DOMAIN}"
MUC_PLUGINS = (*PLUGINS, "xep_0004", "xep_0045")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of this file."""
    with running(Path(tmp_path_factory.mktemp("chatd")), JOHN) as made:
        yield made


async def configure(client: Client, room: str, **values: Any) -> None:
    """The owner's form, filled in."""
    muc = client.plugin["xep_0045"]
    form = await muc.get_room_config(room)
    form["type"] = "submit"
    form.set_values({f"muc#roomconfig_{name}": value for name, value in values.items()})
    await muc.set_room_config(room, form)


def keep_form(stanza: Any, forms: asyncio.Queue[dict[str, str]]) -> Any:
    """Keeps the values of a form that comes in a message."""
    fields = list(stanza.xml.iterfind(f"{{{ns.DATA}}}x/{{{ns.DATA}}}field")) if isinstance(stanza, Message) else []
    if fields:
        forms.put_nowait({one.get("var", ""): one.findtext(f"{{{ns.DATA}}}value") or "" for one in fields})
    return stanza


def test_lobby_by_the_standard_alone(daemon: Daemon) -> None:
    """Members-only by the form, the request of 9.9, its answer, a kick: the guest's page sees each as it should."""
    with host(daemon) as john:
        room = make(john)

    async def run() -> None:
        async with Client(daemon, JOHN, plugins=MUC_PLUGINS) as owner:
            muc = owner.plugin["xep_0045"]
            forms: asyncio.Queue[dict[str, str]] = asyncio.Queue()
            owner.add_filter("in", lambda stanza: keep_form(stanza, forms))
            await muc.join_muc_wait(room, "John", timeout=PATIENCE_S)
            await configure(owner, room, membersonly=True)
            ada = await asyncio.to_thread(lambda: Visitor(daemon).come())
            assert await asyncio.to_thread(ada.enter, room, "Ada") == "registration-required"
            assert await asyncio.to_thread(ada.knock, room, "Ada") == ""
            form = await asyncio.wait_for(forms.get(), PATIENCE_S)
            assert form["muc#register_roomnick"] == "Ada" and form["muc#jid"] == ada.jid.partition("/")[0]
            answer = owner.make_message(mto=room, mtype="normal")
            x = ET.SubElement(answer.xml, f"{{{ns.DATA}}}x", type="submit")
            for var, value in (form | {"muc#register_allow": "1"}).items():
                field = ET.SubElement(x, f"{{{ns.DATA}}}field", var=var)
                ET.SubElement(field, f"{{{ns.DATA}}}value").text = value
            answer.send()
            await asyncio.to_thread(ada.until_told, "knock", outcome="admitted")
            assert await asyncio.to_thread(ada.enter, room, "Ada") == ""
            owner.send_message(mto=room, mbody="welcome", mtype="groupchat")
            while (await asyncio.to_thread(ada.until, "message")).findtext(CLIENT + "body") != "welcome":
                pass
            await muc.set_role(room, "Ada", "none", reason="enough")
            gone = await asyncio.to_thread(ada.until, "presence", type="unavailable")
            assert {110, 307} <= set(codes(gone))
            assert await asyncio.to_thread(ada.enter, room, "Ada") == "", "a kick lets come back"
            await muc.set_affiliation(room, "outcast", jid=ada.jid.partition("/")[0])
            gone = await asyncio.to_thread(ada.until, "presence", type="unavailable")
            assert {110, 301} <= set(codes(gone))
            assert await asyncio.to_thread(ada.enter, room, "Ada") == "forbidden"
            ada.close()

    asyncio.run(asyncio.wait_for(run(), 90))


def test_password_and_subject(daemon: Daemon) -> None:
    """Set by the form, and by a message: the page is told."""
    with host(daemon) as john:
        room = make(john)

    async def run() -> None:
        async with Client(daemon, JOHN, plugins=MUC_PLUGINS) as owner:
            await owner.plugin["xep_0045"].join_muc_wait(room, "John", timeout=PATIENCE_S)
            ada = await asyncio.to_thread(lambda: Visitor(daemon).come())
            assert await asyncio.to_thread(ada.enter, room, "Ada") == ""
            await configure(owner, room, passwordprotectedroom=True, roomsecret="swordfish", roomname="Renamed")
            told = await asyncio.to_thread(ada.until_told, "meeting", password="true")
            assert told.attrib["name"] == "Renamed"
            owner.plugin["xep_0045"].set_subject(room, "agenda")
            while (await asyncio.to_thread(ada.until, "message")).findtext(CLIENT + "subject") != "agenda":
                pass
            bea = await asyncio.to_thread(lambda: Visitor(daemon).come())
            assert await asyncio.to_thread(bea.enter, room, "Bea") == "not-authorized"
            assert await asyncio.to_thread(bea.enter, room, "Bea", "swordfish") == ""
            for one in (ada, bea):
                one.close()

    asyncio.run(asyncio.wait_for(run(), 60))
