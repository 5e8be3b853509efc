"""Gajim as somebody uses it, at a desk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.daemon import PASSWORD
from tests.interop.desk import Desk

START: Any = {"role": "frame", "name": "Start / Join Chat"}


class Gajim:
    """A Gajim with a window. The desk has no keyring, so it asks for the password whenever it connects."""

    program = "gajim"
    nick = "pat"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def start(self) -> None:
        """Until its window is there."""
        self.desk.start(self.program, "--verbose", "--loglevel", "nbxmpp=INFO")
        self.desk.see("Gajim", "frame")

    def end(self) -> None:
        """Gajim, Quit."""
        self.desk.press("Gajim", "menu")
        self.desk.press("Quit.*", "menu item")
        self.desk.ask("quit", program=self.program)

    def add_account(self, address: str, password: str = PASSWORD) -> None:
        """The assistant that opens at the first start: address, password, Connect."""
        self.desk.fill(address, description="Your XMPP address.*")
        self.desk.fill(password, description="Your password")
        self.desk.press("Log In", "push button")
        self.desk.press("Connect", "push button")
        self.log_in(password)

    def log_in(self, password: str = PASSWORD) -> None:
        """What it asks for where there is no keyring."""
        self.desk.fill(password, "password text", within={"role": "frame", "name": "Password Required"})
        self.desk.press("Login", "push button")

    def _look_for(self, address: str) -> None:
        self.desk.press(".*", "toggle button", description="Start Chat.*")
        self.desk.press("Start Chat.*", "push button")
        self.desk.fill(address, "text", within=START)
        self.desk.see(re.escape(address), within=START)
        self.desk.focused("Search", within=START)
        self.desk.key("Return")

    def talk_to(self, address: str) -> None:
        """Start Chat: the address, Enter."""
        self._look_for(address)
        self._conversation(address.partition("@")[0])

    def join(self, room: str) -> None:
        """Start Chat: the room's address, Enter, Join."""
        self._look_for(room)
        self.desk.press("Join", "push button")
        self._conversation(room.partition("@")[0])

    def _conversation(self, name: str) -> None:
        """Until its head and the field below are there; then the focus is in the field."""
        self.desk.see(name, description=f"{name}.*")
        self.desk.see(".*", "push button", description="Send File.*")

    def say(self, text: str) -> None:
        """In the conversation that is open."""
        self.desk.focus("")
        self.desk.type(text)
        self.desk.key("Return")

    def send(self, file: Path) -> None:
        """The paper clip, the file's path, Send."""
        self.desk.press(".*", "push button", description="Send File.*")
        self.desk.press("Add Files.*", "push button")
        self.desk.choose(file, name="Choose.*", role="file chooser")
        self.desk.press("Send Files?", "push button")

    def avatar(self, file: Path) -> None:
        """Accounts, Profile, the pencil at the picture."""
        self.desk.press("Accounts", "menu")
        self.desk.press("Profile", "menu item")
        profile: Any = {"role": "frame", "name": "Profile"}
        self.desk.press("Edit", "push button", within=profile)
        self.desk.press(".*", "push button", description="Change your profile picture")
        self.desk.choose(file, name="Choose.*", role="file chooser")
        self.desk.press("Update", "push button", within=profile)
        self.desk.press("Save", "push button", within=profile)
        self.desk.see("Edit", "push button", within=profile)
        self.desk.key("Escape")
