"""An ordinary XMPP client (slixmpp) for the browser tests to chat with; told what to do in JSON lines.

Run as a program of its own: slixmpp needs asyncio's loop, the tests have Twisted's reactor.
Requests: connect {jid, password, host, port}, send {to, body}, subscribe {to}, roster, enter {room, nick}, tell
{room, body}, ask {to, type, xml}, raw {xml}, disconnect.
It agrees to every subscription and asks for one in return. Says unasked: xml (every message), message, told (in a
room), presence, subscribed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath


def say(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


class Friend(slixmpp.ClientXMPP):
    def __init__(self, jid: str, password: str, *, insecure: bool) -> None:
        super().__init__(jid, password)
        self.register_plugin("xep_0045")
        self.register_plugin("xep_0199")
        self.register_plugin("xep_0184")
        self.ready: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        self.roster.auto_authorize = True
        self.roster.auto_subscribe = True
        # The tests' certificate is made for the day.
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.enable_plaintext = insecure
        if insecure:
            self["feature_mechanisms"].unencrypted_scram = True
            self["feature_mechanisms"].unencrypted_plain = True
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("failed_auth", lambda _: self.fail("the password was refused"))
        self.add_event_handler("message", self.received)
        # What has no text, too, which "message" leaves out.
        self.register_handler(Callback("every message", MatchXPath("{jabber:client}message"), lambda message: say(
            event="xml", sender=message["from"].bare, xml=str(message))))
        self.add_event_handler("changed_status", lambda p: say(
            event="presence", sender=p["from"].bare, resource=p["from"].resource, type=p["type"], status=p["status"]))
        self.add_event_handler("presence_subscribed", lambda p: say(event="subscribed", sender=p["from"].bare))

    def fail(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(AssertionError(reason))

    async def started(self, _event: Any) -> None:
        await self.get_roster()
        self.send_presence()
        if not self.ready.done():
            self.ready.set_result(None)

    def received(self, message: Any) -> None:
        if message["type"] in ("chat", "normal") and message["body"]:
            say(event="message", sender=message["from"].bare, body=message["body"])
        elif message["type"] == "groupchat" and message["body"]:
            say(event="told", nick=message["from"].resource, body=message["body"])


async def main() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    friend: Friend | None = None
    while line := await reader.readline():
        request = json.loads(line)
        answer: dict[str, Any] = {"id": request["id"], "ok": None}
        try:
            if request["op"] == "connect":
                friend = Friend(request["jid"], request["password"], insecure=request.get("insecure", False))
                friend.connect(request["host"], request["port"])
                await asyncio.wait_for(friend.ready, 15)
            elif friend is None:
                raise AssertionError("not connected")
            elif request["op"] == "send":
                friend.send_message(request["to"], request["body"], mtype="chat")
            elif request["op"] == "subscribe":
                friend.send_presence_subscription(request["to"])
            elif request["op"] == "roster":
                answer["ok"] = {jid: friend.client_roster[jid]["subscription"] for jid in friend.client_roster}
            elif request["op"] == "enter":
                await friend.plugin["xep_0045"].join_muc_wait(slixmpp.JID(request["room"]), request["nick"], timeout=15)
            elif request["op"] == "tell":
                friend.send_message(request["room"], request["body"], mtype="groupchat")
            elif request["op"] == "ask":
                iq = friend.make_iq(ito=request["to"], itype=request["type"])
                iq.append(ET.fromstring(request["xml"]))
                await iq.send(timeout=15)
            elif request["op"] == "raw":
                friend.send_raw(request["xml"])
            elif request["op"] == "disconnect":
                await asyncio.wait_for(friend.disconnect(), 5)
                friend = None
        except (AssertionError, TimeoutError, IqError) as error:
            answer = {"id": request["id"], "error": str(error) or "timed out"}
        say(**answer)
    if friend is not None:
        friend.disconnect()


asyncio.run(main())
