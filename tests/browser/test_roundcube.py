"""Chat in Roundcube, and Roundcube in the plugin's shell: it behaves as Roundcube alone does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import pytest_twisted

from tests.browser.mail import CHAT, SHELL, Reader, Readers
from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.roundcube import Webmail
from tests.roundcube import webmail as running_webmail

USERS = {f"{name}@{DOMAIN}": PASSWORD for name in ("alice", "bob")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Webmail, Daemon]]:
    """Webmail with a chatd of its own."""
    with running_webmail(USERS) as server, \
            running(tmp_path_factory.mktemp("chatd"), extra=server.table(DOMAIN)) as daemon:
        server.know(daemon)
        for number in range(3):
            server.put(f"alice@{DOMAIN}", f"Bob Smith <bob@{DOMAIN}>", f"Offer {number}", "Hello Alice!")
        yield server, daemon


@pytest.fixture
def webmail(place: tuple[Webmail, Daemon]) -> Webmail:
    return place[0]


async def same(reader: Reader) -> None:
    """Wait until address bar and title are those of the page in the frame."""
    await reader.tab.until(f"(inner => inner.rcmail?.task && inner.location.href === location.href && "
                    f"inner.document.title === document.title)(document.querySelector('{SHELL}').contentWindow)")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_the_chat_stays_while_webmail_changes_its_pages(readers: Readers) -> None:
    alice = await readers.at_webmail("alice")
    assert await alice.tab.count(SHELL) == 0        # the log-in page is the whole tab
    await alice.log_in()
    await same(alice)
    await alice.chat.page.click("#launcher")
    await alice.chat.page.see(".chatd-empty")
    await alice.chat.page.eval("window.kept = 'the same page'")
    for task, part in (("contacts", "_task=addressbook"), ("settings", "_task=settings"),
                       ("compose", "_action=compose"), ("mail", "_task=mail")):
        await alice.go(task)
        await same(alice)
        assert part in await alice.tab.eval("location.search")
        await alice.chat.page.see(".chatd-empty")
    assert await alice.chat.page.eval("window.kept") == "the same page"
    await alice.log_out()
    assert await alice.tab.count("iframe") == 0
    await alice.tab.see("text=You have successfully terminated the session")
    await alice.tab.call("goBack")
    await alice.tab.see("#login-form")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_what_is_typed_in_the_chat_stays_there(readers: Readers) -> None:
    """Roundcube puts the focus into each new page, but not while somebody writes."""
    alice = await readers.logged_in("alice")
    page = alice.chat.page
    await page.click("#launcher")
    await alice.chat.open_add_contact()
    typed = "one two three four five six seven eight nine ten"
    await alice.mail.eval("void rcmail.command('switch-task', 'settings')")
    for number, letter in enumerate(typed):
        await page.keyboard("press", letter if letter != " " else "Space")
        if number == len(typed) // 2:
            await alice.mail.see("#settings-menu")
            await alice.mail.eval("void rcmail.command('switch-task', 'mail')")
    await alice.mail.see("#mailboxlist")
    assert await page.call("inputValue", selector="#chatd-add-jid") == typed


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_chat_with_who_wrote(readers: Readers, webmail: Webmail) -> None:
    """A mail has a button for that, but not one's own; whoever is elsewhere is taken with name and address."""
    webmail.put(f"alice@{DOMAIN}", f"Alice <alice@{DOMAIN}>", "Note to myself")
    webmail.put(f"alice@{DOMAIN}", '"Zander, Zoe" <zoe@elsewhere.example>', "From outside")
    bob = await readers.logged_in("bob")
    await bob.chat.page.see("#launcher")
    alice = await readers.logged_in("alice")
    preview = await alice.open("Note to myself")
    assert await preview.count("a.chatd-chat:visible") == 0
    preview = await alice.open("Offer 1")
    await preview.click("a.chatd-chat:has-text('Chat with sender')")
    await alice.chat.page.see(f'converse-chat[jid="bob@{DOMAIN}"] textarea, #chatd-add-jid')
    assert await alice.chat.page.call("inputValue", selector="#chatd-add-jid") == f"bob@{DOMAIN}"
    await alice.chat.page.key("Escape")
    await alice.chat.page.gone("converse-add-contact-modal")
    preview = await alice.open("From outside")
    await preview.click("a.chatd-chat:has-text('Chat with sender')")
    await alice.chat.page.until("document.querySelector('#chatd-add-jid')?.value === "
                                "'Zander, Zoe <zoe@elsewhere.example>'")
    # What is suggested can be added: the other server has to answer, and does not here.
    assert await alice.chat.page.count("converse-add-contact-modal [role=alert]:visible") == 0


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_log_out_ends_the_chat_in_all_tabs(readers: Readers, place: tuple[Webmail, Daemon]) -> None:
    """The panels, their tokens and their sessions."""
    webmail, daemon = place

    def tokens() -> set[str]:
        return {str(one["token"]) for one in daemon.ctl("token", "list", f"alice@{DOMAIN}")["result"]}

    before = tokens()       # of other tests' log-ins
    alice = await readers.logged_in("alice")
    other = await alice.tab.tab(f"{webmail.https}/?_task=addressbook")
    for tab in (alice.tab, other):
        await tab.inside(CHAT).see("#launcher")
        await tab.until("chatd.state === 'connected'")
    assert len(tokens() - before) >= 2
    await alice.log_out()
    await other.gone(CHAT)
    assert tokens() <= before
    await other.close()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_back_forward_reload_and_a_link_lead_where_they_should(readers: Readers) -> None:
    alice = await readers.logged_in("alice")
    await alice.go("contacts")
    await alice.go("settings")
    await alice.mail.click("#settings-menu .folders a")
    await alice.mail.see("#subscription-table")
    await same(alice)
    for sight in ("#settings-menu", "#directorylist"):
        await alice.tab.call("goBack")
        await alice.mail.see(sight)
        await alice.ready()
        await same(alice)
    await alice.tab.call("goForward")
    await alice.mail.see("#settings-menu")
    await same(alice)
    await alice.mail.click("#settings-menu .folders a")
    await alice.mail.see("#subscription-table")
    await same(alice)
    await alice.tab.reload()
    await alice.mail.see("#subscription-table")
    await same(alice)
    await alice.tab.call("goBack")
    await alice.mail.see("#settings-menu")
    address = f"{alice.webmail.https}/?_task=mail&_mbox=INBOX&_uid=1&_action=show"
    await alice.tab.goto(address)
    await alice.mail.see("#message-header")
    await same(alice)
    assert await alice.tab.eval("location.href") == address
    other = await alice.tab.tab(f"{alice.webmail.https}/?_task=addressbook")
    await other.inside(SHELL).see("#directorylist")
    await alice.go("mail")
    assert "_task=addressbook" in await other.eval("location.search")
    await other.close()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_pop_ups_and_what_is_printed_have_no_shell(readers: Readers) -> None:
    alice = await readers.logged_in("alice")
    preview = await alice.open("Offer 1")
    await preview.click("#message-header .extwin")
    popup = await alice.tab.popup()
    await popup.see("#message-header")
    assert await popup.count(SHELL) == 0
    assert await popup.eval("opener.rcmail.task") == "mail"
    await popup.close()
    await alice.mail.eval("void rcmail.open_window('?_task=mail&_action=compose&_extwin=1', true)")
    compose = await alice.tab.popup()
    await compose.see("#composebody")
    assert await compose.count(SHELL) == 0
    await compose.close()
    for action in ("_action=print&_uid=1&_mbox=INBOX", "_action=viewsource&_uid=1&_mbox=INBOX"):
        tab = await alice.tab.tab(f"{alice.webmail.https}/?_task=mail&{action}")
        assert await tab.count(SHELL) == 0
        await tab.see("text=Hello Alice!")
        await tab.close()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_a_session_that_is_over_gives_the_whole_tab_the_log_in_page(readers: Readers, webmail: Webmail) -> None:
    alice = await readers.logged_in("alice")
    await alice.go("contacts")
    webmail.forget_sessions()
    await alice.mail.click("#taskmenu a.settings")
    await alice.tab.see("#login-form")
    assert await alice.tab.count(SHELL) == 0
    await alice.tab.see("text=Your session is invalid or expired")
    await alice.tab.fill("#rcmloginuser", alice.address)
    await alice.tab.fill("#rcmloginpwd", PASSWORD)
    await alice.tab.click("#rcmloginsubmit")
    await alice.mail.see("#settings-menu")          # what was asked for before
    await same(alice)
    # In another tab: the next thing this tab asks for tells it.
    other = await alice.tab.tab(f"{alice.webmail.https}/?_task=mail")
    await other.inside(SHELL).see("#messagelist")
    await other.inside(SHELL).click("#taskmenu a.logout")
    await other.see("#login-form")
    await other.close()
    await alice.mail.click("#taskmenu a.mail")
    await alice.tab.see("#login-form")
    assert await alice.tab.count(SHELL) == 0


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_somebody_else_logs_in_in_another_tab(readers: Readers, webmail: Webmail) -> None:
    """This tab then has their mail and their chat, however often it was loaded anew just before."""
    alice = await readers.logged_in("alice")
    await alice.tab.until("window.chatd?.state === 'connected'", 30)
    other = Reader(await alice.tab.tab(f"{webmail.https}/?_task=mail"), "bob", webmail)
    await other.log_out()
    await other.log_in()
    await alice.tab.eval("void sessionStorage.setItem('chatd.reloads', JSON.stringify(Array(3).fill(Date.now())))")
    await alice.ready()
    await alice.mail.click("#taskmenu a.contacts")
    await alice.mail.until(f"rcmail.env.chatd.address === 'bob@{DOMAIN}'", 30)
    await alice.chat.page.see("#launcher", 60)
    assert "bob@" in await alice.chat.page.eval("sessionStorage.getItem('chatd.framed')")
    assert await alice.chat.page.count('.userinfo:has-text("alice")') == 0
    await other.tab.close()


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_the_shell_asks_for_webmail_at_once(readers: Readers) -> None:
    """Its frame does not wait for a script, nobody sees what marks its address, and the chat comes after it."""
    alice = await readers.logged_in("alice")
    await alice.go("contacts")
    await alice.go("settings")
    for step in ("reload", "goBack", "goForward"):
        await alice.tab.call(step)
        await alice.mail.see("#directorylist, #settings-menu")
        await alice.ready()
        await same(alice)
        assert "_chatd" not in await alice.tab.eval("location.href") + await alice.mail.eval("document.URL")
    await alice.tab.goto(f"{alice.webmail.https}/?_task=mail&_mbox=INBOX")
    await alice.tab.until("window.chatd?.state === 'connected'", 30)
    parts = """['_chatd=1', '/embed.js', '/embed?'].map((part) =>
        performance.getEntriesByType('resource').find((one) => one.name.includes(part))?.startTime)"""
    await alice.tab.until(f"{parts}.every((start) => start !== undefined)")  # written down when a frame has loaded
    starts = await alice.tab.eval(parts)
    drawn = await alice.mail.eval("performance.timeOrigin - parent.performance.timeOrigin "
                                  "+ performance.getEntriesByType('navigation')[0].domContentLoadedEventStart")
    assert starts[0] < drawn <= starts[1] < starts[2]
    # An ended session: what was asked for comes back after the log-in, without the mark.
    alice.webmail.forget_sessions()
    await alice.tab.reload()
    await alice.tab.see("#login-form")
    assert "_chatd" not in await alice.tab.eval("document.querySelector('#login-form input[name=_url]').value")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_an_unsaved_mail_is_not_left_without_a_question(readers: Readers) -> None:
    alice = await readers.logged_in("alice")
    for task in ("contacts", "logout"):
        await alice.go("compose")
        await alice.mail.fill("#composebody", "Dear Bob,")
        await alice.mail.click(f"#taskmenu a.{task}")
        await alice.mail.see(".ui-dialog button.discard, .ui-dialog .mainaction")
        await alice.mail.see("#composebody")
        await alice.mail.click(".ui-dialog .mainaction")
        if task == "contacts":
            await alice.mail.see("#directorylist")
    await alice.tab.see("#login-form")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_the_keyboard_is_in_webmail(readers: Readers) -> None:
    alice = await readers.logged_in("alice")
    await alice.tab.until("document.activeElement.id === 'webmail'")
    await alice.go("contacts")
    await alice.go("mail")
    await alice.tab.until("document.activeElement.id === 'webmail'")
    await alice.mail.click("#messagelist tbody tr >> nth=0 >> td.subject")
    await alice.tab.keyboard("press", "ArrowDown")
    await alice.mail.see("#messagelist tbody tr.selected:nth-child(2)")
    await alice.tab.keyboard("press", "Control+a")
    await alice.mail.until("document.querySelectorAll('#messagelist tbody tr:not(.selected)').length === 0")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_the_setting_switches_it_off_and_on(readers: Readers) -> None:
    alice = await readers.logged_in("alice")
    for is_on in (False, True):
        await alice.tab.goto(f"{alice.webmail.https}/?_task=settings&_action=preferences")
        page = alice.mail if not is_on else alice.tab
        await page.click("#rcmrowchatd")
        form = page.inside("#preferences-frame")
        await form.see("text=Show chat and meetings in Webmail")
        await form.eval("document.querySelector('#chatd-enabled').click()")
        await form.click("button.submit")
        if is_on:
            await alice.tab.see(SHELL)
            await alice.mail.see("#settings-menu")
        else:
            await alice.tab.gone(SHELL)
            await alice.tab.see("#settings-menu")
            assert await alice.tab.count("script[src$='embed.js']") == 0


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_dark_mode_is_followed(readers: Readers) -> None:
    """By the shell and by the chat; neither has a fault of accessibility in either."""
    alice = await readers.logged_in("alice")
    panel = alice.chat.page
    await panel.see("#launcher")
    for is_dark in (True, False):
        await alice.mail.click("#taskmenu a.theme")
        await alice.tab.until(f"document.documentElement.classList.contains('dark-mode') === {json.dumps(is_dark)}")
        await panel.until(f"matchMedia('(prefers-color-scheme: dark)').matches === {json.dumps(is_dark)}")
        assert await alice.tab.axe() == []
        assert await panel.axe() == []
        if is_dark:
            await panel.click("#launcher")
            await panel.see(".chatd-empty")
            assert await panel.axe() == []
    assert await panel.axe() == []


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_without_a_word_what_it_asks_for_a_browser_has_the_chat_in_the_page(
        readers: Readers, webmail: Webmail) -> None:
    alice = await readers.at_webmail("alice", origin=webmail.old)
    alice.mail = alice.tab
    await alice.log_in()
    assert await alice.tab.count(SHELL) == 0
    await alice.chat.page.see("#launcher")
    await alice.chat.page.click("#launcher")
    await alice.chat.page.see(".chatd-empty")
    await alice.go("contacts")
    assert await alice.tab.count(SHELL) == 0
    # Opened before, it is open on the next page, too.
    await alice.chat.page.see(".chatd-empty")
