"""What becomes of messages by what they carry: hints (XEP-0334), receipts (XEP-0184), markers (XEP-0333).

Each in the recipient's archive (XEP-0313), in a copy for his other client (XEP-0280), and kept while he is away (0160).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from chatd.core import ns
from chatd.core.archive import ArchiveQuery
from chatd.xep.archive import Archive
from chatd.xep.carbons import Carbons
from chatd.xep.message import Messages
from chatd.xep.offline import Offline
from chatd.xep.presence import Presence
from chatd.xep.roster import Roster
from tests.xep.world import World

ALICE, BOB = "alice@example.com", "bob@example.net"


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """Archive, copies, and messages kept for later."""
    made = await World.open(Roster, Presence, Messages, Archive, Carbons, Offline)
    yield made
    await made.close()


def hint(*names: str) -> str:
    """Hints."""
    return "".join(f"<{name} xmlns='{ns.HINTS}'/>" for name in names)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("inner", "archived", "copied", "kept"), [
    ("<body>x</body>", True, True, True),
    ("<body>x</body>" + hint("no-store"), False, True, False),
    ("<body>x</body>" + hint("no-permanent-store"), False, True, True),
    ("<body>x</body>" + hint("no-copy"), True, False, True),
    (hint("store"), True, True, True),
    (hint("store", "no-store"), False, True, False),
    (f"<received xmlns='{ns.RECEIPTS}' id='1'/>", True, True, True),
    (f"<request xmlns='{ns.RECEIPTS}'/><body>x</body>", True, True, True),
    (f"<displayed xmlns='{ns.MARKERS}' id='1'/>", True, True, True),
    (f"<displayed xmlns='{ns.MARKERS}' id='1'/>" + hint("no-store"), False, True, False),
    (f"<composing xmlns='{ns.CHAT_STATES}'/>", False, True, False),
], ids=range(11))
async def test_message(world: World, inner: str, archived: bool, copied: bool, kept: bool) -> None:
    """It arrives as it was sent, and nowhere else than it should."""
    alice, bob = await world.client(ALICE + "/a"), await world.client(BOB + "/b")
    other = await world.client(BOB + "/o")
    await other.send_xml("<presence><priority>-1</priority></presence>")
    await other.ask_iq("set", f"<enable xmlns='{ns.CARBONS}'/>")
    bob.take(), other.take()
    await alice.send_xml(f"<message to='{BOB}/b' type='chat'>{inner}</message>")
    [message] = bob.take("message")
    assert message.inner.startswith(inner.encode()), "untouched, but for the id of the archive behind it"
    assert [stanza.payload for stanza in other.take("message")] == ([f"{ns.CARBONS} received"] if copied else [])
    number = bob.s.account.id
    assert len((await world.store.archive.query(number, ArchiveQuery())).rows) == archived
    for client in (bob, other):
        client.s.close()
    await alice.send_xml(f"<message to='{BOB}' type='chat'>{inner}</message>")
    assert await world.store.offline.count(number) == kept
