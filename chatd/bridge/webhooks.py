"""LiveKit's webhooks: what happens in rooms is posted to URLs, signed::

    webhooks = Webhooks(urls, key, secret)
    webhooks.listen(rooms)                      # room_started … track_unpublished, from events.py
    webhooks.egress("egress_started", info)     # and egress_updated, egress_ended
    await webhooks.close()                      # what is waiting gets a few more seconds

The body is a WebhookEvent in JSON; the Authorization header is an access token whose claim sha256 is the body's hash.
The events of one room arrive at a URL in the order in which they happened: the next one waits until the one before was
taken or given up. Different rooms do not wait for each other. A receiver that is away for long loses events: it is told
how many by `num_dropped` of the next one that it gets.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from google.protobuf.json_format import MessageToJson
from livekit.protocol import egress as E
from livekit.protocol import webhook as W

from chatd.bridge import tokens
from chatd.bridge.events import Event
from chatd.bridge.tracks import new_sid

if TYPE_CHECKING:
    from chatd.bridge.rooms import Rooms

log = logging.getLogger(__name__)

# Not application/json, so that nobody parses it before the signature is checked.
CONTENT_TYPE = "application/webhook+json"
NAMES = frozenset({
    "room_started", "room_finished", "participant_joined", "participant_left", "participant_connection_aborted",
    "track_published", "track_unpublished",
})
TOKEN_TTL_S = 300.0
ANSWER_S = 10.0
CLOSE_S = 3.0
# Pauses before another try; half a minute in all.
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Events that wait for one URL, and requests to it at a time.
MOST_WAITING = 1000
MOST_AT_ONCE = 10
# What may be otherwise later.
TRY_AGAIN = frozenset({408, 425, 429})


class Webhooks:
    """See the module. `sent`, `dropped`: events so far, over all URLs. `now`: Unix time."""

    def __init__(self, urls: Iterable[str], key: str, secret: str, *, now: Callable[[], float] = time.time,
                 pauses_s: Iterable[float] = PAUSES_S) -> None:
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._receivers = [_Receiver(self, url, tuple(pauses_s)) for url in urls]
        self._key, self._secret = key, secret
        self.sent = self.dropped = 0

    def listen(self, rooms: Rooms) -> None:
        """Post what happens in these rooms."""
        rooms.listen(self._happened)

    def egress(self, name: str, info: E.EgressInfo) -> None:
        """Post egress_started, egress_updated or egress_ended."""
        self.tell(W.WebhookEvent(event=name, egress_info=info), info.room_name)

    def tell(self, event: W.WebhookEvent, room: str) -> None:
        """Post an event; `room` is whose order it belongs to."""
        event.id = new_sid("EV")
        event.created_at = int(self._now())
        for receiver in self._receivers:
            receiver.add(event, room)

    async def close(self, timeout_s: float = CLOSE_S) -> None:
        """Wait that long for what is on its way; the rest is dropped."""
        tasks = [task for receiver in self._receivers for task in receiver.tasks.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _happened(self, event: Event) -> None:
        if event.name not in NAMES:
            return
        made = W.WebhookEvent(event=event.name, room=event.room.info())
        if event.participant is not None:
            made.participant.CopyFrom(event.participant.info())
        if event.track is not None:
            made.track.CopyFrom(event.track.info)
        self.tell(made, event.room.name)

    def session(self) -> aiohttp.ClientSession:
        """Made when the first event is posted: there has to be a loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        return self._session

    def headers(self, body: bytes) -> dict[str, str]:
        """Of a request with this body."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        token = tokens.mint(self._key, self._secret, {"sha256": digest}, self._now(), TOKEN_TTL_S)
        return {"Authorization": token, "Content-Type": CONTENT_TYPE, "User-Agent": "chatd"}


class _Receiver:
    """One URL. A task per room that has events waiting, which posts them one after the other."""

    def __init__(self, webhooks: Webhooks, url: str, pauses_s: tuple[float, ...]) -> None:
        self._webhooks = webhooks
        self._url = url
        # For the log: without what may be secret.
        self._name = _without_secrets(url)
        self._pauses_s = pauses_s
        self._waiting: dict[str, deque[W.WebhookEvent]] = {}
        self._count = 0
        # Dropped since the receiver was told last; and whether it failed last, which is logged once.
        self._dropped = 0
        self._is_failing = False
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, event: W.WebhookEvent, room: str) -> None:
        """Queue it, or drop it if too many wait."""
        if self._count >= MOST_WAITING:
            self._drop(1)
            return
        self._count += 1
        self._waiting.setdefault(room, deque()).append(event)
        if room not in self.tasks:
            self.tasks[room] = asyncio.get_running_loop().create_task(self._run(room))

    def _drop(self, count: int) -> None:
        if not self._dropped:
            log.warning("webhook events are lost: %s does not take them", self._name)
        self._dropped += count
        self._webhooks.dropped += count

    async def _run(self, room: str) -> None:
        waiting = self._waiting[room]
        try:
            while waiting:
                if await self._post(waiting[0]):
                    self._webhooks.sent += 1
                else:
                    self._drop(1)
                waiting.popleft()
                self._count -= 1
        finally:
            # Nothing can have been added since the queue was found empty: there was no await. After a cancellation
            # the rest is gone.
            self._count -= len(waiting)
            if waiting:
                self._drop(len(waiting))
            del self._waiting[room], self.tasks[room]

    async def _post(self, event: W.WebhookEvent) -> bool:
        """Whether it was taken, after all tries."""
        for pause_s in (*self._pauses_s, None):
            async with self._at_once:
                dropped, self._dropped = self._dropped, 0
                is_taken, may_try_again = await self._try(event, dropped)
                if not is_taken:
                    self._dropped += dropped
            if is_taken or not may_try_again or pause_s is None:
                return is_taken
            await asyncio.sleep(pause_s)
        return False

    async def _try(self, event: W.WebhookEvent, dropped: int) -> tuple[bool, bool]:
        """Whether it was taken, and if not, whether another try makes sense."""
        told = W.WebhookEvent()
        told.CopyFrom(event)
        told.num_dropped = dropped
        body = MessageToJson(told, indent=None).encode()
        webhooks = self._webhooks
        try:
            async with webhooks.session().post(
                    self._url, data=body, headers=webhooks.headers(body), allow_redirects=False) as response:
                if response.status < 300:
                    self._is_failing = False
                    return True, False
                self._failed("answers with HTTP status %d" % response.status)
                return False, response.status >= 500 or response.status in TRY_AGAIN
        except aiohttp.InvalidURL:
            self._failed("is not an address")
            return False, False
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._failed("does not answer: %s" % (error or type(error).__name__))
            return False, True

    def _failed(self, how: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            log.warning("webhooks: %s %s", self._name, how)


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        return "%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], parts.path)
    except ValueError:
        return "a webhook address that cannot be read"
