"""Webmail and its people for the browser tests: who logs in to Roundcube, and what one does there."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from tests.browser.harness import Browser, Page
from tests.browser.test_panel_meetings import FRAME, Caller
from tests.daemon import DOMAIN, PASSWORD
from tests.roundcube import Webmail

SHELL = "iframe#webmail"
# Chromium on Converse.js's own autofocus, which has no say in a frame; the end of a session at a log-out, and what
# Converse.js 14.0.0 then still asks of the connection that is gone.
KNOWN = ("Blocked autofocusing", "You have logged out of Webmail", r"reading 'isType'")
CHAT = 'iframe[src*="/embed?"]'


class Chatter(Caller):
    """Somebody's chat beside Webmail."""

    def frame(self, selector: str) -> str:
        """Something in the meeting."""
        return f"{FRAME}{selector}"

    async def meet(self, name: str) -> None:
        """Start a meeting from the contacts, without joining it."""
        await self.page.click(".chatd-meetings converse-dropdown button")
        await self.page.click(".chatd-meetings .start-meeting")
        await self.page.fill("#chatd-meeting-name", name)
        await self.page.press("#chatd-meeting-name", "Enter")

class Reader:
    """Somebody at Webmail. `tab` is the whole tab, `mail` Roundcube in it: in the shell's frame, or the tab itself."""

    def __init__(self, tab: Page, name: str, webmail: Webmail) -> None:
        self.tab = tab
        self.name = name
        self.address = f"{name}@{DOMAIN}"
        self.webmail = webmail
        self.mail = tab.inside(SHELL)
        self.chat = Chatter(tab.inside(CHAT), name)

    async def log_in(self, password: str = PASSWORD) -> None:
        """Fill in Webmail's form and wait for the list of mails."""
        await self.tab.fill("#rcmloginuser", self.address)
        await self.tab.fill("#rcmloginpwd", password)
        await self.tab.click("#rcmloginsubmit")
        await self.mail.see("#mailboxlist:visible, #messagelist:visible")    # a phone shows but the latter

    async def go(self, task: str, sight: str = "") -> None:
        """Go to another task of Webmail, which loads a new page; wait for `sight` in it."""
        sights = {"mail": "#mailboxlist", "contacts": "#directorylist", "settings": "#settings-menu",
                  "compose": "#composebody"}
        await self.mail.eval("void (window.wasBefore = true)")
        for _ in range(6):
            await self.ready()
            await self.mail.click(f"#taskmenu a.{task}")
            with suppress(AssertionError):
                # Roundcube may have begun to load something just before the click, and then has forgotten it.
                await self.mail.until("!window.wasBefore", 10)
                break
        await self.mail.see(sight or sights[task], 60)
        await self.ready()

    async def ready(self) -> None:
        """Wait until Roundcube's page works, and the shell has heard of it. While it loads a list or a mail it takes no
        click on its menus, and forgets that there was one."""
        await self.mail.until("document.readyState === 'complete' && Boolean(window.rcmail && rcmail.task) "
                              "&& !rcmail.busy", 60)

    async def open(self, subject: str) -> Page:
        """Show a mail beside the list: its frame."""
        await self.mail.click(f'#messagelist tr:has-text("{subject}") td.subject')
        preview = self.mail.inside("#messagecontframe")
        await preview.see(f'#message-header .subject:has-text("{subject}")')
        return preview

    async def log_out(self) -> None:
        await self.ready()
        await self.mail.click("#taskmenu a.logout")
        await self.tab.see("#login-form")


class Readers:
    """Makes the people of one test, and checks their pages at its end."""

    def __init__(self, browser: Browser, webmail: Webmail) -> None:
        self.browser = browser
        self.webmail = webmail
        self.readers: list[Reader] = []
        self.expected: list[str] = list(KNOWN)

    def expect(self, complaint: str) -> None:
        """Name a complaint, as a regular expression, that this test brings about on purpose."""
        self.expected.append(complaint)

    async def at_webmail(self, name: str, path: str = "/", origin: str = "", **options: Any) -> Reader:
        """Return somebody who has opened Webmail; options as for Browser.page."""
        page = await self.browser.page((origin or self.webmail.https) + path, https=True, **options)
        reader = Reader(page, name, self.webmail)
        self.readers.append(reader)
        return reader

    async def logged_in(self, name: str, **options: Any) -> Reader:
        """Return somebody who sees their mails."""
        reader = await self.at_webmail(name, **options)
        await reader.log_in()
        await reader.ready()
        return reader

    async def leave(self) -> None:
        """Close everything and check what the pages did."""
        found = []
        for reader in self.readers:
            log = await reader.tab.log()
            found += [f"policy: {violation}" for violation in log["violations"]]
            found += [line for line in log["complaints"] + log["failures"] if not self._is_expected(line)]
            await reader.tab.close()
        found += [line for line in self.webmail.errors().splitlines() if not self._is_expected(line)]
        assert found == [], found

    def _is_expected(self, line: str) -> bool:
        return any(re.search(pattern, line) for pattern in self.expected)
