"""A day with chat in Webmail, from nothing: Roundcube, its plugin, chatd, meetings, and at last a terminal.

The mail server knows the passwords, a file who there is; no account of chatd is made beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.flow import comes, longest_gap_s, watch
from tests.browser.mail import Readers
from tests.daemon import DOMAIN, PASSWORD
from tests.interop.test_profanity import Terminal, profanity, shows_history
from tests.media_daemon import MediaDaemon, running_media
from tests.roundcube import Webmail
from tests.roundcube import webmail as running_webmail
from tests.smtp import PostOffice

USERS = {f"{name}@{DOMAIN}": PASSWORD for name in ("alice", "bob", "carol")}
PEOPLE = f"name,address,department\nAlice Adams,alice@{DOMAIN},\nBob Björnsson,bob@{DOMAIN},Sales\n"
GAP_S = 5.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Webmail, MediaDaemon]]:
    """Webmail and chatd, which know each other."""
    folder = Path(tmp_path_factory.mktemp("chatd"))
    (folder / "people.csv").write_text(PEOPLE)
    inboxes: list[Webmail] = []
    post = PostOffice(lambda to, message: inboxes[0].deliver(to, message))
    with ExitStack() as stack:
        stack.callback(post.stop)
        webmail = stack.enter_context(running_webmail(USERS, smtp=post.port))
        inboxes.append(webmail)
        mail = webmail.mail
        domain = (f'[[domain.auth]]\nkind = "imap"\nurl = "imaps://localhost:{mail.imaps}"\nca = "{mail.certificate}"\n'
                  '[[domain.directory]]\nkind = "file"\npath = "people.csv"\n')
        daemon = stack.enter_context(running_media(folder, extra=webmail.table(DOMAIN), domain_extra=domain))
        webmail.know(daemon)
        webmail.put(f"alice@{DOMAIN}", f"Bob Björnsson <bob@{DOMAIN}>", "Minutes of Monday", "See below.")
        yield webmail, daemon


@pytest.fixture(scope="module")
def webmail(place: tuple[Webmail, MediaDaemon]) -> Webmail:
    return place[0]


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_day(readers: Readers, place: tuple[Webmail, MediaDaemon], tmp_path: Path,
                     record_property: Any) -> None:
    webmail, daemon = place
    readers.expect("item-not-found")
    options = {"media": "granted", "width": 1440, "height": 900}
    alice = await readers.logged_in("alice", **options)
    await alice.tab.eval("window.kept = true")
    chat = alice.chat
    await chat.page.click("#launcher")
    await chat.page.see(".chatd-empty")

    # A colleague who was never here.
    await chat.open_add_contact()
    await chat.page.fill("#chatd-add-jid", "björn")
    row = f'.chatd-people__row[data-jid="bob@{DOMAIN}"][aria-disabled=true]'
    await chat.page.see(f"{row} .chatd-people__why")
    assert await chat.page.axe() == []
    await chat.page.fill("#chatd-add-jid", f"bob@{DOMAIN}")
    await chat.page.press("#chatd-add-jid", "Enter")
    await chat.page.see('converse-add-contact-modal [role=alert]:has-text("has never logged in to the chat")')

    # Who then comes to work.
    bob = await readers.logged_in("bob", **options)
    await bob.chat.page.see("#launcher")
    await chat.page.fill("#chatd-add-name", "Bob")
    await chat.page.fill("#chatd-add-groups", "Sales, Monday")
    await chat.page.press("#chatd-add-groups", "Enter")
    await chat.page.gone("converse-add-contact-modal")
    for group in ("Sales", "Monday"):
        await chat.page.see(f'.roster-group[data-group="{group}"] .contact-name:text("Bob")')
    await bob.chat.page.click("#launcher")
    await bob.chat.page.click(".requesting-xmpp-contact converse-dropdown button")
    await bob.chat.page.click(".accept-xmpp-request")
    await bob.chat.page.click("converse-accept-contact-request-modal button[type=submit]")
    await chat.page.see('.current-xmpp-contact[data-status="online"]')
    await bob.chat.page.see('.current-xmpp-contact[data-status="online"]')
    await chat.say("Good morning, Bob!")
    await bob.chat.open_chat("alice")
    await bob.chat.reads("Good morning, Bob!")
    await bob.chat.say("Good morning.")
    await chat.reads("Good morning.")
    assert await chat.page.axe() == []

    # A meeting from the chat.
    await chat.start_dialog()
    await chat.page.fill("#chatd-meeting-name", "Offer")
    await chat.page.press("#chatd-meeting-name", "Enter")
    await chat.join()
    await bob.chat.page.click(".chatd-card__join")
    await bob.chat.join()
    for person in (alice, bob):
        await watch(person.chat.page)
        await comes(person.chat.page, 1)
    await chat.page.click(chat.button("small"))
    await chat.size("small")
    await longest_gap_s(chat.page)
    gaps = {}

    async def without_gap(what: str) -> None:
        await comes(chat.page, 1)
        gaps[what] = await longest_gap_s(chat.page)

    await without_gap("nothing")
    preview = await alice.open("Minutes of Monday")
    await preview.see("text=See below.")
    await without_gap("a mail read")
    await alice.go("compose")
    await alice.mail.fill("#compose_to input", f"bob@{DOMAIN},")
    await alice.mail.fill("#compose-subject", "The offer")
    await alice.mail.fill("#composebody", "Here it is.")
    await alice.mail.click(".formbuttons button.send")
    await alice.mail.see("#messagelist")
    await without_gap("a mail written")
    await alice.go("contacts")
    await without_gap("contacts")
    await alice.go("settings")
    await without_gap("settings")
    await alice.go("mail")
    await without_gap("mail")
    assert await alice.tab.eval("window.kept")
    await chat.page.click(chat.button("enlarge"))
    await chat.size("normal")
    await chat.page.click(chat.button("full"))
    await chat.size("full")
    await without_gap("maximised")
    print({what: round(gap, 2) for what, gap in gaps.items()})
    record_property("gaps_s", gaps)
    quiet = gaps.pop("nothing")
    assert max(gaps.values()) < GAP_S + quiet, (gaps, quiet)
    await chat.page.click(chat.frame("button.round--leave"))
    await chat.page.gone(".meetingwindow")
    await chat.reads("Good morning.")

    # Bob has the mail, and answers in the chat, from the mail.
    await bob.chat.page.click(bob.chat.frame("button.round--leave"))
    await bob.chat.page.gone(".meetingwindow")
    await bob.go("contacts")
    await bob.go("mail")
    mail = await bob.open("The offer")
    await mail.see("text=Here it is.")
    await mail.click("a.chatd-chat")
    await bob.chat.page.see(f'converse-chat[jid="alice@{DOMAIN}"] textarea')
    await bob.chat.say("Thank you!")
    await chat.reads("Thank you!")

    # Log-out ends the chat; others see it.
    await alice.log_out()
    assert await alice.tab.count("iframe") == 0
    await bob.chat.page.see('.current-xmpp-contact[data-status="offline"]', 30)

    # The same person, with the same password, in a terminal.
    home = tmp_path / "home"
    home.mkdir()
    await deferToThread(in_a_terminal, daemon, home)
    await bob.chat.reads("From the terminal")
    await bob.chat.page.see('.current-xmpp-contact[data-status="offline"]', 30)


def shows_group(terminal: Terminal, group: str) -> None:
    """The contact is in a group; the list comes a moment after the log-in."""
    for _ in range(10):
        terminal.type(f"/roster group show {group}")
        try:
            terminal.see(rf"bob@{DOMAIN} \(Bob\) - both", 3)
        except AssertionError:
            continue
        return
    raise AssertionError(f"{group} is no group of the terminal's")


def in_a_terminal(daemon: MediaDaemon, home: Path) -> None:
    """Log-in with the password of the mail, the contact in both groups, and what was said today, in its order."""
    address = f"alice@{DOMAIN}"
    with profanity(daemon, home, address, PASSWORD) as terminal:
        terminal.type("/mam on")        # profanity shows no history otherwise, of no server
        terminal.see("Message Archive Management enabled")
        terminal.type(f"/connect {address}")
        terminal.see("logged in successfully")
        for group in ("Sales", "Monday"):
            shows_group(terminal, group)
        shows_history(terminal, "Bob", "me: Good morning, Bob!", r"Bob[^:]*: Good morning\.", r"Bob[^:]*: Thank you!")
        terminal.type("/msg Bob From the terminal")
        terminal.see("From the terminal")
        terminal.type("/quit")
        terminal.process.wait(20)
