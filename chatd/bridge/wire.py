"""A message to clients in both forms it may go out: protobuf, or the JSON form of the same for those who write text.

One message goes to many participants: each form is made once, when first asked for.
"""

from __future__ import annotations

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
