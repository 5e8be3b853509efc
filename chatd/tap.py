"""`twistd chatd`: the command line, and the service it makes. How the rooms are joined stands in
chatd.daemon.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from chatd.config import ConfigError, find, load
from chatd.log import Observer
from chatd.settings import Settings


class Options(usage.Options):
    """Options behind `twistd chatd`."""

    synopsis = "[options]"
    optParameters = [
        [
            "config",
            "c",
            None,
            "The configuration file (default: CHATD_CONFIG, else the first there is of "
            "etc/chatd.toml, /etc/chatd/chatd.toml, /etc/chatd.toml)",
        ],
    ]
    settings: Settings

    def postOptions(self) -> None:
        """Read the configuration; with mistakes in it the process ends here, before it becomes a daemon."""
        try:
            self.settings = load(find(self["config"]))
        except ConfigError as error:
            sys.exit(str(error))


def makeService(options: Options) -> IService:
    """Return the daemon as a service; it begins its work when the reactor runs.

    The reactor is chatd's own, so it is installed before chatd.daemon brings in what might ask for one.
    """
    from chatd.server.reactor import install

    install()
    from twisted.internet import reactor

    from chatd.daemon import Daemon

    parent: Any = options.parent or {}
    return Daemon(
        options.settings,
        Observer.to_stderr(options.settings.log),
        reactor,
        is_detached=not parent.get("nodaemon", True),
    )
