"""Whatever people ask of each other's nodes, pictures and bookmarks, each iq is answered once, nothing fails inside,
and nobody learns what is published for others.

Three people, of whom two are contacts, send requests made of the words of XEP-0060 and its neighbours at random.
CHATD_FUZZ_EXAMPLES sets how many runs there are, a hundredth of it (300).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
import pytest_twisted
from twisted.logger import LogLevel, globalLogPublisher

from chatd.core import ns
from chatd.xep.avatar import Avatar
from chatd.xep.bookmarks import Bookmarks
from chatd.xep.displayed import Displayed
from chatd.xep.private import Private
from chatd.xep.vcard import VCard
from tests.xep import pep_kit

# A minute of fuzzing (conftest.py) is so many runs.
SECONDS = float(os.environ.get("CHATD_FUZZ_SECONDS", "0"))
RUNS = int(SECONDS / 4) or max(1, int(os.environ.get("CHATD_FUZZ_EXAMPLES", "300")) // 100)
FIRST = int(os.environ.get("CHATD_FUZZ_SEED", "0"))
STEPS = 150
SECRET = "zzsecret"             # in what Alice publishes for herself alone, and in nothing else

PEOPLE = ["alice@example.com", "bob@example.net", "carol@example.com"]
ADDRESSES = [*PEOPLE, *(f"{one}/r" for one in PEOPLE), "nobody@example.com", "example.com", "@", "", "x@remote.example"]
NODES = ["urn:a", "urn:b", ns.BOOKMARKS, ns.BOOKMARKS_OLD, ns.AVATAR_DATA, ns.AVATAR_METADATA, ns.DISPLAYED, "",
         "\u00e4", "n" * 1100, "&<>'\""]
IDS = ["1", "2", "current", "room@conference.example.com", "", "\U0001f600", "i" * 1100, "0" * 40]
VERBS = ["publish", "retract", "create", "subscribe", "unsubscribe", "items", "subscriptions", "affiliations",
         "configure", "default", "delete", "purge", "options", "publish-options", "item", "set", "x"]
BOOKMARK = f"<conference xmlns='{ns.BOOKMARKS}' name='n' autojoin='1'><nick>n</nick><extensions><x/></extensions>"
HELLO = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"      # SHA-1 of what stands in base64 below
MARK = f"<displayed xmlns='{ns.DISPLAYED}'><stanza-id xmlns='{ns.SID}' id='1'/></displayed>"
PAYLOADS = ["", "<a xmlns='urn:a'/>", "<a xmlns='urn:a'>x</a><b xmlns='urn:b'/>", "text", f"{BOOKMARK}</conference>",
            f"<storage xmlns='{ns.BOOKMARKS_OLD}'><conference jid='r@c' autojoin='true'/><url url='u'/></storage>",
            f"<data xmlns='{ns.AVATAR_DATA}'>aGVsbG8=</data>", f"<data xmlns='{ns.AVATAR_DATA}'>%</data>",
            f"<metadata xmlns='{ns.AVATAR_METADATA}'><info id='{HELLO}' bytes='5'/></metadata>",
            f"<metadata xmlns='{ns.AVATAR_METADATA}'/>",
            f"<metadata xmlns='{ns.AVATAR_METADATA}'><info/></metadata>", MARK]
VARS = ["access_model", "max_items", "persist_items", "roster_groups_allowed", "publish_model", "title", "notify",
        "send_last_published_item", "deliver_payloads", "subscriber_jid", "node", "allow", "unheard_of"]
VALUES = ["open", "presence", "roster", "authorize", "whitelist", "max", "0", "1", "9999999999", "-1", "true", "never",
          "subscribers", "x" * 1100, "", "publishers", *PEOPLE, "urn:a"]
FORMS = [f"{ns.PUBSUB}#{one}" for one in ("node_config", "publish-options", "subscribe_authorization")] + ["", "urn:x"]


class Author:
    """Writes requests at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, words: list[str]) -> str:
        """One of these."""
        return self.random.choice(words)

    def form(self) -> str:
        """A data form."""
        fields = "".join(f"<field var='pubsub#{self.some(VARS)}'><value>{self.some(VALUES)}</value></field>"
                         for _ in range(self.random.randint(0, 3)))
        return (f"<x xmlns='{ns.DATA}' type='{self.some(['submit', 'submit', 'cancel', 'form'])}'>"
                f"<field var='FORM_TYPE'><value>{self.some(FORMS)}</value></field>{fields}</x>")

    def inside(self) -> str:
        """Items, people, forms."""
        item = f"<item id={quoteattr(self.some(IDS))}>{self.some(PAYLOADS)}</item>"
        standing = self.some(["owner", "member", "outcast", "none", "x"])
        return self.some([
            "", self.form(), item, item, item, f"<item>{self.some(PAYLOADS)}</item>", self.some(PAYLOADS),
            f"<affiliation jid='{self.some(ADDRESSES)}' affiliation='{standing}'/>",
            f"<subscription jid='{self.some(ADDRESSES)}' subscription='{self.some(['none', 'subscribed', 'x'])}'/>"])

    def verb(self) -> str:
        """One element of a request."""
        if self.random.random() < 0.1:
            page = self.some(["<after>1</after>", "<before>1</before>", "<before/>", "<index>1</index>", "<after/>"])
            return f"<set xmlns='{ns.RSM}'><max>{self.some(['1', '0', '99', 'x'])}</max>{page}</set>"
        name = self.some(VERBS)
        more = f" jid='{self.some(ADDRESSES)}'" if name.endswith("subscribe") else ""
        more += f" max_items='{self.some(['1', '0', 'x'])}'" if name == "items" and self.random.random() < 0.3 else ""
        node = f" node={quoteattr(self.some(NODES))}" if self.random.random() < 0.95 else ""
        inner = "".join(self.inside() for _ in range(self.random.randint(0, 2)))
        return f"<{name}{node}{more}>{inner}</{name}>"

    def payload(self) -> str:
        """What an iq asks."""
        verbs = "".join(self.verb() for _ in range(self.random.choice([1, 1, 1, 2])))
        request = f"<pubsub xmlns='{self.some([ns.PUBSUB, ns.PUBSUB, ns.PUBSUB_OWNER])}'>{verbs}</pubsub>"
        photo = f"<PHOTO><BINVAL>{self.some(['aGVsbG8=', 'QQ==', '%', ''])}</BINVAL></PHOTO>"
        disco = self.some([ns.DISCO_INFO, ns.DISCO_ITEMS])
        return self.some([
            *[request] * 8, f"<query xmlns='{disco}' node={quoteattr(self.some(NODES))}/>",
            f"<query xmlns='{ns.PRIVATE}'>{self.some(PAYLOADS[1:])}</query>",
            f"<vCard xmlns='{ns.VCARD}'>{photo}</vCard>"])

    def stanza(self, number: int) -> str:
        """Anything."""
        to = self.some(["", *(f" to='{one}'" for one in ADDRESSES)])
        if self.random.random() < 0.15:
            caps = f"<c xmlns='{ns.CAPS}' hash='{self.some(['sha-1', 'x', ''])}' node='n' ver='{number}'/>"
            return self.some([
                f"<presence>{pep_kit.caps(self.some(NODES[:7]), client=self.some(['x', 'y']))}</presence>",
                f"<presence>{caps}</presence>", "<presence type='unavailable'/>",
                f"<message{to}>{self.form()}</message>",
                f"<message{to} type='chat'><body>x</body>{MARK}</message>"])
        return f"<iq type='{self.some(['get', 'set'])}' id='q{number}'{to}>{self.payload()}</iq>"


@pytest.fixture
def failures() -> Iterator[list[Any]]:
    """What is logged as a fault of ours."""
    found: list[Any] = []

    def look(event: Any) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            found.append(event)

    globalLogPublisher.addObserver(look)
    yield found
    globalLogPublisher.removeObserver(look)


@pytest_twisted.ensureDeferred
async def test_whatever_is_asked_of_nodes(failures: list[Any]) -> None:
    for run in range(FIRST, FIRST + RUNS):
        author = Author(run)
        world = await pep_kit.open_world(VCard, Avatar, Private, Bookmarks, Displayed)
        people = [await world.client(f"{one}/r") for one in PEOPLE]
        await pep_kit.befriend(people[0], people[1])
        secret = f"<a xmlns='urn:a'>{SECRET}</a>"
        await pep_kit.publish(people[0], "urn:secret", "1", payload=secret, access_model="whitelist")
        for number in range(STEPS):
            asking = author.random.choice(people)
            sent = author.stanza(number)
            for one in people:
                one.got.clear()
            await asking.send_xml(sent)
            if sent.startswith("<iq"):
                answers = [one for one in asking.got if one.name == "iq" and one.id == f"q{number}"
                           and one.type in ("result", "error")]
                # An address of a session is its client's to answer; this one does not.
                is_for_a_client = any(f" to='{one}/r'" in sent for one in PEOPLE)
                assert len(answers) == 1 or is_for_a_client, (run, sent, asking.got)
            for one in people[1:]:
                assert not any(SECRET.encode() in stanza.inner for stanza in one.got), (run, sent)
            assert not failures, (run, sent, failures[0].get("log_failure") or failures[0])
        assert all(one.closed == "open" for one in people)
        await world.close()
