"""Which sessions get a message: RFC 6121 8.5.2 and 8.5.3, the table of 8.5.4.

A message to a bare address goes to every session whose priority is not negative (8.5.2.1.1 allows
that or the "most available" ones; people expect their message on each device).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from chatd.core.errors import StanzaError

__all__ = ["Resource", "route_message"]


class Resource(Protocol):
    """What routing needs of a session: available (`presence` is not None) and its priority."""

    presence: object | None
    priority: int


R = TypeVar("R", bound=Resource)


def route_message(kind: str | None, resource: str, sessions: Mapping[str, R]) -> Sequence[R] | None:
    """The sessions of an account that a message is for.

    kind: its type, None or unknown for normal (5.2.2).  resource: that of its `to`, or nothing.
    sessions: the account's, by resource.  None: nobody is there, keep it (8.5.2.2.1, 8.5.4); an empty
    sequence: to be dropped in silence.  Raises StanzaError service-unavailable.
    """
    if resource:
        session = sessions.get(resource)
        if session is not None:
            # 8.5.3.1, even to one of negative priority, and to one that never sent presence
            return (session,)
        if kind == "groupchat":                             # 8.5.3.2.1: how a room learns who is gone
            raise StanzaError("service-unavailable", text="that resource is not connected")
        if kind in ("headline", "error"):
            return ()
        # A normal message 8.5.3.2.1 would drop or refuse; it goes the way of chat, so that none is lost.
    elif kind == "groupchat":
        raise StanzaError("service-unavailable", text="this is not a room")     # 8.5.2.1.1
    elif kind == "error":
        return ()
    if len(sessions) == 1:
        for session in sessions.values():
            if session.presence is not None and session.priority >= 0:
                return (session,)
        found: list[R] = []
    else:
        found = [session for session in sessions.values()
                 if session.presence is not None and session.priority >= 0]
    if found:
        return found
    return () if kind == "headline" else None
