"""Visitors of meetings as nothing but a WebSocket and hand-made XML: what docs/protocol.md says, and no more."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from typing import Any, Self
from xml.etree import ElementTree as ET

from chatd.core import ns
from chatd.web.signed import authorization
from tests.daemon import DOMAIN, Daemon
from tests.raw import CLIENT, SASL, SM, RawWebSocket, condition

SERVICE, GUESTS = f"meet.{DOMAIN}", f"guest.{DOMAIN}"
MEET = "{%s}" % ns.MEET
USER = "{%s}" % ns.MUC_USER
KEY, SECRET = "webmail", "0123456789abcdef0123456789abcdef"
API = f'[api]\nkeys = {{ {KEY} = "{SECRET}" }}\n'


class Visitor(RawWebSocket):
    """A visit; `seen` is everything that came and was read."""

    def __init__(self, daemon: Daemon, **options: Any) -> None:
        super().__init__(daemon, **options)
        self.seen: list[ET.Element] = []

    def read(self) -> ET.Element:
        """See Raw."""
        element = super().read()
        self.seen.append(element)
        return element

    def sign_in(self, given: str = "", domain: str = GUESTS) -> ET.Element:
        """SASL ANONYMOUS; <success/> or <failure/>."""
        features = self.open(domain)
        assert [one.text for one in features.iter(SASL + "mechanism")] == ["ANONYMOUS"]
        initial = base64.b64encode(given.encode()).decode()
        self.send(f"<auth xmlns='{ns.SASL}' mechanism='ANONYMOUS'>{initial}</auth>")
        return self.until(SASL + "success", SASL + "failure")

    def come(self, given: str = "", domain: str = GUESTS) -> Self:
        """From the connection to the bound resource."""
        answer = self.sign_in(given, domain)
        assert answer.tag == SASL + "success", ET.tostring(answer).decode()
        self.open(domain)
        assert self.bind().get("type") == "result"
        return self

    def token(self) -> str:
        """Under which this guest comes back."""
        found = self.ask("get", f"<guest xmlns='{ns.MEET}'/>", GUESTS).find(MEET + "guest")
        assert found is not None
        return found.attrib["token"]

    def enter(self, room: str, nick: str, password: str = "") -> str:
        """Enters: "" when one is in, or the condition of the refusal."""
        inner = f"<password>{password}</password>" if password else ""
        self.send(f"<presence to='{room}/{nick}'><x xmlns='{ns.MUC}'>{inner}</x></presence>")
        while True:
            answer = self.until("presence")
            if answer.get("type") == "error":
                return condition(answer)
            if answer.get("type") is None and 110 in codes(answer):
                # What follows on entering ends with the subject.
                while self.until("message").find(CLIENT + "subject") is None:
                    pass
                return ""

    def command(self, room: str, xml: str, kind: str = "set") -> str:
        """An element of ours: "" for done, or the condition of its refusal."""
        name = xml.partition(" ")[0].partition("/")[0].partition(">")[0]
        answer = self.ask(kind, f"<{name} xmlns='{ns.MEET}'{xml[len(name):]}", room)
        return condition(answer) if answer.get("type") == "error" else ""

    def learn(self, room: str, name: str) -> ET.Element:
        """The answer to an iq get of ours; AssertionError where it is refused."""
        answer = self.ask("get", f"<{name} xmlns='{ns.MEET}'/>", room)
        found = answer.find(MEET + name)
        assert found is not None, ET.tostring(answer).decode()
        return found

    def until_told(self, name: str, **attributes: str) -> ET.Element:
        """The next message with this element of ours and these of its attributes."""
        while True:
            found = self.until("message").find(MEET + name)
            if found is not None and attributes.items() <= found.attrib.items():
                return found

    def until_shown(self, nick: str, **attributes: str) -> ET.Element:
        """The next presence of this nickname with a <participant/> of these attributes."""
        while True:
            presence = self.until("presence")
            found = presence.find(MEET + "participant")
            if presence.get("from", "").endswith(f"/{nick}") and found is not None and (
                    attributes.items() <= found.attrib.items()):
                return found

    def knock(self, room: str, nick: str) -> str:
        """Knocks: "" for heard, or the condition of the refusal."""
        answer = self.ask(
            "set", f"<query xmlns='jabber:iq:register'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/muc#register</value></field>"
            f"<field var='muc#register_roomnick'><value>{nick}</value></field></x></query>", room)
        return condition(answer) if answer.get("type") == "error" else ""

    def cut(self) -> None:
        """The connection breaks without a word."""
        self.reset()

    def resume(self, previd: str, h: int) -> ET.Element:
        """<resumed/> or <failed/>; the stream is authenticated."""
        self.send(f"<resume xmlns='{ns.SM}' previd='{previd}' h='{h}'/>")
        return self.until(SM + "resumed", SM + "failed")


def codes(presence: ET.Element) -> list[int]:
    """The status codes of muc#user."""
    return [int(one.attrib["code"]) for one in presence.iter(USER + "status")]


def host(daemon: Daemon, name: str = "john", **options: Any) -> RawWebSocket:
    """A full session of an account, over WebSocket."""
    return RawWebSocket(daemon, **options).login(f"{name}@{DOMAIN}", presence=False)


def make(owner: RawWebSocket, name: str = "Talk", inner: str = "", **attributes: str) -> str:
    """A meeting of this session's; the room's address."""
    said = "".join(f" {key}='{value}'" for key, value in attributes.items())
    answer = owner.ask("set", f"<create xmlns='{ns.MEET}' name='{name}'{said}>{inner}</create>", SERVICE)
    found = answer.find(MEET + "meeting")
    assert found is not None, ET.tostring(answer).decode()
    return found.attrib["room"]


def ticket(owner: RawWebSocket) -> str:
    """With which the meeting page comes in as this account."""
    found = owner.ask("get", f"<ticket xmlns='{ns.MEET}'/>", SERVICE).find(MEET + "ticket")
    assert found is not None
    return found.text or ""


def page(daemon: Daemon, owner: RawWebSocket, room: str, nick: str) -> Visitor:
    """The meeting page of an account, in the meeting."""
    visitor = Visitor(daemon).come(ticket(owner))
    assert visitor.enter(room, nick) == ""
    return visitor


def fetch(daemon: Daemon, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    """Status, headers and content over plain HTTP; JSON is parsed."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.ports['http']}{path}", data, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, _content(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, _content(error)


def _content(answer: Any) -> Any:
    data = answer.read()
    return json.loads(data) if "json" in answer.headers.get("content-type", "") else data


def signed(body: Any, path: str = "/api/v1/meetings", secret: str = SECRET, nonce: str = "") -> dict[str, str]:
    """The header that signs this body."""
    data = json.dumps(body).encode()
    nonce = nonce or os.urandom(8).hex()
    return {"Authorization": authorization(KEY, secret, "POST", path, int(time.time()), nonce, data)}
