"""Data messages, and what participants say of themselves, between unchanged clients of both kinds."""

from __future__ import annotations

import time

import pytest

from tests.bridge.clients.bridge_process import BridgeProcess, until
from tests.bridge.clients.sdk import Sdk

SEND = """room.localParticipant.publishData(new TextEncoder().encode(x.text), {
    reliable: x.reliable, topic: x.topic, destinationIdentities: x.to })"""


@pytest.fixture
def three(people):
    return people.page("ann"), people.page("ben"), people.sdk("cat")


def heard(page):
    return [e["args"][:3] for e in page.events("DataReceived")]


@pytest.mark.parametrize("reliable", [True, False])
def test_data_to_everybody_and_to_one(three, reliable):
    ann, ben, cat = three
    # Channels open with the first offer; a message sent to a participant who has none yet is not kept.
    for one in (ann, ben):
        one.until("room.engine.dataChannelForKind?.(0)?.readyState !== 'connecting'")
    until(lambda: [p["sid"] for p in cat.state()["others"].values()])

    def send(text, to=()):
        ann.eval(SEND, {"text": text, "reliable": reliable, "topic": "t", "to": list(to)})

    def both_have(text):
        ben.until("seen.some(e => e.event === 'DataReceived' && e.args[1] === x)", argument=text)
        return cat.wait_for(lambda e: e["event"] == "data" and e["text"] == text)

    found = both_have_first(send, both_have)
    assert (found["sender"], found["topic"]) == ("ann", "t")
    # The SDK's own enumeration: 0 is lossy, 1 is reliable.
    assert found["kind"] == (1 if reliable else 0)
    send("for ben", ["ben"])
    send("for all again")
    both_have("for all again")
    assert ["ann", "for ben", "t"] in heard(ben)
    assert not [e for e in cat.events if e["event"] == "data" and e["text"] == "for ben"]
    cat.do("data", text="from the SDK", reliable=reliable, topic="u", to=["ann"])
    ann.wait("DataReceived", "from the SDK")
    assert not [entry for entry in heard(ben) if entry[1] == "from the SDK"]
    assert heard(ann) == [["cat", "from the SDK", "u"]], "nobody hears itself"


def both_have_first(send, both_have):
    """The first message may come before a channel is open."""
    for attempt in range(20):
        send(f"for all {attempt}")
        try:
            return both_have(f"for all {attempt}")
        except AssertionError:
            continue
    raise AssertionError("never")


def test_chat_streams_and_remote_calls(three):
    """All are data packets; nothing of them is the bridge's business."""
    ann, ben, cat = three
    for one in (ann, ben):
        one.eval("""room.registerTextStreamHandler('chat', async (reader, from) => {
            const text = await reader.readAll();
            globalThis.texts = [...(globalThis.texts ?? []), [from.identity, text]] })""")
        one.eval("""room.registerByteStreamHandler('file', async (reader, from) => {
            const parts = await reader.readAll();
            globalThis.bytes = parts.reduce((sum, part) => sum + part.length, 0) })""")
    until(lambda: len(cat.state()["others"]) == 2)
    cat.do("text", text="hello from the SDK")
    long = "a long text " * 20_000
    ann.eval("room.localParticipant.sendText(x, {topic: 'chat'})", long)
    for one in (ann, ben):
        one.until("globalThis.texts?.some(([who, text]) => who === 'cat' && text === 'hello from the SDK')")
    ben.until("globalThis.texts?.some(([who, text]) => who === 'ann' && text === x)", argument=long)
    # A file of 1 MB: some 70 packets.
    ann.eval("""room.localParticipant.sendFile(new File([new Uint8Array(1_000_000)], 'f.bin'), {topic: 'file'})""")
    ben.until("globalThis.bytes === 1_000_000")
    cat.do("answer_rpc", method="greet")
    answer = ann.eval("""room.localParticipant.performRpc(
        {destinationIdentity: 'cat', method: 'greet', payload: 'hi'})""")
    assert answer == "ann: hi"
    ben.eval("room.registerRpcMethod('sum', async (call) => String(call.payload.length))")
    assert cat.do("rpc", to="ben", method="sum", payload="four") == "4"


def test_names_metadata_and_attributes(people):
    own = {"can_update_own_metadata": True}
    ann, ben = people.page("ann", **own), people.page("ben")
    cat = people.sdk("cat", metadata="first", attributes={"mood": "fine"}, **own)
    ben.until("room.remoteParticipants.get('cat')?.metadata === 'first'")
    assert ben.eval("room.remoteParticipants.get('cat').attributes.mood") == "fine"
    cat.do("describe", name="Catherine", metadata="second", attributes={"mood": "", "hand": "up"})
    ben.until("room.remoteParticipants.get('cat').name === 'Catherine'")
    ben.until("room.remoteParticipants.get('cat').metadata === 'second'")
    ben.until("JSON.stringify(room.remoteParticipants.get('cat').attributes) === '{\"hand\":\"up\"}'")
    # The promise is kept when the update has come back; without the grant it fails.
    ann.eval("room.localParticipant.setAttributes({a: '1', b: '2'})")
    ann.eval("room.localParticipant.setName('Anna')")
    until(lambda: cat.state()["others"]["ann"]["attributes"] == {"a": "1", "b": "2"})
    until(lambda: cat.state()["others"]["ann"]["name"] == "Anna")
    failed = ben.eval("room.localParticipant.setMetadata('x').then(() => 'done', (error) => error.message)")
    assert "permission" in failed
    assert ben.warnings() == []


def test_who_may_not_send_data_is_not_heard(people):
    ann, ben, cat = people.page("ann", can_publish_data=False), people.page("ben"), people.sdk("cat")
    until(lambda: len(cat.state()["others"]) == 2)
    ann.eval(SEND + ".catch(() => 0)", {"text": "no", "reliable": True, "topic": "", "to": []})
    cat.do("data", text="yes")
    ben.wait("DataReceived", "yes")
    ann.wait("DataReceived", "yes")
    assert [entry[1] for entry in heard(ben)] == ["yes"]


def test_only_some_may_subscribe(people):
    """setTrackSubscriptionPermissions of both clients."""
    ann, ben, cat = people.page("ann"), people.sdk("ben"), people.sdk("cat")
    ann.publish("camera")
    for one in (ben, cat):
        one.until_seen("ann/camera", 5)
    ann.eval("""room.localParticipant.setTrackSubscriptionPermissions(
        false, [{participantIdentity: 'cat', allowAll: true}])""")
    ben.until_still("ann/camera")
    cat.until_seen("ann/camera", 10)
    ann.eval("room.localParticipant.setTrackSubscriptionPermissions(true)")
    ben.until_seen("ann/camera", 5)
    ben.publish("microphone")
    ann.until_decoded("ben/microphone", 50)
    ben.do("allow", everybody=False, identities=["cat"])
    ann.wait("TrackUnsubscribed", "ben")
    cat.until_seen("ben/microphone", 30)


def test_subscribing_by_hand(people):
    ann, ben = people.page("ann"), people.sdk("ben")
    ann.publish("camera")
    ben.publish("microphone")
    cat = people.sdk("cat", auto_subscribe=False)
    dan = people.page("dan", connect={"autoSubscribe": False})
    until(lambda: {"ann", "ben"} <= set(cat.state()["others"]))
    dan.until("publication('ann', 'camera')")
    dan.eval("publication('ben', 'microphone').setSubscribed(true)")
    dan.until_decoded("ben/microphone", 50)
    cat.do("subscribe", sid=cat.state()["others"]["ann"]["tracks"]["camera"]["sid"])
    cat.until_seen("ann/camera", 5)
    assert list(cat.frames()) == ["ann/camera"]
    assert list(dan.incoming()) == ["ben/microphone"]


def test_hidden_participants_see_and_are_not_seen(people):
    ann, ben = people.page("ann"), people.sdk("ben")
    spy = people.sdk("spy", hidden=True, can_publish=False)
    ann.publish("camera")
    spy.until_seen("ann/camera", 5)
    ben.until_seen("ann/camera", 5)
    assert list(ben.state()["others"]) == ["ann"]
    assert ann.eval("[...room.remoteParticipants.keys()]") == ["ben"]
    # Without the hidden one, and told when it changes.
    ann.until("room.numParticipants === 2")


def test_beyond_the_limit_reliable_messages_wait_and_others_are_dropped():
    bridge = BridgeProcess(limits={"data_bytes_per_second": 500_000, "data_burst_bytes": 100_000})
    ann, ben, cat = (Sdk(bridge, name) for name in ("ann", "ben", "cat"))
    until(lambda: len(ann.state()["others"]) == 2)
    for one in (ben, cat):
        until(lambda one=one: ann.do("data", text="open?") or any(e["event"] == "data" for e in one.events))
    started = time.monotonic()
    for number in range(60):
        ann.do("data", text=f"{number} " + "x" * 10_000, topic="file")
    for number in range(60):
        ann.do("data", text=f"{number} " + "x" * 1000, topic="cursor", reliable=False)
    for one in (ben, cat):
        one.wait_for(lambda e: e["event"] == "data" and e["text"].startswith("59 x"))
        got = [int(e["text"].split()[0]) for e in one.events if e["event"] == "data" and e["topic"] == "file"]
        assert got == list(range(60))
        assert sum(e["event"] == "data" and e["topic"] == "cursor" for e in one.events) < 60
    # 1.5 MB were delivered.
    assert time.monotonic() - started > 1.5
    assert bridge.health()["dropped"]["data rate"] > 0
    for one in (ann, ben, cat):
        one.leave()
    assert bridge.stop() == 0
