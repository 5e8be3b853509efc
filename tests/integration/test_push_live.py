"""Push notifications (XEP-0357) of a running daemon, with an app server of the tests' own as a component (XEP-0114)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import slixmpp
from slixmpp.exceptions import IqError

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon, free_ports
from tests.integration.slix import Client

ANN, BEN = f"ann@{DOMAIN}", f"ben@{DOMAIN}"
APP, SECRET = "push.client.example", "a secret of some length"
FORM = f"<x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'><value>{ns.PUBSUB}#publish-options</value></field>" \
       "<field var='secret'><value>eruio234</value></field></x>"
PUBLISH = f"{{{ns.PUBSUB}}}pubsub/{{{ns.PUBSUB}}}publish"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    (port,) = free_ports(1)
    extra = (f'[[component]]\ndomain = "{APP}"\nsecret = "{SECRET}"\n'
             '[limits]\nresume_s = 5\n[modules.push]\ntells = "text"\npause_s = 1\nclients = 3\n')
    made = Daemon(Path(tmp_path_factory.mktemp("push")), extra)
    text = made.config.read_text().replace("[listen]\n", f'[listen]\ncomponent = ["127.0.0.1:{port}"]\n')
    made.config.write_text(text)
    made.ports["component"] = port
    made.start()
    try:
        made.add(ANN, BEN)
        yield made
    finally:
        made.stop()


class AppServer(slixmpp.ComponentXMPP):
    """Takes what is published; `refuses` is the condition it answers with instead."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(APP, SECRET, "127.0.0.1", daemon.ports["component"])
        self.published: asyncio.Queue[tuple[str, dict[str, str], Any]] = asyncio.Queue()
        self.refuses = ""
        self.register_handler(slixmpp.xmlstream.handler.Callback(
            "publish", slixmpp.xmlstream.matcher.MatchXPath(f"{{{ns.COMPONENT}}}iq/{{{ns.PUBSUB}}}pubsub"),
            self._take))

    def _take(self, iq: Any) -> None:
        assert iq["from"] == DOMAIN and iq["type"] == "set"
        publish = iq.xml.find(PUBLISH)
        fields = {field.attrib["var"]: field[0].text
                  for field in publish.iterfind(f".//{{{ns.PUSH}}}notification//{{{ns.DATA}}}field")}
        assert fields.pop("FORM_TYPE") == "urn:xmpp:push:summary"
        self.published.put_nowait((publish.attrib.get("node", ""), fields, iq.xml))
        if self.refuses:
            answer = iq.reply()
            answer["error"]["condition"] = self.refuses
            answer.send()
        else:
            iq.reply().send()

    async def told(self) -> tuple[str, dict[str, str]]:
        node, fields, _ = await asyncio.wait_for(self.published.get(), 20)
        return node, fields

    async def __aenter__(self) -> AppServer:
        started = asyncio.ensure_future(self.wait_until("session_start", 30))
        self.connect()
        await started
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 90))


async def enable(client: Client, node: str, inner: str = "", jid: str = APP) -> None:
    await client.ask("set", f"<enable xmlns='{ns.PUSH}' jid='{jid}' node='{node}'>{inner}</enable>")


async def disable(client: Client, node: str | None = None) -> None:
    more = f" node='{node}'" if node is not None else ""
    await client.ask("set", f"<disable xmlns='{ns.PUSH}' jid='{APP}'{more}/>")


def say(sender: Client, to: str, body: str) -> None:
    sender.send_message(mto=to, mbody=body, mtype="chat")


def test_a_client_that_is_gone_is_told(daemon: Daemon) -> None:
    """With what the site lets be told, and the form it gave; others of the account are not asked."""
    async def test() -> None:
        async with AppServer(daemon) as app, Client(daemon, BEN) as ben:
            async with Client(daemon, ANN) as ann:
                info = await ann.plugin["xep_0030"].get_info(ANN)
                assert ns.PUSH in info["disco_info"]["features"]
                await enable(ann, "phone", FORM)
                say(ben, ANN, "while you are here")
                await ann.text("while you are here")
            say(ben, ANN, "Wherefore art thou?")
            node, fields, xml = await asyncio.wait_for(app.published.get(), 20)
            assert node == "phone"
            assert fields == {"message-count": "1", "last-message-sender": ben.boundjid.full,
                              "last-message-body": "Wherefore art thou?"}
            options = xml.find(f"{{{ns.PUBSUB}}}pubsub/{{{ns.PUBSUB}}}publish-options/{{{ns.DATA}}}x")
            assert [field[0].text for field in options][1] == "eruio234"
            # What follows at once is told together; a chat state and an error are nothing to tell.
            for body in ("one", "two", "three"):
                say(ben, ANN, body)
            ben.send_raw(f"<message to='{ANN}' type='chat'><composing xmlns='{ns.CHAT_STATES}'/></message>")
            assert await app.told() == ("phone", {"message-count": "4", "last-message-sender": ben.boundjid.full,
                                                  "last-message-body": "three"})
            ben.send_raw(f"<message to='{ANN}' type='chat'><body>I sent you an encrypted message</body>"
                         "<encrypted xmlns='eu.siacs.conversations.axolotl'/></message>")
            node, fields = await app.told()
            assert "last-message-body" not in fields and fields["message-count"] == "5"
            async with Client(daemon, ANN) as ann:
                await ann.text("three")
                await disable(ann)
            say(ben, ANN, "not told")
            async with Client(daemon, ANN) as ann:
                await ann.text("not told")
                await enable(ann, "tablet")
            say(ben, ANN, "told")
            assert (await app.told())[0] == "tablet", "nothing came for what was disabled"
            async with Client(daemon, ANN) as ann:
                await disable(ann)

    run(test())


def test_a_cut_stream_and_a_client_nobody_looks_at(daemon: Daemon) -> None:
    async def test() -> None:
        async with AppServer(daemon) as app, Client(daemon, BEN) as ben:
            ann = Client(daemon, ANN)
            await ann.login()
            await enable(ann, "phone")
            ann.plugin["xep_0352"].send_inactive()
            await ann.ask("get", f"<ping xmlns='{ns.PING}'/>", DOMAIN)
            say(ben, ANN, "look")
            assert (await app.told())[1]["last-message-body"] == "look"
            ann.plugin["xep_0352"].send_active()
            await ann.ask("get", f"<ping xmlns='{ns.PING}'/>", DOMAIN)
            say(ben, ANN, "seen")
            await ann.text("seen")
            ann.plugin["xep_0198"].disable_on_reconnect = True
            ann.cut()
            say(ben, ANN, "are you there?")
            node, fields = await app.told()
            assert node == "phone" and fields["last-message-body"] == "are you there?"
            await ann.logout()
            while (await asyncio.to_thread(daemon.ctl, "user", "show", ANN))["result"]["sessions"]:
                await asyncio.sleep(0.2)
            async with Client(daemon, ANN) as again:
                await again.text("are you there?")
                await disable(again)

    run(test())


def test_an_app_server_that_refuses_is_not_asked_again(daemon: Daemon) -> None:
    async def test() -> None:
        async with AppServer(daemon) as app, Client(daemon, BEN) as ben:
            async with Client(daemon, ANN) as ann:
                await enable(ann, "gone")
            app.refuses = "item-not-found"
            say(ben, ANN, "first")
            assert (await app.told())[0] == "gone"
            app.refuses = ""
            async with Client(daemon, ANN) as ann:
                await ann.text("first")
                await enable(ann, "new")
            say(ben, ANN, "second")
            assert (await app.told())[0] == "new", "nothing came for the one that was refused"
            # The app server takes it back by itself.
            app.send_raw(f"<message from='{APP}' to='{ANN}'><pubsub xmlns='{ns.PUBSUB}' node='new'>"
                         f"<affiliation jid='{ANN}' affiliation='none'/></pubsub></message>")
            async with Client(daemon, ANN) as ann:
                await ann.text("second")
                await enable(ann, "third")
            say(ben, ANN, "last")
            assert (await app.told())[0] == "third"
            assert app.published.empty()
            async with Client(daemon, ANN) as ann:
                await disable(ann)

    run(test())


def test_bounds(daemon: Daemon) -> None:
    """Of more clients than may be the oldest goes; what is no request is refused."""
    async def test() -> None:
        async with AppServer(daemon) as app, Client(daemon, BEN) as ben:
            async with Client(daemon, ANN) as ann:
                for node in ("a", "b", "c", "d"):
                    await enable(ann, node)
                for xml in (f"<enable xmlns='{ns.PUSH}'/>", f"<enable xmlns='{ns.PUSH}' jid='@@'/>",
                            f"<enable xmlns='{ns.PUSH}' jid='{ANN}' node='x'/>",
                            f"<enable xmlns='{ns.PUSH}' jid='{APP}' node='{'x' * 2000}'/>",
                            f"<enable xmlns='{ns.PUSH}' jid='{APP}' node='x'><x xmlns='{ns.DATA}'/></enable>",
                            f"<disable xmlns='{ns.PUSH}'/>"):
                    with pytest.raises(IqError) as refused:
                        await ann.ask("set", xml)
                    assert refused.value.condition in ("bad-request", "jid-malformed")
                with pytest.raises(IqError):
                    await ben.ask("set", f"<enable xmlns='{ns.PUSH}' jid='{APP}' node='spy'/>", ANN)
            say(ben, ANN, "to all")
            assert {(await app.told())[0] for _ in range(3)} == {"b", "c", "d"}
            async with Client(daemon, ANN) as ann:
                await disable(ann)

    run(test())
