"""The panel in a page of Webmail: another site, a strict policy, styles that would spoil it; tabs and log-outs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.harness import Browser, Page
from tests.browser.people import Friend
from tests.browser.webmail_page import LittleWebmail
from tests.daemon import DOMAIN, Daemon, running

FRAME = "iframe >> internal:control=enter-frame >> "
BUTTON = f"{FRAME}#launcher"
LATER = "void (Date.now = ((now) => () => now() + 900_000)(Date.now))"
"""Nobody has moved for a quarter of an hour."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, webmail: LittleWebmail) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("chatd"), f"bob@{DOMAIN}", extra=webmail.settings()) as made:
        webmail.daemon = made
        yield made


class Mailbox:
    """One tab of somebody's Webmail."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def another(self) -> Mailbox:
        """One more tab."""
        await self.page.eval("void window.open('/')")
        return Mailbox(await self.page.popup())

    async def connected(self) -> None:
        await self.page.until("window.chatd?.state === 'connected'", 60)
        await self.page.see(BUTTON, 30)

    async def open(self) -> None:
        """Show the contacts by the button."""
        await self.page.click(BUTTON)
        await self.page.see(f"{FRAME}#controlbox .userinfo", 30)

    async def frame(self, code: str) -> Any:
        """An expression in the frame."""
        return await self.page.call("evaluate", code, selector=f"{FRAME}body")

    async def reads(self, body: str) -> None:
        await self.page.see(f'{FRAME}.chat-msg__text:has-text("{body}")', 30)

    async def met(self, *places: list[Any]) -> None:
        """Wait until a click at each [x, y] meets an element of that name in Webmail's page."""
        await self.page.until(f"{json.dumps(places)}.every(([x, y, name]) => "
                              "document.elementFromPoint(x, y).tagName === name)", 30)


@pytest_twisted.async_yield_fixture
async def hall(browser: Browser, webmail: LittleWebmail, daemon: Daemon) -> AsyncIterator[Any]:
    """Makes people who are logged in to Webmail, and clients elsewhere; closes all of them."""
    pages: list[Page] = []
    friends: list[Friend] = []

    class Hall:
        async def at_webmail(self, who: str, **options: Any) -> Mailbox:
            """who: name and, behind a hyphen, number of the session."""
            page = await browser.page(f"{webmail.origin}/log-in?{who}", https=True, **options)
            pages.append(page)
            return Mailbox(page)

        async def elsewhere(self, name: str) -> Friend:
            friend = Friend(name, daemon)
            friends.append(friend)
            await friend.connect()
            return friend

    webmail.answers.clear()
    yield Hall()
    for friend in friends:
        friend.process.stop()
    for page in pages:
        await page.close()


@pytest_twisted.ensureDeferred
async def test_a_day_in_two_tabs(hall: Any, webmail: LittleWebmail) -> None:
    """Nothing of either page's styles reaches the other, clicks beside the panel are Webmail's, and both tabs agree."""
    anna = await hall.at_webmail("anna-day", width=1280, height=800)
    bob = await hall.elsewhere("bob")
    await anna.connected()
    # -- nothing of chatd but the script is asked for before Webmail's page has loaded
    assert await anna.page.eval(
        "performance.getEntriesByType('navigation')[0].loadEventEnd <= performance.getEntriesByType('resource')"
        ".find((one) => one.name.includes('/embed?')).startTime")
    # -- styles and clicks
    assert await anna.frame("[getComputedStyle(document.querySelector('#launcher')).letterSpacing, "
                            "getComputedStyle(document.body).fontSize]") == ["normal", "16px"]
    assert await anna.page.eval("getComputedStyle(document.querySelector('h1')).color") == "rgb(200, 0, 0)"
    assert await anna.page.eval("(s => [s.opacity, s.transform, s.position])(getComputedStyle("
                                "document.querySelector('iframe')))") == ["1", "none", "fixed"]
    assert await anna.page.eval("document.styleSheets.length + document.querySelectorAll('style').length") == 1
    await anna.met([640, 300, "HTML"], [1240, 700, "HTML"], [1230, 760, "IFRAME"])
    panel = anna.page.inside("iframe")
    for theme in ("dark", "light"):
        await anna.page.eval(f"chatd.theme('{theme}')")
        await panel.until(f"matchMedia('(prefers-color-scheme: {theme})').matches")
        assert await panel.axe() == []
    await anna.open()
    assert await panel.axe() == []
    await anna.met([1200, 500, "IFRAME"], [600, 500, "HTML"])
    await anna.page.click("#mail")
    assert await anna.page.text("#said") == "read"
    # -- a second tab
    other = await anna.another()
    await other.connected()
    await bob.send("anna", "Hello")
    for tab in (anna, other):
        await tab.reads("Hello")
        await tab.page.eval("chatd.close()")
        await tab.page.gone(f"{FRAME}.chat-textarea", 30)
    await bob.send("anna", "Lunch?")
    await other.page.until("chatd.unread === 1 && document.title === '(1) Inbox'", 30)
    await anna.page.until("chatd.unread === 1", 30)
    for tab in (anna, other):
        assert (await tab.page.log())["violations"] == []


@pytest_twisted.ensureDeferred
async def test_log_out_and_a_webmail_that_fails(hall: Any, webmail: LittleWebmail, daemon: Daemon) -> None:
    """A callback that fails is asked again; log-out at Webmail's server ends the panel, and nothing asks any more."""
    webmail.answers[:] = [500, 503]
    carl = await hall.at_webmail("carl-out", width=390, height=780)
    await carl.connected()
    assert webmail.answers == []
    await carl.page.eval("chatd.theme('dark')")      # in a browser that is light
    await carl.page.call("waitFor", {"state": "attached"}, selector=f"{FRAME}html[style*=dark]")
    assert await carl.frame("[String(matchMedia('(prefers-color-scheme: dark)').matches), "
                            "getComputedStyle(document.body).getPropertyValue('--surface')]") == ["true", "#1b232c"]
    asked = webmail.asked
    # The daemon goes and comes back: a new connection with a new token.
    await deferToThread(daemon.kill)
    await carl.page.until("chatd.state === 'reconnecting'", 60)
    await deferToThread(daemon.start)
    await carl.page.until("chatd.state === 'connected'", 90)
    assert webmail.asked > asked
    ended = await deferToThread(webmail.log_out, "carl-out")
    assert ended["sessions"] == 1
    await carl.page.until("['ended', 'signed-out'].includes(chatd.state) && !document.querySelector('iframe')", 60)
    assert await carl.page.eval("heard.filter((one) => typeof one === 'string').at(-1)") in ("ended", "signed-out")
    # Whoever is logged out gets no panel at all.
    await carl.page.reload()
    await carl.page.until("window.chatd?.state === 'ended'", 60)
    assert not await carl.page.count("iframe")


@pytest_twisted.ensureDeferred
async def test_one_person_in_two_tabs(hall: Any) -> None:
    """One is away when both tabs are; a status holds in both, to oneself and to others; what is read in one is read in
    both."""
    dora = await hall.at_webmail("dora-two", width=1280, height=800)
    bob = await hall.elsewhere("bob")
    await dora.connected()
    await dora.open()
    await bob.subscribe("dora")
    panel = dora.page.inside("iframe")
    await panel.click(".requesting-xmpp-contact converse-dropdown button")
    await panel.click(".accept-xmpp-request")
    await panel.click("converse-accept-contact-request-modal button[type=submit]")
    await panel.see('.current-xmpp-contact[data-status="online"]', 30)
    other = await dora.another()
    await other.connected()

    def seen(count: int, kind: str, before: int = 0) -> Any:
        """Whether so many of dora's connections, all with this show, are what bob sees after his first events."""
        resources: dict[str, str] = {}
        number = 0

        def look(event: dict[str, Any]) -> bool:
            nonlocal number
            number += 1
            if number > before and event.get("event") == "presence" and event["sender"] == f"dora@{DOMAIN}":
                resources[event["resource"]] = event["type"]
            there = [one for one in resources.values() if one != "unavailable"]
            return len(there) == count and set(there) <= {kind}
        return bob.process.wait_for(look, 60)

    def comes(count: int, kind: str) -> Any:
        """The same, of what he sees from now on."""
        return seen(count, kind, len(bob.process.events))

    await seen(2, "available")
    # -- away where nobody is at either tab, and back at once
    second = other.page.inside("iframe")
    away = comes(1, "away")
    await panel.eval(LATER)
    await away
    back = comes(1, "available")
    await other.page.keyboard("press", "Shift")
    await back
    for one in (panel, second):
        away = comes(1, "away")
        await one.eval(LATER)
        await away
    back = comes(3, "available")
    third = await dora.another()
    await third.connected()
    await third.page.call("hover", selector=BUTTON)
    await back
    await third.page.close()
    # -- a status
    await panel.click(".change-status")
    await panel.click("#set-xmpp-status label[for=radio-busy]")
    await panel.fill("#set-xmpp-status input[name=status_message]", "Writing the offer")
    busy = comes(2, "dnd")
    await panel.click("#set-xmpp-status button[type=submit]")
    await busy
    await other.open()
    for tab in (dora, other):
        await tab.page.see(f'{FRAME}.userinfo:has-text("Writing the offer")', 30)
    await bob.send("dora", "Busy?")
    for tab in (dora, other):
        await tab.reads("Busy?")
        await tab.page.eval("chatd.close()")
        await tab.page.gone(f"{FRAME}.chat-textarea", 30)
    await bob.send("dora", "Finished?")
    for tab in (dora, other):
        await tab.page.until("chatd.unread === 1", 30)
    await other.open()
    await other.page.click(f'{FRAME}.open-chat[data-jid="bob@{DOMAIN}"] >> nth=0')
    await other.reads("Finished?")
    for tab in (dora, other):
        await tab.page.until("chatd.unread === 0 && document.title === 'Inbox'", 30)
    assert await panel.axe() == []


@pytest_twisted.ensureDeferred
async def test_a_message_on_a_phone(hall: Any) -> None:
    """It is counted, and all of the mail but a corner stays in sight; its chat is among the contacts, and put away on
    the next page."""
    frida = await hall.at_webmail("frida-phone", width=390, height=780)
    bob = await hall.elsewhere("bob")
    await frida.connected()
    await bob.send("frida", "Hello")
    await frida.page.until("chatd.unread === 1 && document.title === '(1) Inbox'", 30)
    assert not await frida.page.call("isVisible", selector=f"{FRAME}.chat-textarea >> nth=0")
    await frida.met([60, 140, "BUTTON"], [200, 400, "HTML"], [60, 770, "HTML"], [350, 770, "HTML"],
                    [350, 680, "IFRAME"])
    await frida.page.click(BUTTON)
    await frida.page.click(f'{FRAME}.open-chat[data-jid="bob@{DOMAIN}"] >> nth=0')
    await frida.reads("Hello")
    await frida.page.until("chatd.unread === 0", 30)
    await frida.page.reload()
    await frida.connected()
    await frida.met([60, 140, "BUTTON"], [200, 400, "HTML"])


@pytest_twisted.ensureDeferred
async def test_signing_out_in_one_tab_ends_all(hall: Any, webmail: LittleWebmail, daemon: Daemon) -> None:
    """Both panels and their sessions end, and with Webmail's own log-out all tokens."""
    emil = await hall.at_webmail("emil-bye")
    await emil.connected()
    other = await emil.another()
    await other.connected()
    await emil.page.eval("chatd.signOut()")
    # At once, however long the end takes: somebody else may be about to read mail here.
    assert await emil.page.eval("['hidden', undefined].includes(document.querySelector('iframe')?.style.visibility)")
    for tab in (emil, other):
        await tab.page.until("chatd.state === 'signed-out' && !document.querySelector('iframe')", 30)
    ended = await deferToThread(webmail.log_out, "emil-bye")
    assert ended["tokens"] >= 2 and ended["sessions"] == 0
    assert (await deferToThread(daemon.ctl, "token", "list", f"emil@{DOMAIN}"))["result"] == []
    for tab in (emil, other):
        await tab.page.reload()
        await tab.page.until("window.chatd?.state === 'ended'", 30)


@pytest_twisted.ensureDeferred
async def test_only_the_webmails_pages_may_show_it(browser: Browser, webmail: LittleWebmail, daemon: Daemon) -> None:
    """The browser itself refuses the frame to any other origin, and the page says so where it stands alone."""
    chatd = f"https://localhost:{daemon.ports['https']}"
    stranger = LittleWebmail()
    stranger.daemon = daemon
    try:
        page = await browser.page(f"{stranger.origin}/log-in?eve-x", https=True)
        await page.until("document.querySelector('iframe')", 30)
        await page.until("performance.getEntriesByType('resource').some((one) => one.name.includes('/embed?'))", 30)
        assert await page.eval("chatd.state") == "starting"
        assert any("frame-ancestors" in line for line in (await page.log())["complaints"])
        await page.close()
        page = await browser.page(f"{chatd}/embed", https=True)
        await page.see("#alone")
        await page.close()
    finally:
        stranger.stop()
