"""How long people wait for Webmail with the chat and without it, and for the chat: printed, and judged generously.

    .venv/bin/python -m pytest tests/browser/test_roundcube_figures.py -m long -s

With and without take turns, each in a new profile with an empty cache, and the middle one of each counts. For figures
that mean something the machine has nothing else to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.mail import SHELL, Readers
from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.roundcube import Webmail
from tests.roundcube import webmail as running_webmail

USERS = {f"{name}@{DOMAIN}": PASSWORD for name in ("alice", "bob")}
TIMES = 7
PAINT = "performance.timeOrigin + (performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN)"
# Seconds from the request of the tab's page to the chat's connection, as embed.js has noted it.
CONNECTED = """new Promise((done) => {
    const look = () => {
        const [mark] = performance.getEntriesByName('chatd connected');
        if (mark) done(mark.startTime / 1000);
        else setTimeout(look, 20);
    };
    look();
})"""
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
WAIT_S = 1.0
CONNECTED_S = 10.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Webmail, Daemon]]:
    with running_webmail(USERS) as webmail, \
            running(tmp_path_factory.mktemp("chatd"), extra=webmail.table(DOMAIN)) as daemon:
        webmail.put(f"alice@{DOMAIN}", f"Bob <bob@{DOMAIN}>", "Offer")
        yield webmail, daemon


@pytest.fixture(scope="module")
def webmail(place: tuple[Webmail, Daemon]) -> Webmail:
    return place[0]


async def painted_s(tab: Page, page: Page) -> float:
    """Seconds from the tab's request to the first text or picture of Roundcube."""
    await page.until(f"!Number.isNaN({PAINT})", 30)
    return float(await page.eval(PAINT) - await tab.eval("performance.timeOrigin")) / 1000


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_how_long_people_wait(readers: Readers, place: tuple[Webmail, Daemon], record_property: Any) -> None:
    webmail, daemon = place
    found: dict[str, list[float]] = {}
    for number in range(2 * TIMES):
        is_on = number % 2 == 1
        webmail.know(daemon, enabled="true" if is_on else "false")
        reader = await readers.at_webmail("alice")      # a new profile: nothing is in its cache
        if not is_on:
            reader.mail = reader.tab
        await reader.log_in()
        name = "with" if is_on else "without"
        assert await reader.tab.count(SHELL) == is_on
        found.setdefault(f"{name} the chat, cold", []).append(await painted_s(reader.tab, reader.mail))
        if is_on:
            found.setdefault("chat connected, cold", []).append(await reader.tab.eval(CONNECTED))
        await reader.tab.reload()
        await reader.mail.see("#mailboxlist")
        found.setdefault(f"{name} the chat, warm", []).append(await painted_s(reader.tab, reader.mail))
        await reader.ready()
        if is_on:
            found.setdefault("chat connected, warm", []).append(await reader.tab.eval(CONNECTED))
        await reader.log_out()
    reader = await readers.at_webmail("alice", origin=webmail.old)
    reader.mail = reader.tab
    await reader.log_in()
    for task in ("addressbook", "settings", "mail") * 3:
        await reader.tab.goto(f"{webmail.old}/?_task={task}")
        found.setdefault("chat connected without the shell, after the load of a page", []).append(
            await reader.tab.eval(CONNECTED) - await reader.tab.eval(LOADED))
    figures = {name: round(median(times), 2) for name, times in sorted(found.items())}
    print()
    print(f"{'seconds':60} {'middle':>7} {'best':>7} {'worst':>7} {'times':>6}")
    for name, times in sorted(found.items()):
        print(f"{name:60} {median(times):7.2f} {min(times):7.2f} {max(times):7.2f} {len(times):6}")
    record_property("seconds", figures)
    for state in ("cold", "warm"):
        assert figures[f"with the chat, {state}"] < figures[f"without the chat, {state}"] + WAIT_S
    assert figures["chat connected, cold"] < CONNECTED_S
