"""`python -m chatd.bridge`: one bridge process. Settings come in the first line of standard input (settings.py), the
rest is the control pipe (control.py). Exit status 2: the settings cannot be used; 1: an address cannot be had.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import uvloop

from chatd.bridge import control, http
from chatd.bridge.bridge import Bridge
from chatd.bridge.settings import SettingsError, parse

log = logging.getLogger("chatd.bridge")


async def main() -> int:
    """Serve until told otherwise; gives the exit status."""
    control.log_to_stderr("info")
    reader = await control.read_stdin()
    try:
        settings = parse(await reader.readline())
    except (SettingsError, ValueError) as error:
        log.error("settings: %s", error)
        return 2
    control.log_to_stderr(settings.log_level)
    try:
        bridge = await Bridge.start(settings)
        runner, address = await http.listen(bridge)
    except OSError as error:
        log.error("cannot listen: %s", error)
        return 1
    pipe = control.Control(bridge, reader)
    pipe.say("ready", http=list(address), media=[settings.address, bridge.port.number], pid=os.getpid())
    running = asyncio.create_task(pipe.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        reason = await running
    except asyncio.CancelledError:
        reason = "a signal"
    log.info("ending: %s", reason)
    await bridge.stop()
    await runner.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
