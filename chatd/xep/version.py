"""Software Version, XEP-0092."""

from __future__ import annotations

import platform

import chatd
from chatd.core import ns
from chatd.core.stanza import text
from chatd.xep.api import Api, Module, Option

__all__ = ["Version"]


class Version(Module):
    """XEP-0092: which software and version serves a domain."""

    name = "version"
    xep = "0092"
    version = "1.1"
    features = (ns.VERSION,)
    options = (
        Option("number", bool, True, "Whether the version is told, or only that this is chatd."),
        Option("system", bool, False, "Whether the operating system is told."),
    )

    def start(self, api: Api) -> None:
        """Answers for domains."""
        super().start(api)
        parts = ["<name>chatd</name>", f"<version>{text(chatd.__version__) if api.options['number'] else ''}</version>"]
        if api.options["system"]:
            parts.append(f"<os>{text(platform.system())}</os>")
        answer = f'<query xmlns="{ns.VERSION}">{"".join(parts)}</query>'.encode()
        api.iq("get", f"{ns.VERSION} query", lambda request: answer, "domain")
