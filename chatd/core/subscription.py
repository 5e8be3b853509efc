"""Presence subscriptions: one table, state x event -> new state and what to do. RFC 6121 3 and Appendix A.

A state says what one account's roster holds about one contact. Its words: ``to`` we see the contact, ``from``
the contact sees us, ``both``; ``+out`` our request waits for the contact; ``+in`` the contact's request waits
for us; ``+ok`` the next request of the contact is approved beforehand (RFC 6121 3.4). A contact that is not
in the roster at all is in state ``none``.

An event is one of the four subscription stanzas, sent by us (``>``) or received from the contact (``<``).
Every state has a row for every event; what RFC 6121 tells a server to ignore stands there as such (`IGNORE`).

This module does not send, store or deliver: the caller does what the `Outcome` says, in its order.
"""
from __future__ import annotations

import enum

import attrs

from chatd.core.roster import RosterItem

TYPES = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")
"""The presence types this table is about."""


class Action(enum.Flag):
    """What the caller has to do after storing the new item; several at once, carried out in this order."""

    IGNORE = 0
    ROUTE = enum.auto()
    """Pass our stanza on to the contact, its 'from' being our bare JID."""
    DELIVER = enum.auto()
    """Hand the contact's stanza to our interested resources (subscribe: to the available ones, and again to
    each that becomes available while the request waits; RFC 6121 3.1.3)."""
    REPLY = enum.auto()
    """Answer the contact's subscribe with 'subscribed' in our name, showing nothing to our clients
    (RFC 6121 3.1.3 rule 2, 3.4.2)."""
    PUSH = enum.auto()
    """Roster push of the new item to our interested resources."""
    SHOW = enum.auto()
    """Send the contact the presence of each of our available resources (RFC 6121 3.1.5)."""
    HIDE = enum.auto()
    """Send the contact unavailable from each of our available resources (RFC 6121 3.2.2, 3.3.3)."""


@attrs.frozen
class Outcome:
    """item: the roster item afterwards, None if nothing is to be kept. changed: differs from before, so store
    it (or remove it, when None). actions: see Action."""

    item: RosterItem | None
    changed: bool
    actions: Action


STATES = ("none", "none+out", "none+in", "none+out+in", "to", "to+in", "from", "from+out", "both",
          "none+ok", "none+out+ok", "to+ok")
EVENTS = (">subscribe", ">unsubscribe", ">subscribed", ">unsubscribed",
          "<subscribe", "<unsubscribe", "<subscribed", "<unsubscribed")

_I = Action.IGNORE
_R = Action.ROUTE
_RP = Action.ROUTE | Action.PUSH
_RS = Action.ROUTE | Action.PUSH | Action.SHOW
_RH = Action.ROUTE | Action.PUSH | Action.HIDE
_P = Action.PUSH
_D = Action.DELIVER
_DP = Action.DELIVER | Action.PUSH
_DH = Action.DELIVER | Action.PUSH | Action.HIDE
_A = Action.REPLY
_AS = Action.REPLY | Action.PUSH | Action.SHOW

# One row an event, one column a state, in the order of STATES. "=" stays.
_ROWS: dict[str, tuple[tuple[str, Action], ...]] = {
    # A.2.1: always routed, so that a contact's server that lost its state can set it right.
    ">subscribe": (
        ("none+out", _RP), ("=", _R), ("none+out+in", _RP), ("=", _R),                    # none...
        ("=", _R), ("=", _R), ("from+out", _RP), ("=", _R), ("=", _R),                    # to, from, both
        ("none+out+ok", _RP), ("=", _R), ("=", _R)),                                      # approved
    # A.2.2
    ">unsubscribe": (
        ("=", _R), ("none", _RP), ("=", _R), ("none+in", _RP),
        ("none", _RP), ("none+in", _RP), ("=", _R), ("from", _RP), ("from", _RP),
        ("=", _R), ("none+ok", _RP), ("none+ok", _RP)),
    # A.2.3, and 3.4.1: without a request to answer it is a pre-approval, which never leaves the server.
    ">subscribed": (
        ("none+ok", _P), ("none+out+ok", _P), ("from", _RS), ("from+out", _RS),
        ("to+ok", _P), ("both", _RS), ("=", _I), ("=", _I), ("=", _I),
        ("=", _I), ("=", _I), ("=", _I)),
    # A.2.4, and 3.4.1: it takes back a pre-approval without telling the contact.
    ">unsubscribed": (
        ("=", _I), ("=", _I), ("none", _R), ("none+out", _R),
        ("=", _I), ("to", _R), ("none", _RH), ("none+out", _RH), ("to", _RH),
        ("none", _P), ("none+out", _P), ("to", _P)),
    # A.3.1, and 3.4.2: a pre-approved request is granted at once. A second request while the first waits is
    # not shown again.
    "<subscribe": (
        ("none+in", _D), ("none+out+in", _D), ("=", _I), ("=", _I),
        ("to+in", _D), ("=", _I), ("=", _A), ("=", _A), ("=", _A),
        ("from", _AS), ("from+out", _AS), ("both", _AS)),
    # A.3.2: takes back a request that waits, or ends a subscription.
    "<unsubscribe": (
        ("=", _I), ("=", _I), ("none", _D), ("none+out", _D),
        ("=", _I), ("to", _D), ("none", _DH), ("none+out", _DH), ("to", _DH),
        ("=", _I), ("=", _I), ("=", _I)),
    # A.3.3: heeded only as the answer to a request of ours; so nobody gets into a roster unasked.
    "<subscribed": (
        ("=", _I), ("to", _DP), ("=", _I), ("to+in", _DP),
        ("=", _I), ("=", _I), ("=", _I), ("both", _DP), ("=", _I),
        ("=", _I), ("to+ok", _DP), ("=", _I)),
    # A.3.4
    "<unsubscribed": (
        ("=", _I), ("none", _DP), ("=", _I), ("none+in", _DP),
        ("none", _DP), ("none+in", _DP), ("=", _I), ("from", _DP), ("from", _DP),
        ("=", _I), ("none+ok", _DP), ("none+ok", _DP)),
}

TABLE: dict[tuple[str, str], tuple[str, Action]] = {
    (state, event): (state if new == "=" else new, action)
    for event, row in _ROWS.items()
    for state, (new, action) in zip(STATES, row, strict=True)
}


def state_of(item: RosterItem | None) -> str:
    """The table's word for an item. A pre-approval beside 'from', 'both' or a waiting request says nothing
    that is not said already, and is left out."""
    if item is None:
        return "none"
    state = item.subscription
    if item.ask and state in ("none", "from"):
        state += "+out"
    if state in ("none", "none+out", "to"):
        if item.pending_in is not None:
            state += "+in"
        elif item.approved:
            state += "+ok"
    return state


def _outcome(item: RosterItem | None, jid: str, event: str, request: bytes | None) -> Outcome:
    new, actions = TABLE[state_of(item), event]
    subscription, *marks = new.split("+")
    base = RosterItem(jid, listed=False) if item is None else item
    waiting = None
    if "in" in marks:
        waiting = base.pending_in if base.pending_in is not None else (request or b"")
    after = attrs.evolve(
        base, subscription=subscription, ask="out" in marks, approved="ok" in marks, pending_in=waiting,
        # What is pushed is in the roster from now on (RFC 6121 3.1.2, 3.1.5); what is not, stays as it was.
        listed=base.listed or Action.PUSH in actions)
    if not after.listed and new == "none":
        return Outcome(None, item is not None, actions)
    return Outcome(after, after != item, actions)


def outbound(item: RosterItem | None, jid: str, type_: str) -> Outcome:
    """One of our resources sends a subscription stanza.

    item: what the roster holds of the contact. jid: the contact's bare JID. type_: one of TYPES (KeyError
    otherwise).
    """
    return _outcome(item, jid, ">" + type_, None)


def inbound(item: RosterItem | None, jid: str, type_: str, stanza: bytes) -> Outcome:
    """The contact sends us a subscription stanza; `stanza` is kept when it is a request that has to wait.

    The caller has checked that the stanza is from the contact and that our account exists.
    """
    return _outcome(item, jid, "<" + type_, stanza)


def removal(item: RosterItem) -> tuple[tuple[str, ...], bool]:
    """The client removes the contact from the roster (RFC 6121 2.5.2).

    Returns the types of the stanzas to be sent to the contact in our name, in order, and whether our
    resources then have to hide (Action.HIDE). A request of ours that waits is taken back, one of the contact
    is refused.
    """
    types: list[str] = []
    if item.ask or item.subscription in ("to", "both"):
        types.append("unsubscribe")
    if item.pending_in is not None or item.subscription in ("from", "both"):
        types.append("unsubscribed")
    return tuple(types), item.subscription in ("from", "both")
