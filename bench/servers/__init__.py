"""The measured servers, each a private instance in a folder of its own."""

from __future__ import annotations

from bench.servers.base import Server, Site
from bench.servers.chatd import Chatd
from bench.servers.ejabberd import Ejabberd
from bench.servers.prosody import Prosody, ProsodyTuned

__all__ = ["ALL", "Server", "Site"]

ALL: dict[str, type[Server]] = {cls.name: cls for cls in (Prosody, ProsodyTuned, Ejabberd, Chatd)}
