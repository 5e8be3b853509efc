"""The subscription table: complete, and in agreement with RFC 6121 3 and Appendix A."""
from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.roster import RosterItem
from chatd.core.subscription import EVENTS, STATES, TABLE, TYPES, Action, inbound, outbound, removal, state_of

JID = "juliet@example.com"


def item_in(state: str, listed: bool = True) -> RosterItem:
    """A roster item in the named state."""
    subscription, *marks = state.split("+")
    return RosterItem(JID, "Juliet", subscription, "out" in marks, b"<presence/>" if "in" in marks else None,
                      "ok" in marks, ("Friends",), listed)


def step(item: RosterItem | None, event: str):
    """The outcome of an event."""
    if event[0] == ">":
        return outbound(item, JID, event[1:])
    return inbound(item, JID, event[1:], b"<presence type='subscribe'/>")


def test_every_state_has_a_row_for_every_event() -> None:
    assert set(TABLE) == {(state, event) for state in STATES for event in EVENTS}
    assert {new for new, _ in TABLE.values()} <= set(STATES)


def test_every_state_can_be_reached_from_none() -> None:
    seen, todo = {"none"}, ["none"]
    while todo:
        state = todo.pop()
        for event in EVENTS:
            new = TABLE[state, event][0]
            if new not in seen:
                seen.add(new)
                todo.append(new)
    assert seen == set(STATES)


@pytest.mark.parametrize("state", STATES)
def test_item_and_state_are_one(state: str) -> None:
    assert state_of(item_in(state)) == state


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_a_push_means_a_visible_change_and_the_other_way_round(state: str, event: str) -> None:
    """RFC 6121 2.1.6: pushes tell of roster changes; a request that waits is none a client sees."""
    before = item_in(state)
    outcome = step(before, event)
    assert outcome.item is not None
    seen = attrs.evolve(before, pending_in=None), attrs.evolve(outcome.item, pending_in=None)
    assert (seen[0] != seen[1]) == (Action.PUSH in outcome.actions)
    assert outcome.changed == (outcome.item != before)
    assert (outcome.item.name, outcome.item.groups) == ("Juliet", ("Friends",))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_presence_follows_the_subscription(state: str, event: str) -> None:
    """Whoever gains our presence is shown it, whoever loses it is told unavailable."""
    new, action = TABLE[state, event]
    was, now = state.startswith(("from", "both")), new.startswith(("from", "both"))
    assert (Action.SHOW in action) == (now and not was)
    assert (Action.HIDE in action) == (was and not now)
    if event[0] == ">":
        assert not action & (Action.DELIVER | Action.REPLY)
    else:
        assert Action.ROUTE not in action
        assert not (Action.DELIVER in action and Action.REPLY in action)


@pytest.mark.parametrize("state", STATES)
def test_nobody_sees_us_who_was_not_let(state: str) -> None:
    """Only our own subscribed (or one given beforehand) lets the contact in."""
    if "+ok" in state:
        return
    for type_ in TYPES:
        after = step(item_in(state), "<" + type_).item
        assert after is not None
        assert item_in(state).may_see_us or not after.may_see_us


# RFC 6121 Appendix A.2 and A.3, written as the RFC writes them: stanza passed on? and the state afterwards.
APPENDIX_A = """
>subscribe none:yes:none+out none+out:yes:= none+in:yes:none+out+in none+out+in:yes:=
>subscribe to:yes:= to+in:yes:= from:yes:from+out from+out:yes:= both:yes:=
>unsubscribe none:yes:= none+out:yes:none none+in:yes:= none+out+in:yes:none+in
>unsubscribe to:yes:none to+in:yes:none+in from:yes:= from+out:yes:from both:yes:from
>subscribed none+in:yes:from none+out+in:yes:from+out to+in:yes:both from:no:= from+out:no:= both:no:=
>unsubscribed none:no:= none+out:no:= none+in:yes:none none+out+in:yes:none+out
>unsubscribed to:no:= to+in:yes:to from:yes:none from+out:yes:none+out both:yes:to
<subscribe none:yes:none+in none+out:yes:none+out+in none+in:no:= none+out+in:no:=
<subscribe to:yes:to+in to+in:no:= from:no:= from+out:no:= both:no:=
<unsubscribe none:no:= none+out:no:= none+in:yes:none none+out+in:yes:none+out
<unsubscribe to:no:= to+in:yes:to from:yes:none from+out:yes:none+out both:yes:to
<subscribed none:no:= none+out:yes:to none+in:no:= none+out+in:yes:to+in
<subscribed to:no:= to+in:no:= from:no:= from+out:yes:both both:no:=
<unsubscribed none:no:= none+out:yes:none none+in:no:= none+out+in:yes:none+in
<unsubscribed to:yes:none to+in:yes:none+in from:no:= from+out:yes:from both:yes:from
"""


def test_appendix_a() -> None:
    checked = 0
    for line in APPENDIX_A.strip().splitlines():
        event, *cells = line.split()
        for cell in cells:
            state, passed, new = cell.split(":")
            got, action = TABLE[state, event]
            assert got == (state if new == "=" else new), (state, event)
            assert bool(action & (Action.ROUTE | Action.DELIVER)) == (passed == "yes"), (state, event)
            checked += 1
    assert checked == 9 * 8 - 3  # the three cells of '>subscribed' that pre-approval replaces


def test_pre_approval() -> None:
    """RFC 6121 3.4: kept here, granted when the request comes, taken back silently."""
    given_ = outbound(None, JID, "subscribed")
    assert given_.item == RosterItem(JID, approved=True)
    assert given_.actions == Action.PUSH
    asked = inbound(given_.item, JID, "subscribe", b"x")
    assert asked.item == RosterItem(JID, subscription="from")
    assert asked.actions == Action.REPLY | Action.PUSH | Action.SHOW
    back = outbound(given_.item, JID, "unsubscribed")
    assert back.item == RosterItem(JID) and back.actions == Action.PUSH


def test_stranger_asks_and_is_refused_without_a_trace() -> None:
    asked = inbound(None, JID, "subscribe", b"<presence type='subscribe'/>")
    assert asked.item == RosterItem(JID, pending_in=b"<presence type='subscribe'/>", listed=False)
    assert asked.actions == Action.DELIVER and asked.changed
    again = inbound(asked.item, JID, "subscribe", b"other")
    assert again.actions == Action.IGNORE and not again.changed and again.item == asked.item
    refused = outbound(asked.item, JID, "unsubscribed")
    assert refused.item is None and refused.changed and refused.actions == Action.ROUTE
    granted = outbound(asked.item, JID, "subscribed")
    assert granted.item == RosterItem(JID, subscription="from")


def test_stranger_leaves_no_trace_otherwise() -> None:
    for type_ in ("subscribed", "unsubscribe", "unsubscribed"):
        outcome = inbound(None, JID, type_, b"x")
        assert outcome.item is None and not outcome.changed and outcome.actions == Action.IGNORE


def test_removal() -> None:
    assert removal(item_in("both")) == (("unsubscribe", "unsubscribed"), True)
    assert removal(item_in("none+out")) == (("unsubscribe",), False)
    assert removal(item_in("none+in")) == (("unsubscribed",), False)
    assert removal(item_in("to")) == (("unsubscribe",), False)
    assert removal(item_in("from")) == (("unsubscribed",), True)
    assert removal(item_in("none")) == ((), False)


@given(st.lists(st.tuples(st.sampled_from(("a", "b")), st.sampled_from(TYPES)), max_size=40))
def test_two_servers_agree_when_every_stanza_arrives(events: list[tuple[str, str]]) -> None:
    """Two accounts, one event after the other: what one is 'from' the other is 'to', whatever the order."""
    items: dict[str, RosterItem | None] = {"a": None, "b": None}
    for who, type_ in events:
        other = "b" if who == "a" else "a"
        sent = outbound(items[who], other, type_)
        items[who] = sent.item
        queue = [(who, other, type_)] if Action.ROUTE in sent.actions else []
        while queue:
            source, target, kind = queue.pop()
            got = inbound(items[target], source, kind, b"x")
            items[target] = got.item
            if Action.REPLY in got.actions:
                queue.append((target, source, "subscribed"))
        for one, two in (("a", "b"), ("b", "a")):
            mine, theirs = items[one] or RosterItem(two), items[two] or RosterItem(one)
            assert mine.may_see_us == theirs.shows_us
            assert mine.ask == (theirs.pending_in is not None)
