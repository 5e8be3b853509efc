"""Names and addresses of meetings, and what a media engine is told of who may what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.jid import JID
from chatd.core.meeting import SOURCES, TOKEN_BYTES, fit_emoji, grants_for, is_meeting_id, meeting_id, slug
from chatd.core.recording_conditions import CONDITIONS, condition_of


@pytest.mark.parametrize(("name", "expected"), [
    ("Weekly review", "weekly-review"), ("", "meeting"), ("  ", "meeting"), ("Größe & Maß!", "grosse-mass"),
    ("会議", "meeting"), ("a--b__c", "a-b-c"), ("x" * 200, "x" * 40), ("../../etc", "etc"), ("Ångström", "angstrom"),
    (("ab " * 14), "ab-" * 13 + "a")])
def test_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text(max_size=120), st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES))
def test_an_id_is_an_address_and_a_path(name: str, random: bytes) -> None:
    """Whatever the name: one path segment that needs no escaping, and a local part that stays as it is."""
    found = meeting_id(name, random)
    assert is_meeting_id(found)
    assert JID.of(found, "meet.example.com").local == found
    assert found == meeting_id(name, random)


def test_other_random_bytes_other_id() -> None:
    assert meeting_id("x", bytes(TOKEN_BYTES)) != meeting_id("x", b"\1" + bytes(TOKEN_BYTES - 1))
    with pytest.raises(ValueError):
        meeting_id("x", b"short")


@pytest.mark.parametrize("text", [
    "", "meeting", "meeting-", "meeting-abc", "-" + "a" * 20, "Meeting-" + "a" * 20, "meeting-" + "a" * 19 + "1",
    "meeting-" + "a" * 20 + "\n", "a" * 60 + "-" + "a" * 20, "me/ting-" + "a" * 20, "meeting--" + "a" * 20])
def test_no_id(text: str) -> None:
    assert not is_meeting_id(text)


def test_grants() -> None:
    everything = grants_for(SOURCES)
    assert everything.may_publish and set(everything.sources) == {
        "microphone", "camera", "screen_share", "screen_share_audio"}
    assert grants_for(("camera", "chat")).sources == ("camera",)
    nothing = grants_for(("chat",))
    assert not nothing.may_publish and nothing.may_subscribe
    assert not everything.may_publish_data and not everything.may_update_own_metadata and not everything.is_admin


@pytest.mark.parametrize("text", ["\N{CLAPPING HANDS SIGN}", "\N{HEAVY BLACK HEART}\ufe0f", "\U0001f44d\U0001f3fd",
                                  "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1e9\U0001f1ea"])
def test_reactions(text: str) -> None:
    assert fit_emoji(text)


@pytest.mark.parametrize("text", ["", "hello", "ok", "7", "\U0001f44f hi", "\U0001f44f" * 17, "\U0001f44f\n", "\u5b57",
                                  "\U0001f44f \U0001f44f"])
def test_what_can_be_read_is_chat(text: str) -> None:
    assert not fit_emoji(text)


@pytest.mark.parametrize(("problem", "condition"), [
    ("", ""),
    ("No space left on device: '/srv/recordings/x.webm'.", "no-space"),
    ("There is less than 512 MB left on the disk.", "no-space"),
    ("The media server was restarted meanwhile.", "server-restarted"),
    ("The file is not where this server looks for it.", "file-missing"),
    ("Nothing was recorded (codec video/h265).", "nothing-recorded"),
    ("There is no journal to read: [Errno 2] No such file or directory: '/srv/x/journal.jsonl'.", "recording-lost"),
    ("[Errno 2] No such file or directory: '/srv/x/TR_1.webm'.", "recording-lost"),
    ("The composing process failed.", "not-composed"),
    ("Permission denied.", "not-written"),
    ("The recording broke off.", "broke-off"),
    ("Internal error: KeyError('x').", "other"),
])
def test_why_there_is_no_recording(problem: str, condition: str) -> None:
    """What the bridge and LiveKit say is one of the words that pages know."""
    assert condition_of(problem) == condition
    assert not condition or condition in CONDITIONS
