"""Dino as somebody uses it, at a desk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.daemon import PASSWORD
from tests.interop.desk import Desk


class Dino:
    """A Dino with a window."""

    program = "dino-im"
    nick = "patty"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def start(self) -> None:
        """Until its window is there."""
        self.desk.start(self.program, "--print-xmpp=all")
        self.desk.see(".*", "frame")

    def start_again(self, address: str) -> None:
        """However it was; then in the conversation with this address."""
        self.desk.end(self.program)
        self.start()
        self.talk_to(address)

    def end(self) -> None:
        """Ctrl Q."""
        self.desk.see(".*", "frame", active=True)
        self.desk.key("ctrl+q")
        self.desk.ask("quit", program=self.program)

    def add_account(self, address: str, password: str = PASSWORD) -> None:
        """The assistant that opens at the first start: address, password."""
        self.desk.press("Set up account")
        dialog: Any = {"name": "Add Account"}
        self.desk.fill(address, within=dialog)
        self.desk.press("Next")
        self.desk.see(re.escape(f"Sign in to {address}"))
        self.desk.fill(password, within=dialog)
        self.desk.press("Connect")
        self.desk.press("Finish")

    def log_in(self) -> None:
        """At a later start it does that by itself."""

    def talk_to(self, address: str) -> None:
        """Start Conversation (Ctrl T)."""
        self._choose("ctrl+t", "Start Conversation", address)
        self.desk.press("Start", "push button")
        self._conversation(address)

    def join(self, room: str) -> None:
        """Join Channel (Ctrl G)."""
        self._choose("ctrl+g", "Join Channel", room)
        self.desk.press("Next")
        self.desk.see("Nick")
        self.desk.fill(self.nick, within={"role": "dialog", "name": "Join Channel"}, nth=1)
        self.desk.press("Join")
        self._conversation(room)

    def _choose(self, key: str, dialog: str, address: str) -> None:
        self.desk.see(".*", "frame", active=True)
        self.desk.key(key)
        within = {"name": dialog, "role": "dialog|filler"}
        self.desk.fill(address, within=within)
        self.desk.press(re.escape(address), within=within)

    def _conversation(self, address: str) -> None:
        # The list's entry, and the field below.
        self.desk.see(".*", "text", description="", enabled=True)
        self.desk.see(re.escape(address))

    def say(self, text: str) -> None:
        """In the conversation that is open."""
        # The window gives to the field what is typed.
        self.desk.see(".*", "frame", active=True)
        self.desk.type(text)
        self.desk.key("Return")

    def send(self, file: Path) -> None:
        """The paper clip, the file's path, and Send."""
        self.desk.press(".*", "push button", description="Send a file")
        self.desk.choose(file, name="Select.*", role="filler|dialog")
        self.desk.press("Send")

    def avatar(self, file: Path) -> None:
        """Menu, Accounts, the picture."""
        # The menu's button is a button in a button, and has no name.
        self.desk.press("GtkMenuButton", "push button", description="", nth=1)
        self.desk.press("Accounts", "menu item")
        self.desk.see("Connected")
        self.desk.press("GtkButton", "push button", within={"role": "dialog", "name": "Accounts"})
        self.desk.choose(file, name="Select.*", role="filler|dialog")
        # The window of accounts stays in front until it is closed.
        self.desk.focused(role=".*", within={"role": "dialog", "name": "Accounts"})
        self.desk.key("Escape")

    def call(self) -> None:
        """The telephone above the conversation that is open, Audio call."""
        # As soon as the other is known to be able to: a button in a button.
        self.desk.press("GtkMenuButton", "push button", description="Start call", nth=1)
        self.desk.press("Audio call", "menu item")

    def take(self) -> None:
        """The call that comes in."""
        self.desk.press("Accept", "push button")
