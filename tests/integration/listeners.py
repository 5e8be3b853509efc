"""slixmpp clients that say by their capabilities what they want to hear of, and keep what they are told."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.daemon import Daemon
from tests.integration.slix import PATIENCE_S, PLUGINS, Client

#: Without XEP-0153, whose plugin says by an empty hash that the person wants no picture.
PEP = (*(plugin for plugin in PLUGINS if plugin != "xep_0153"),
       "xep_0004", "xep_0060", "xep_0163", "xep_0084", "xep_0107", "xep_0118", "xep_0172", "xep_0222", "xep_0223",
       "xep_0402", "xep_0490")
AVATAR, TUNE, NICK = "urn:xmpp:avatar:metadata", "http://jabber.org/protocol/tune", "http://jabber.org/protocol/nick"
BOOKMARKS, MARKS = "urn:xmpp:bookmarks:1", "urn:xmpp:mds:displayed:0"


class Listener(Client):
    """`told`: (from, node, id) of each item, "-" before the id of one taken back; its presence says what it wants."""

    def __init__(self, daemon: Daemon, address: str, *interests: str, **options: Any) -> None:
        super().__init__(daemon, address, plugins=PEP, presence=False, **options)
        self.interests = interests
        self.told: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        self.add_event_handler("pubsub_publish", lambda message: self._heard(message, ""))
        self.add_event_handler("pubsub_retract", lambda message: self._heard(message, "-"))

    def _heard(self, message: Any, sign: str) -> None:
        items = message["pubsub_event"]["items"]
        # slixmpp's plugins want to hear of more than was asked for here.
        for item in items.xml if items["node"] in self.interests else ():
            self.told.put_nowait((message["from"].full, items["node"], sign + item.get("id")))

    async def login(self) -> None:
        """See Client; the first presence has the capabilities already."""
        await super().login()
        for interest in self.interests:
            self.plugin["xep_0030"].add_feature(f"{interest}+notify")
        await self.plugin["xep_0115"].update_caps(broadcast=False)
        await self.get_roster()
        self.send_presence()
        await self.presence_of(self.boundjid.full)

    async def hears(self, *expected: tuple[str, str, str]) -> None:
        """Waits for all of these, in any order; whatever else comes before them is an error."""
        left = list(expected)
        while left:
            left.remove(await asyncio.wait_for(self.told.get(), PATIENCE_S))

    def options(self, **values: str) -> Any:
        """Preconditions for publishing."""
        form = self.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        for name, value in values.items():
            form.add_field(var=f"pubsub#{name}", value=value)
        return form
