"""Messages to clients, and those that wait for one.

A message may go out as protobuf, or in the JSON form of the same for those who write text. One goes to many
participants: each form is made once, when first asked for.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property

from google.protobuf import json_format
from livekit.protocol import rtc as R


class Message:
    """A SignalResponse that is not changed any more."""

    def __init__(self, response: R.SignalResponse) -> None:
        self.response = response

    @property
    def name(self) -> str:
        """Which one: "join", "update" …"""
        return self.response.WhichOneof("message") or ""

    @cached_property
    def binary(self) -> bytes:
        """As protobuf."""
        return self.response.SerializeToString()

    @cached_property
    def text(self) -> str:
        """As JSON."""
        return json_format.MessageToJson(self.response, indent=None)


# Messages waiting for a participant whose WebSocket is away or slow.
MOST_WAITING = 2000
# A room of 200 with all the metadata that is allowed has to fit in: everybody is told of everybody at a join.
MOST_WAITING_BYTES = 32 << 20
# What a WebSocket that takes over from another must not say again.
FIRST = ("join", "reconnect", "leave")


class Outbox:
    """Messages to one participant, in order; they outlive a WebSocket. `is_overrun`: it did not read for so long that
    messages were lost. What comes is useless without them: it has to join anew.
    """

    def __init__(self) -> None:
        self.is_overrun = False
        self._waiting: deque[Message] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __getitem__(self, number: int) -> Message:
        return self._waiting[number]

    def put(self, message: Message) -> bool:
        """One more; False if there are too many."""
        size = len(message.binary)
        if self.is_overrun or len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_WAITING_BYTES:
            self.is_overrun = True
            self._waiting.clear()
            return False
        self._waiting.append(message)
        self._bytes += size
        return True

    def took(self, message: Message) -> None:
        """A WebSocket has taken the first."""
        if self._waiting and self._waiting[0] is message:
            self._waiting.popleft()
            self._bytes -= len(message.binary)

    def resume(self, first: Message) -> None:
        """A new WebSocket: `first` goes before what waits."""
        self._waiting = deque((first, *(m for m in self._waiting if m.name not in FIRST)))
        self._bytes = sum(len(m.binary) for m in self._waiting)
