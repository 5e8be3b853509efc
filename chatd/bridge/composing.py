"""The composing process of one recording, as the bridge sees it: begun, listened to, ended, begun again if it dies."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

# After a process that died by a signal (memory, an operator) another is tried, so often.
TRIES = 3
END_S = 10.0
MOST_LINE = 65536


class ComposingError(Exception):
    """There is no file; the text says why."""


class Composing:
    """`arguments`: of `python -m chatd.bridge.compose`. `progress(event)` gets its waiting and progress events.

    `is_cancelled` after `cancel`.
    """

    def __init__(self, arguments: Sequence[str], progress: Callable[[dict[str, Any]], None]) -> None:
        self._arguments = [sys.executable, "-m", "chatd.bridge.compose", *arguments, "--with-parent"]
        self._progress = progress
        self._process: asyncio.subprocess.Process | None = None
        self.is_cancelled = False

    async def run(self) -> dict[str, Any]:
        """Until it is done; gives its "done" event. ComposingError, also when it was cancelled."""
        for attempt in range(TRIES):
            last, status, errors = await self._once()
            if last.get("event") == "done" and status == 0:
                return last
            if last.get("event") == "failed":
                raise ComposingError(str(last.get("error", "")))
            if self.is_cancelled:
                raise ComposingError("given up")
            log.warning("composing ended with status %d, attempt %d: %s", status, attempt + 1, errors.strip()[-1000:])
            if status >= 0:
                break
        raise ComposingError("the composing process failed")

    async def _once(self) -> tuple[dict[str, Any], int, str]:
        process = self._process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, limit=MOST_LINE)
        assert process.stdout is not None and process.stderr is not None
        errors = asyncio.create_task(_tail(process.stderr))
        last: dict[str, Any] = {}
        try:
            if self.is_cancelled:
                _end(process.terminate)
            async for line in process.stdout:
                with suppress(ValueError):
                    last = json.loads(line)
                    self._progress(last)
            status = await process.wait()
            return last, status, await errors
        except asyncio.CancelledError:
            # The bridge ends. So does the process, which sees the end of its standard input.
            _end(process.terminate)
            raise
        except ValueError:
            # A line longer than MOST_LINE: not a process of ours.
            _end(process.kill)
            raise ComposingError("the composing process said what cannot be read") from None
        finally:
            errors.cancel()

    async def cancel(self) -> None:
        """End it. `run` raises."""
        self.is_cancelled = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        _end(process.terminate)
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            _end(process.kill)


def _end(signal: Callable[[], None]) -> None:
    """Send it a signal, if it is still there."""
    with suppress(ProcessLookupError):
        signal()


async def _tail(stream: asyncio.StreamReader) -> str:
    """The end of what it wrote, bounded."""
    kept = b""
    while data := await stream.read(4096):
        kept = (kept + data)[-4096:]
    return kept.decode("utf-8", "replace")
