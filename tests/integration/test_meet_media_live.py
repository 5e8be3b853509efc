"""A meeting with the real daemon, its real bridge and LiveKit's own SDK: what a moderator forbids, no client can do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.bridge.clients.line_process import Failed
from tests.bridge.clients.sdk import Sdk
from tests.daemon import DOMAIN
from tests.integration.visitors import Visitor, host, make, page
from tests.media_daemon import MediaDaemon, running_media, until
from tests.raw import CLIENT

JOHN, BOB = f"john@{DOMAIN}", f"bob@{DOMAIN}"
SMALL = {"width": 320, "height": 180}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    """One daemon with its bridge for the tests of this file."""
    with running_media(tmp_path_factory.mktemp("chatd"), JOHN, BOB) as made:
        yield made


class Attendee:
    """Somebody in a meeting with chat and media."""

    def __init__(self, daemon: MediaDaemon, visitor: Visitor, room: str) -> None:
        self.visitor, self.room = visitor, room
        found = visitor.learn(room, "media")
        self.identity, self.token = found.attrib["identity"], found.text or ""
        self.media = Sdk(daemon, self.identity, token=self.token)   # type: ignore[arg-type]

    def close(self) -> None:
        """Gone."""
        self.visitor.close()
        self.media.leave()


@pytest.fixture
def meeting(daemon: MediaDaemon) -> Iterator[tuple[str, Attendee, Attendee, Attendee]]:
    """John, who made it, Bob and a guest, Ada, with microphones and cameras on."""
    with host(daemon) as john, host(daemon, "bob") as bob:
        room = make(john)
        visitors = [page(daemon, john, room, "John"), page(daemon, bob, room, "Bob"), Visitor(daemon).come()]
        assert visitors[2].enter(room, "Ada") == ""
        people = [Attendee(daemon, visitor, room) for visitor in visitors]
        for one in people:
            one.media.publish("microphone")
            one.media.publish("camera", **SMALL)
        yield room, people[0], people[1], people[2]
        for one in people:
            one.close()


def sources(of: Attendee, seen_by: Attendee) -> dict[str, bool]:
    """What `of` has on, as another one knows: source -> is muted."""
    other = seen_by.media.state()["others"].get(of.identity)
    return {} if other is None else {source: track["muted"] for source, track in other["tracks"].items()}


def cannot_publish(*attempts: tuple[Attendee, str]) -> bool:
    """All of these fail; at the same time, because the SDK takes ten seconds to give up."""
    def fails(attempt: tuple[Attendee, str]) -> bool:
        try:
            attempt[0].media.publish(attempt[1])
        except Failed:
            return True
        return False

    with ThreadPoolExecutor() as pool:
        return all(pool.map(fails, attempts))


def test_forbidden_is_forbidden(daemon: MediaDaemon, meeting: tuple[str, Attendee, Attendee, Attendee]) -> None:
    """Muting one and all; who may not unmute cannot; leave for one; the rule reaches who comes later."""
    room, john, bob, ada = meeting
    for one in (bob, ada):
        one.media.until_seen(f"{john.identity}/camera", 5)
    john.media.until_seen(f"{ada.identity}/camera", 5)
    until(lambda: sources(bob, ada).keys() == sources(ada, bob).keys() == {"camera", "microphone"}, "all is there")

    assert john.visitor.command(room, "mute nick='Ada' source='microphone'/>") == ""
    until(lambda: sources(ada, bob).get("microphone") is True, "Ada is muted")
    assert sources(bob, ada)["microphone"] is False
    ada.media.do("mute", source="microphone", muted=False)
    until(lambda: sources(ada, bob).get("microphone") is False, "she may unmute as long as that is allowed")

    assert john.visitor.command(room, "mute source='microphone'/>") == ""
    until(lambda: sources(ada, bob).get("microphone") and sources(bob, ada).get("microphone"), "both are muted")
    assert john.visitor.command(room, "allow microphone='false' screen='false'/>") == ""
    ada.visitor.until_shown("Ada", may="camera chat")
    until(lambda: "microphone" not in sources(ada, bob) and "microphone" not in sources(bob, ada), "taken away")
    assert "microphone" in sources(john, ada), "moderators keep theirs"
    assert cannot_publish((ada, "microphone"), (ada, "screen_share"), (bob, "microphone"))
    assert set(sources(ada, bob)) == {"camera"}

    assert john.visitor.command(room, "allow nick='Ada' microphone='true'/>") == ""
    ada.visitor.until_shown("Ada", may="microphone camera chat")
    ada.media.publish("microphone")
    until(lambda: sources(ada, bob).get("microphone") is False, "Ada has leave")
    with Visitor(daemon).come() as late:
        assert late.enter(room, "Late") == ""
        newcomer = Attendee(daemon, late, room)
        assert cannot_publish((newcomer, "microphone"), (bob, "microphone"))
        newcomer.media.publish("camera", **SMALL)
        until(lambda: set(sources(newcomer, bob)) == {"camera"}, "the camera is allowed")
        newcomer.media.leave()


def test_whoever_is_put_out_is_out(daemon: MediaDaemon, meeting: tuple[str, Attendee, Attendee, Attendee]) -> None:
    """Removed: the media end at once, and neither the old token nor the SDK's own comes in again."""
    room, john, bob, ada = meeting
    until(lambda: sources(ada, bob), "Ada is there")
    assert john.visitor.command(room, "remove nick='Ada'/>") == ""
    ada.media.wait("disconnected")
    until(lambda: ada.identity not in bob.media.state()["others"], "gone for the others")
    eve = Sdk(daemon, "eve", token=ada.token, joins=False)      # type: ignore[arg-type]
    with pytest.raises(Failed, match=r"(?i)401|unauthorized|not in this meeting"):
        eve.join()
    eve.leave()
    assert ada.visitor.enter(room, "Ada") == "forbidden"
    # A kick ends the media as well, but lets come back, with another identity.
    admin = "http://jabber.org/protocol/muc#admin"
    answer = john.visitor.ask("set", f"<query xmlns='{admin}'><item nick='Bob' role='none'/></query>", room)
    assert answer.get("type") == "result"
    bob.media.wait("disconnected")
    assert bob.visitor.enter(room, "Bob") == ""
    again = Attendee(daemon, bob.visitor, room)
    assert again.identity != bob.identity
    until(lambda: again.identity in john.media.state()["others"], "Bob is back")
    again.media.leave()


def test_who_leaves_the_room_leaves_the_media(daemon: MediaDaemon,
                                              meeting: tuple[str, Attendee, Attendee, Attendee]) -> None:
    """By presence, and by the end of the XMPP session."""
    room, john, bob, ada = meeting
    ada.visitor.send(f"<presence to='{room}/Ada' type='unavailable'/>")
    ada.media.wait("disconnected")
    bob.visitor.close()
    bob.media.wait("disconnected")
    until(lambda: not john.media.state()["others"], "John is alone")


def test_forged_tokens(daemon: MediaDaemon, meeting: tuple[str, Attendee, Attendee, Attendee]) -> None:
    """Of a key that is not ours; with our key, for nobody in the room; for a room that does not exist."""
    room, john, bob, ada = meeting
    outside = Visitor(daemon).come()
    answer = outside.ask("get", "<media xmlns='urn:chatd:meet:0'/>", room)
    assert answer.find(f"{CLIENT}error/*") is not None
    outside.close()
    head, claims, signature = ada.token.split(".")
    tokens = [f"{head}.{claims}.{signature[:-4]}AAAA", daemon.token("stranger", room),
              daemon.token(ada.identity, "talk-aaaaaaaaaaaaaaaaaaaa@meet." + DOMAIN)]
    for token in tokens:
        eve = Sdk(daemon, "eve", token=token, joins=False)      # type: ignore[arg-type]
        with pytest.raises(Failed, match=r"(?i)401|unauthorized|invalid|not in this meeting"):
            eve.join()
        eve.leave()
    assert set(john.media.state()["others"]) == {bob.identity, ada.identity}


def test_the_end_for_all(daemon: MediaDaemon, meeting: tuple[str, Attendee, Attendee, Attendee]) -> None:
    """Everybody's media end at once, and come again for who comes again."""
    room, john, bob, ada = meeting
    assert john.visitor.command(room, "end/>") == ""
    for one in (john, bob, ada):
        one.media.wait("disconnected")
    with pytest.raises(Failed, match=r"(?i)401|unauthorized|not in this meeting"):
        ada.media.join()
    assert bob.visitor.enter(room, "Bob") == ""
    again = Attendee(daemon, bob.visitor, room)
    assert again.media.state()["others"] == {}
    again.media.leave()


def test_screens_and_data(daemon: MediaDaemon, meeting: tuple[str, Attendee, Attendee, Attendee]) -> None:
    """A shared screen ends when sharing is forbidden; nobody talks past the room by data packets."""
    room, john, bob, ada = meeting
    ada.media.publish("screen_share", **SMALL)
    until(lambda: "screen_share" in sources(ada, bob), "the screen is shared")
    assert john.visitor.command(room, "allow screen='false'/>") == ""
    until(lambda: "screen_share" not in sources(ada, bob), "and is not")
    mark = len(bob.media.events)
    with suppress(Failed):
        ada.media.do("data", text="psst")
    ada.visitor.send(f"<message to='{room}' type='groupchat'><body>after that</body></message>")
    while bob.visitor.until("message").findtext(CLIENT + "body") != "after that":
        pass
    ada.media.do("mute", source="camera")
    until(lambda: sources(ada, bob).get("camera"), "what came later has come")
    assert not [one for one in bob.media.events[mark:] if one["event"] == "data"]
