"""Two people and their devices, with slixmpp, against the daemon: item by item what the foundation promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from slixmpp.exceptions import IqError

from tests.daemon import DOMAIN, HOST, OTHER, PASSWORD, Daemon, running
from tests.integration.slix import Client, befriend, children

ALICE, BOB, CAROL = f"alice@{DOMAIN}", f"bob@{OTHER}", f"carol@{DOMAIN}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of this file."""
    with running(Path(tmp_path_factory.mktemp("chatd"))) as made:
        yield made


def scenario(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs a coroutine test by asyncio, with accounts of its own: `people(name, ...)` gives fresh addresses."""

    @wraps(test)
    def run(daemon: Daemon) -> None:
        serial = _serial()

        def people(*names: str, domain: str = DOMAIN) -> list[str]:
            addresses = [f"{name}{serial}@{domain}" for name in names]
            daemon.add(*addresses)
            return addresses

        asyncio.run(asyncio.wait_for(test(daemon, people), 60))     # type: ignore[arg-type]

    del run.__wrapped__             # type: ignore[attr-defined]  # pytest would look for `people`
    return run


_count = iter(range(10**6))


def _serial() -> int:
    return next(_count)


People = Callable[..., list[str]]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
@pytest.mark.parametrize("direct_tls", [False, True])
def test_every_way_to_log_in(daemon: Daemon, mechanism: str, direct_tls: bool) -> None:
    """STARTTLS and direct TLS, each mechanism slixmpp has (no -PLUS: Python's ssl has no tls-exporter); a wrong
    password is refused."""
    name = f"{mechanism.lower()}-{direct_tls}@{DOMAIN}"
    daemon.add(name)

    async def run() -> None:
        async with Client(daemon, name, mechanism=mechanism, direct_tls=direct_tls) as client:
            assert client.boundjid.bare == name.lower()
        with pytest.raises(AssertionError, match="log-in failed"):
            await Client(daemon, name, "wrong", mechanism=mechanism, direct_tls=direct_tls).login()

    asyncio.run(run())


@scenario
async def test_become_contacts_and_chat(daemon: Daemon, people: People) -> None:
    """Request, approval, presence, chat both ways, across two domains of one daemon."""
    [a] = people("alice")
    [b] = people("bob", domain=OTHER)
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        await befriend(alice, bob)
        assert alice.client_roster[b]["subscription"] == "both"
        alice.send_message(mto=b, mbody="hello  \t ", mtype="chat")
        got = await bob.message()
        assert got["body"] == "hello  \t ", "trailing blanks belong to the sender"
        assert got["from"] == alice.boundjid
        bob.send_message(mto=got["from"], mbody="hi", mtype="chat")
        assert (await alice.text("hi"))["from"] == bob.boundjid
        bob.send_presence(pshow="away", pstatus="lunch")
        seen = await alice.presence_of(bob.boundjid.full)
        assert (seen["show"], seen["status"]) == ("away", "lunch")


@scenario
async def test_roster_groups_and_pushes(daemon: Daemon, people: People) -> None:
    """What one device changes the other is told; a later log-in reads it."""
    a, b = people("alice", "bob")
    async with Client(daemon, a + "/desk") as desk, Client(daemon, a + "/phone") as phone:
        pushed = asyncio.ensure_future(phone.wait_until("roster_update", 10))
        await desk.update_roster(b, name="Bob B.", groups=["Friends", "Work"])
        await pushed
        assert phone.client_roster[b]["name"] == "Bob B."
        assert sorted(phone.client_roster[b]["groups"]) == ["Friends", "Work"]
    async with Client(daemon, a) as later:
        assert sorted(later.client_roster[b]["groups"]) == ["Friends", "Work"]
        await later.del_roster_item(b)
    async with Client(daemon, a) as latest:
        assert b not in latest.client_roster


@scenario
async def test_offline_messages(daemon: Daemon, people: People) -> None:
    """XEP-0160: kept while nobody is there, in order, with the time of sending, once."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice:
        for number in range(5):
            alice.send_message(mto=b, mbody=f"m{number}", mtype="chat")
        await alice.plugin["xep_0199"].ping(DOMAIN)
        async with Client(daemon, b) as bob:
            got = [await bob.message() for _ in range(5)]
            assert [stanza["body"] for stanza in got] == [f"m{number}" for number in range(5)]
            assert all(stanza["delay"]["stamp"] for stanza in got)
            await bob.plugin["xep_0199"].ping(DOMAIN)       # behind the acknowledgement of what came
        async with Client(daemon, b) as bob:
            assert await bob.nothing_before(alice, "marker") == []


@scenario
async def test_carbons(daemon: Daemon, people: People) -> None:
    """XEP-0280: both directions reach the other device, private messages do not."""
    a, b = people("alice", "bob")
    async with Client(daemon, a + "/desk") as desk, Client(daemon, a + "/phone") as phone, Client(daemon, b) as bob:
        received: asyncio.Queue[Any] = asyncio.Queue()
        sent: asyncio.Queue[Any] = asyncio.Queue()
        phone.add_event_handler("carbon_received", received.put_nowait)
        phone.add_event_handler("carbon_sent", sent.put_nowait)
        await phone.plugin["xep_0280"].enable()
        bob.send_message(mto=desk.boundjid.full, mbody="in", mtype="chat")
        await desk.text("in")
        copy = await asyncio.wait_for(received.get(), 10)
        assert copy["carbon_received"]["body"] == "in"
        desk.send_message(mto=b, mbody="out", mtype="chat")
        copy = await asyncio.wait_for(sent.get(), 10)
        assert copy["carbon_sent"]["body"] == "out"
        assert copy["from"].bare == a
        private = desk.make_message(mto=b, mbody="quiet", mtype="chat")
        private["carbon_private"] = True
        private.send()
        await bob.text("quiet")
        assert await phone.nothing_before(bob, "marker") == []
        assert sent.empty()


@scenario
async def test_archive(daemon: Daemon, people: People) -> None:
    """XEP-0313: both sides, paging, filters, ids that equal the stanza-id delivered, preferences."""
    a, b, c = people("alice", "bob", "carol")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        ids = []
        for number in range(12):
            alice.send_message(mto=b, mbody=f"m{number}", mtype="chat")
            ids.append((await bob.text(f"m{number}"))["stanza_id"]["id"])
        alice.send_message(mto=c, mbody="to carol", mtype="chat")
        mam = bob.plugin["xep_0313"]
        result = await mam.retrieve(rsm={"max": "5"})
        found = result["mam"]["results"]
        assert [stanza["mam_result"]["forwarded"]["stanza"]["body"] for stanza in found] == [f"m{n}" for n in range(5)]
        assert [stanza["mam_result"]["id"] for stanza in found] == ids[:5]
        last = await bob.ask("set", "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"
                                    "<max>5</max><before/></set></query>")
        rsm = last.xml.find("{urn:xmpp:mam:2}fin/{http://jabber.org/protocol/rsm}set")
        assert [element.text for element in rsm] == [ids[7], ids[11], "12"]
        own = await alice.plugin["xep_0313"].retrieve(with_jid=c)
        assert [s["mam_result"]["forwarded"]["stanza"]["body"] for s in own["mam"]["results"]] == ["to carol"]
        await alice.ask("set", f"<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>{b}</jid></always><never/>"
                               "</prefs>")
        alice.send_message(mto=c, mbody="unkept", mtype="chat")
        alice.send_message(mto=b, mbody="kept", mtype="chat")
        await bob.text("kept")
        own = await alice.plugin["xep_0313"].retrieve(rsm={"max": "50"})
        bodies = [s["mam_result"]["forwarded"]["stanza"]["body"] for s in own["mam"]["results"]]
        assert bodies[-1] == "kept" and "unkept" not in bodies


@scenario
async def test_forged_stanza_ids_are_taken_out(daemon: Daemon, people: People) -> None:
    """XEP-0359: only the archive's own id claims to be by the account."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        message = alice.make_message(mto=b, mbody="forged", mtype="chat")
        message["stanza_id"]["by"] = b
        message["stanza_id"]["id"] = "evil"
        message.send()
        got = await bob.text("forged")
        ids = got.xml.findall("{urn:xmpp:sid:0}stanza-id")
        assert [element.get("by") for element in ids] == [b]
        assert ids[0].get("id") != "evil"


@scenario
async def test_client_state(daemon: Daemon, people: People) -> None:
    """XEP-0352: presence waits while nobody looks, messages do not."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        await befriend(alice, bob)
        bob.plugin["xep_0352"].send_inactive()
        await bob.plugin["xep_0199"].ping(DOMAIN)
        while not bob.presences.empty():
            bob.presences.get_nowait()
        alice.send_presence(pstatus="one")
        alice.send_presence(pstatus="two")
        await alice.presence_of(alice.boundjid.full)
        await alice.plugin["xep_0199"].ping(DOMAIN)
        assert bob.presences.empty()
        bob.plugin["xep_0352"].send_active()
        assert (await bob.presence_of(alice.boundjid.full))["status"] == "two"


@scenario
async def test_what_the_server_says_of_itself(daemon: Daemon, people: People) -> None:
    """disco, caps, ping, version, time, last activity."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        info = await alice.plugin["xep_0030"].get_info(jid=DOMAIN)
        features = info["disco_info"]["features"]
        assert {"urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:blocking", "urn:xmpp:carbons:2"} <= set(features)
        assert ("server", "im") in {identity[:2] for identity in info["disco_info"]["identities"]}
        account = await alice.plugin["xep_0030"].get_info(jid=a)
        assert {"urn:xmpp:mam:2", "urn:xmpp:sid:0"} <= set(account["disco_info"]["features"])
        assert (await alice.plugin["xep_0199"].ping(DOMAIN)) is not None
        version = await alice.plugin["xep_0092"].get_version(DOMAIN)
        assert version["software_version"]["name"] == "chatd"
        time = await alice.plugin["xep_0202"].get_entity_time(DOMAIN)
        assert time.xml.findtext("{urn:xmpp:time}time/{urn:xmpp:time}utc").endswith("Z")
        uptime = await alice.plugin["xep_0012"].get_last_activity(DOMAIN)
        assert uptime["last_activity"]["seconds"] >= 0
        with pytest.raises(IqError) as refused:
            await alice.plugin["xep_0012"].get_last_activity(b)
        assert refused.value.condition in ("forbidden", "service-unavailable")
        await befriend(alice, bob)
        assert (await alice.plugin["xep_0012"].get_last_activity(b))["last_activity"]["seconds"] == 0


@scenario
async def test_vcard_private_storage(daemon: Daemon, people: People) -> None:
    """XEP-0054, 0049: kept, others' vCards readable, private storage not."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        await alice.ask("set", "<vCard xmlns='vcard-temp'><FN>Alice A.</FN></vCard>")
        seen = await bob.ask("get", "<vCard xmlns='vcard-temp'/>", to=a)
        assert seen.xml.find("{vcard-temp}vCard/{vcard-temp}FN").text == "Alice A."
        with pytest.raises(IqError):
            await bob.ask("set", "<vCard xmlns='vcard-temp'><FN>Not Alice</FN></vCard>", to=a)
        await alice.ask("set", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'>mine</x></query>")
        got = await alice.ask("get", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>")
        assert got.xml.find("{jabber:iq:private}query/{urn:x}x").text == "mine"
        with pytest.raises(IqError):
            await bob.ask("get", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>", to=a)


@scenario
async def test_blocking(daemon: Daemon, people: People) -> None:
    """XEP-0191: messages refused, presence withdrawn, and back after unblocking."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        await befriend(alice, bob)
        await alice.plugin["xep_0191"].block(b)
        await bob.presence_of(alice.boundjid.full, "unavailable")
        bob.send_message(mto=a, mbody="hello?", mtype="chat")
        refused = await bob.message(lambda stanza: stanza["type"] == "error")
        assert refused["error"]["condition"] == "service-unavailable"
        alice.send_message(mto=b, mbody="x", mtype="chat")
        refused = await alice.message(lambda stanza: stanza["type"] == "error")
        assert refused["error"]["condition"] == "not-acceptable"
        await alice.plugin["xep_0191"].unblock(b)
        await bob.presence_of(alice.boundjid.full)
        bob.send_message(mto=a, mbody="hello!", mtype="chat")
        await alice.text("hello!")


@scenario
async def test_resource_conflict_and_priority(daemon: Daemon, people: People) -> None:
    """The same resource twice: the older is told conflict. A negative priority gets nothing for the bare address."""
    a, b = people("alice", "bob")
    older = Client(daemon, a + "/same")
    await older.login()
    async with Client(daemon, a + "/same", plugins=()) as newer, Client(daemon, b) as bob:
        error = await asyncio.wait_for(older.failed, 10)
        assert error["condition"] == "conflict"
        older.abort()
        newer.send_presence(ppriority=-1)
        await newer.presence_of(newer.boundjid.full)
        async with Client(daemon, a + "/other") as other:
            bob.send_message(mto=a, mbody="where", mtype="chat")
            await other.text("where")
            assert await newer.nothing_before(bob, "direct") == []


@scenario
async def test_the_log_holds_no_secret(daemon: Daemon, people: People) -> None:
    """Neither password nor message."""
    a, b = people("alice", "bob")
    async with Client(daemon, a, mechanism="PLAIN") as alice, Client(daemon, b) as bob:
        alice.send_message(mto=b, mbody="this-is-between-us", mtype="chat")
        await bob.text("this-is-between-us")
    log = daemon.log.read_text()
    assert "this-is-between-us" not in log and PASSWORD not in log


def test_full_address_at_another_host(daemon: Daemon) -> None:
    """eM Client's way: the stream goes to the server's name, the user name is the full address."""
    daemon.add(f"em@{OTHER}")

    async def run() -> None:
        client = Client(daemon, f"em@{OTHER}", mechanism="SCRAM-SHA-1")
        client.credentials["username"] = f"em@{OTHER}"
        client.default_domain = HOST
        client.stream_header = client.stream_header.replace(f"to='{OTHER}'", f"to='{HOST}'")
        assert HOST in client.stream_header
        await client.login()
        assert client.boundjid.bare == f"em@{OTHER}"
        await client.logout()

    asyncio.run(run())


@scenario
async def test_children_of_a_delivered_message_are_the_senders(daemon: Daemon, people: People) -> None:
    """Nothing but a stanza-id is added, nothing is lost."""
    a, b = people("alice", "bob")
    async with Client(daemon, a) as alice, Client(daemon, b) as bob:
        alice.send_raw(f"<message to='{b}' type='chat' id='i1' xml:lang='de'><body>x</body>"
                       "<a xmlns='urn:a'><b c='d'/></a><thread>t</thread></message>")
        got = await bob.text("x")
        assert children(got) == [
            "{jabber:client}body", "{urn:a}a", "{jabber:client}thread", "{urn:xmpp:sid:0}stanza-id"]
        assert got["lang"] == "de" and got["id"] == "i1"
