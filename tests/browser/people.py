"""The people of the browser tests: at the panel, or with another client, and what they do there."""

from __future__ import annotations

import re
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.python.failure import Failure

from tests.browser.harness import HERE, Browser, Page
from tests.browser.lines import LineProcess
from tests.daemon import DOMAIN, PASSWORD, Daemon

listener: Any = reactor

SERVICE = f"conference.{DOMAIN}"
OWNER = "http://jabber.org/protocol/muc#owner"
NAMES = ("alice", "bob", "carol", "dora", "emil", "fritz", "gerda", "hanna")


class Friend:
    """A slixmpp client in a process of its own: see friend.py."""

    def __init__(self, name: str, daemon: Daemon) -> None:
        self.jid = f"{name}@{DOMAIN}"
        self.daemon = daemon
        self.process = LineProcess([sys.executable, str(HERE / "friend.py")], folder=HERE)

    async def connect(self) -> None:
        port = self.daemon.ports["c2s"]
        await self.process.ask("connect", jid=self.jid, password=PASSWORD, host="127.0.0.1", port=port)

    async def send(self, name: str, body: str) -> None:
        await self.process.ask("send", to=f"{name}@{DOMAIN}", body=body)

    async def subscribe(self, name: str) -> None:
        await self.process.ask("subscribe", to=f"{name}@{DOMAIN}")

    async def make_room(self, name: str, nick: str = "", **settings: str) -> str:
        """Make a room with these settings (the ends of the form's fields) and stay in it; its address."""
        room = f"{name.lower().replace(' ', '-')}@{SERVICE}"
        await self.process.ask("enter", room=room, nick=nick or self.jid.partition("@")[0])
        await self.configure(room, roomname=name, **settings)
        return room

    async def configure(self, room: str, **settings: str) -> None:
        """Change these settings of a room."""
        fields = "".join(f"<field var='muc#roomconfig_{key}'><value>{value}</value></field>"
                         for key, value in settings.items())
        await self.ask(room, f"<query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></query>")

    async def ask(self, to: str, xml: str, kind: str = "set") -> None:
        """Send an iq and wait for its result."""
        await self.process.ask("ask", to=to, type=kind, xml=xml)

    async def change(self, room: str, item: str) -> None:
        """A change of role or affiliation: an <item/> of muc#admin."""
        await self.ask(room, f"<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>")

    async def receive(self, body: str) -> dict[str, Any]:
        """Wait for a message with this text."""
        return await self.process.wait_for(lambda e: e.get("event") == "message" and e["body"] == body)


class Person:
    """Somebody at the panel: a page and what one does there."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name

    async def log_in(self, password: str = PASSWORD) -> None:
        """Fill in the form and wait for the panel."""
        await self.try_log_in(password)
        await self.page.see("#controlbox .userinfo")

    async def try_log_in(self, password: str = PASSWORD) -> None:
        """Fill in the form and submit it."""
        await self.page.see("#login-form")
        await self.page.fill("#address", f"{self.name}@{DOMAIN}")
        await self.page.fill("#password", password)
        await self.page.press("#password", "Enter")

    async def open_add_contact(self) -> None:
        """Open the dialog, by the empty list's button or by the menu."""
        await self.page.see(".chatd-empty button, converse-roster-contact")
        if await self.page.count(".chatd-empty button"):
            await self.page.click(".chatd-empty button")
        else:
            await self.page.click(".dropdown--contacts button")
            await self.page.click(".add-contact")
        await self.page.see("#chatd-add-jid")
        await self.page.until("document.activeElement.id === 'chatd-add-jid'")

    async def add_contact(self, name: str, shown: str = "", group: str = "") -> None:
        """Add somebody; the chat with them opens."""
        await self.open_add_contact()
        await self.page.fill("#chatd-add-jid", f"{name}@{DOMAIN}")
        await self.page.fill("#chatd-add-name", shown)
        await self.page.fill("#chatd-add-groups", group)
        await self.page.press("#chatd-add-groups", "Enter")
        await self.page.see("textarea.chat-textarea")
        await self.page.gone("converse-add-contact-modal")

    async def open_chat(self, name: str) -> None:
        await self.page.click(f'.open-chat[data-jid="{name}@{DOMAIN}"] >> nth=0')
        await self.page.see(f'converse-chat[jid="{name}@{DOMAIN}"] textarea')

    async def open_room_dialog(self, entry: str) -> None:
        """Open a dialog of the groupchats' menu; `entry` is the class of its item."""
        await self.page.click("converse-rooms-list converse-dropdown button >> nth=0")
        await self.page.click(f"converse-rooms-list .{entry}")
        await self.dialog_shown()

    async def dialog_shown(self) -> None:
        """Wait until a dialog has faded in."""
        shown = "#converse-modals .modal.show"
        await self.page.see(f"{shown} .modal-title")
        await self.page.until(f"getComputedStyle(document.querySelector('{shown}')).opacity === '1'")

    async def join_room(self, name: str) -> None:
        """Make or join a groupchat under one's own name."""
        await self.open_room_dialog("show-add-muc-modal")
        await self.page.fill("#chatd-room-name", name)
        await self.page.press("#chatd-room-name", "Enter")
        local = name.lower().replace(" ", "-")
        await self.page.see(f'converse-muc[jid^="{local}@"] textarea.chat-textarea')

    async def look_for_room(self, room: str) -> str:
        """The dialog that finds rooms, with this one in it: its selector.  One just being made may come late."""
        entry = f'.chatd-rooms__open[data-room-jid="{room}"]'
        for _ in range(10):
            await self.open_room_dialog("show-list-muc-modal")
            await self.page.see("converse-muc-list-modal :is(.chatd-rooms__open, .btn-primary)")
            if await self.page.count(entry):
                return entry
            await self.page.click("converse-muc-list-modal .modal-header button")
            await self.page.gone("converse-muc-list-modal")
        raise AssertionError(f"{room} is in no list")

    async def find_room(self, room: str) -> None:
        """Open a room by the dialog that finds them."""
        await self.page.click(await self.look_for_room(room))
        await self.page.gone("converse-muc-list-modal")
        await self.page.see("converse-muc-heading .chatbox-title__text")

    async def room_menu(self, entry: str) -> None:
        """Choose an entry of the open room's menu; Converse closes it where something of the room changes meanwhile."""
        menu = "converse-muc-heading converse-dropdown"
        for _ in range(5):
            await self.page.click(f"{menu} button >> nth=0")
            try:
                await self.page.call("click", {"timeout": 2000}, selector=f'{menu} .dropdown-item:has-text("{entry}")')
            except AssertionError:
                continue
            return
        raise AssertionError(f"the menu has no {entry}, or does not stay open")

    async def say(self, body: str) -> None:
        await self.page.fill("textarea.chat-textarea", body)
        await self.page.press("textarea.chat-textarea", "Enter")
        await self.reads(body)

    async def faults(self, selector: str | None = None) -> list[str]:
        """Return the accessibility faults in dark and in light, in which the page then is."""
        found = []
        for scheme, theme in (("dark", "chatd-dark"), ("light", "chatd")):
            await self.page.call("emulateMedia", {"colorScheme": scheme})
            await self.page.until(f"document.getElementById('conversejs').classList.contains('theme-{theme}')")
            found += [f"{scheme}: {fault}" for fault in await self.page.axe(selector)]
        return found

    async def reads(self, body: str, timeout_s: float = 15) -> None:
        """Wait until a message with this text stands in a chat."""
        quoted = body.replace('"', '\\"')
        await self.page.see(f'.chat-msg__text:has-text("{quoted}")', timeout_s)


class Link:
    """A line between a browser and the daemon that can be cut and mended; `host` and `port` are the browser's end."""

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self.target = target
        self.host = host
        self.ends: set[ProxyServer] = set()
        self.factory = ProxyFactory("127.0.0.1", target)
        link = self

        class End(ProxyServer):
            def connectionMade(self) -> None:
                link.ends.add(self)
                super().connectionMade()

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                link.ends.discard(self)
                super().connectionLost(reason)

        self.factory.protocol = End
        self._listening = self._listen(0)
        self.port: int = self._listening.getHost().port

    def _listen(self, port: int) -> Any:
        return listener.listenTCP(port, self.factory, interface=self.host)

    async def cut(self) -> None:
        """Every connection breaks without a word, and none can be made."""
        await maybeDeferred(self._listening.stopListening)
        for end in list(self.ends):
            transport: Any = end.transport
            transport.abortConnection()

    def mend(self) -> None:
        """Connections can be made again."""
        self._listening = self._listen(self.port)


class People:
    """Makes the people of one test, and checks their pages at its end."""

    def __init__(self, browser: Browser, daemon: Daemon) -> None:
        self.browser = browser
        self.daemon = daemon
        self.persons: list[Person] = []
        self.friends: list[Friend] = []
        self.links: list[Link] = []
        self.expected: list[str] = []
        self.sites = {f"localhost:{daemon.ports['https']}"}

    def expect(self, complaint: str) -> None:
        """Name a complaint, as a regular expression, that this test brings about on purpose."""
        self.expected.append(complaint)

    async def at_panel(self, name: str, link: Link | None = None, **options: Any) -> Person:
        """Return somebody who has opened the log-in page; options as for Browser.page."""
        port = link.port if link is not None else self.daemon.ports["https"]
        page = await self.browser.page(f"https://localhost:{port}/", https=True, **options)
        person = Person(page, name)
        self.persons.append(person)
        return person

    def link(self, host: str = "127.0.0.1") -> Link:
        """Return a line to the daemon that can be cut; `host`: this machine's address at the browser's end."""
        link = Link(self.daemon.ports["https"], host)
        self.links.append(link)
        self.sites |= {f"localhost:{link.port}", f"{host}:{link.port}"}
        return link

    async def elsewhere(self, name: str) -> Friend:
        """Return somebody who is online with another client."""
        friend = Friend(name, self.daemon)
        self.friends.append(friend)
        await friend.connect()
        return friend

    async def leave(self) -> None:
        """Close everything and check what the pages did."""
        found = []
        for friend in self.friends:
            friend.process.stop()
        for person in self.persons:
            log = await person.page.log()
            found += [f"request elsewhere: {url}" for url in log["requests"] + log["sockets"] if not self._is_ours(url)]
            found += [f"policy: {violation}" for violation in log["violations"]]
            found += [
                line
                for line in log["complaints"] + log["failures"]
                if not any(re.search(pattern, line) for pattern in self.expected)
            ]
            await person.page.close()
        for link in self.links:
            await link.cut()
        assert found == [], found

    def _is_ours(self, url: str) -> bool:
        ours = [f"{scheme}://{site}/" for scheme in ("https", "wss") for site in self.sites]
        return url.startswith((*ours, "data:", "blob:"))
