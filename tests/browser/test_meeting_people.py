"""The meeting page's people: who is there, what moderators do with them, and the chat; in Chromium, three and more.

What a moderator forbids, a modified client cannot do either: there the media token and the bridge say no.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.browser.harness import Page
from tests.browser.party import Party, inside, join, sees, tile
from tests.daemon import DOMAIN, PASSWORD
from tests.integration.visitors import Visitor
from tests.interop.test_profanity import profanity

pytestmark = pytest.mark.long  # real media in several browsers

HEARD = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp' && one.kind === 'audio')
    .reduce((sum, one) => sum + (one.packetsReceived ?? 0), 0)))
    .then((all) => all.reduce((sum, one) => sum + one, 0))"""
FORGED = """(() => {
    const Real = globalThis.WebSocket;
    globalThis.WebSocket = class extends Real {
        set onmessage(take) {
            super.onmessage = (event) => take(typeof event.data !== 'string' ? event : new MessageEvent('message', {
                data: event.data.replace(/role=(.)participant./g, 'role="moderator"'),
            }));
        }
    };
})()"""
"""A modified client: it reads that everybody is a moderator, so it thinks that it may do everything."""


async def people(page: Page, *names: str) -> None:
    """Open the participants; these are there."""
    await page.click("button[aria-label^=Participants]")
    for name in names:
        await page.see(f".people li[data-nick='{name}']")


async def act(page: Page, name: str, what: str) -> None:
    """One of the actions for somebody."""
    button = f"button[aria-label='Actions for {name}']"
    if await page.call("getAttribute", "aria-expanded", selector=button) != "true":
        await page.click(button)
    await page.click(f".actions button:text-is('{what}')")


async def quiet(page: Page) -> None:
    """Wait until nothing is heard any more: two counts half a second apart are the same."""
    later = "new Promise((go) => setTimeout(go, 500))"
    await page.until(f"({HEARD}).then((a) => {later}.then(() => ({HEARD}).then((b) => a === b)))")


@pytest_twisted.ensureDeferred
async def test_muting(party: Party) -> None:
    """One and all; the muted one is told, may come back, unless it is forbidden; then not even a modified client."""
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    for name in ("Ada", "Bea"):
        await tile(alice, name)
    await people(alice, "Ada", "Bea")
    assert "Guest" in await alice.text(".people li[data-nick=Ada]") and "Guests: 2" in await alice.text(".counts")
    assert "Moderator" in await alice.text(".people li[data-nick=Alice]")
    await act(alice, "Ada", "Mute")
    await ada.see("text=A moderator has muted you.")
    await ada.click("button[aria-label='Turn microphone on']")
    await ada.see("button[aria-label='Turn microphone off']")
    await act(alice, "Ada", "Stop video")
    await ada.see("text=A moderator has stopped your video.")
    await alice.gone(".tile[data-nick=Ada] video")
    await alice.click(".actions >> text=Microphone")
    await alice.see("text=Forbidden for Ada.")
    await ada.see("text=A moderator has forbidden you the microphone.")
    await ada.see("button[aria-label='Turn microphone on. A moderator has forbidden this.']:disabled")
    await alice.click(".toast >> text=Undo")
    await ada.see("text=You may use your microphone.")
    await ada.click("button[aria-label='Turn microphone on']")
    await ada.see("button[aria-label='Turn microphone off']")
    assert await alice.axe() == []

    await alice.click(".side__foot >> text=Mute all")
    await alice.click(".asking__more input")
    await alice.click(".asking .primary")
    for page in (ada, bea):
        await page.see("button[aria-label='Turn microphone on. A moderator has forbidden this.']:disabled")
        assert await page.axe() == []
    await quiet(alice)

    await alice.click(".side__foot >> text=Stop all video")
    await alice.click(".asking .primary")
    await alice.gone(".tile[data-nick=Bea] video")
    await bea.see("text=A moderator has stopped your video.")
    await bea.click("button[aria-label='Turn camera on']")
    await tile(alice, "Bea")
    await sees(alice)


@pytest_twisted.ensureDeferred
async def test_a_modified_client(party: Party) -> None:
    """A page that takes itself for a moderator gets nothing: no microphone, no screen, no command, no text."""
    party.people.expect("NotAllowed|permission|insufficient|publish|403")
    room = party.meeting()
    alice = await party.alice(room)
    ada = await party.guest(room, "Ada")
    await people(alice, "Ada")
    await alice.click("button[aria-label=Security]")
    for word in ("turn on their microphone", "share their screen", "write in the chat"):
        await alice.click(f".toggle:has-text('{word}') input")
    await alice.key("Escape")
    eve = await party.open(room)
    await eve.see("form.card")
    await eve.eval(FORGED)
    await join(eve, "Eve")
    await inside(eve)
    await ada.see("button[aria-label='Turn microphone on. A moderator has forbidden this.']:disabled")
    await ada.see("button[aria-label='Share screen. A moderator has forbidden this.']:disabled")
    await ada.click("button[aria-label=Chat]")
    await ada.see(".side__foot:has-text('A moderator has switched off the chat.')")
    assert await ada.axe() == []
    await eve.click("button[aria-label^=Participants]")
    assert "Moderator" in await eve.text(".people li[data-nick=Eve]"), "it believes what it made up"
    await act(eve, "Ada", "Stop video")
    await eve.see("text=Only moderators may do that.")
    await eve.click("button[aria-label=Chat]")
    await eve.fill(".writing textarea", "A message that is not allowed")
    await eve.press(".writing textarea", "Enter")
    await eve.see(".message__status:has-text('Not sent')")
    for button in ("Turn microphone on", "Share screen"):
        await eve.click(f"button[aria-label='{button}']")
    await alice.see(".people li[data-nick=Eve] >> text=Microphone off")
    await tile(alice, "Eve")  # her camera is allowed
    await quiet(alice)
    assert await alice.count(".tile--screen") == 0 and await ada.count(".message:has-text('not allowed')") == 0
    await tile(ada, "Alice")


@pytest_twisted.ensureDeferred
async def test_standing(party: Party) -> None:
    """Moderators by grant, and no more; hands; removal for good; the lock; the end for all."""
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea, eve = [await party.guest(room, name) for name in ("Ada", "Bea", "Eve")]
    for page in (ada, bea, eve):
        await inside(page)
    await people(alice, "Ada", "Bea", "Eve")
    assert "Participants (4)" in await alice.text(".side h2")
    await act(alice, "Ada", "Make moderator")
    await ada.see("text=You are now a moderator.")
    await people(ada, "Alice")
    await act(ada, "Bea", "Mute")
    await bea.see("text=A moderator has muted you.")
    await ada.click("button[aria-label='Actions for Alice']")
    assert await ada.count(".actions >> text=Remove") == 0, "nobody removes the owner"
    await act(alice, "Ada", "No longer moderator")
    await ada.see("text=You are no longer a moderator.")
    await ada.gone("button[aria-label='Actions for Bea']")
    await alice.click(".toast >> text=Undo")
    await ada.see("text=You are now a moderator.")
    await act(alice, "Ada", "No longer moderator")

    for page in (bea, eve):
        await page.click("button[aria-label='Raise hand']")
        await alice.see(f".people li[data-nick={'Bea' if page is bea else 'Eve'}] .people__hand")
    order = await alice.eval("[...document.querySelectorAll('.people li')].map((one) => one.dataset.nick)")
    assert order == ["Alice", "Bea", "Eve", "Ada"], "hands in the order in which they were raised"
    await act(alice, "Bea", "Lower hand")
    await bea.see("button[aria-label='Raise hand']")
    await alice.click(".side__foot >> text=Lower all hands")
    await eve.see("button[aria-label='Raise hand']")

    await alice.click("button[aria-label='Start recording']")
    await alice.see("dialog:has-text('Meetings are not recorded at this site.')")
    assert await alice.axe() == []
    await alice.key("Escape")
    await alice.click("button[aria-label=Security]")
    await alice.click(".toggle:has-text('Lock the meeting')")
    await ada.see("text=The meeting is locked: nobody new comes in.")
    assert await alice.axe() == []
    await alice.key("Escape")
    await ada.click("button[aria-label=Security]")
    await ada.see(".facts__list >> text=The meeting is locked")
    assert await ada.axe() == []
    await ada.key("Escape")
    late = await party.open(room)
    await late.see("text=The meeting is locked: only people who have been in can come in.")
    await join(late, "Late")
    await late.see("text=The meeting is locked. Try again later.")
    await bea.click("button[aria-label=Leave]")
    await bea.click("text=Rejoin")
    await join(bea, "Bea")
    await inside(bea)  # who was in comes back

    await act(alice, "Eve", "Remove")
    await alice.see(".asking:has-text('Remove Eve? They cannot come back.')")
    await alice.click(".asking button.danger")
    await eve.see("text=You were removed from this meeting.")
    assert await eve.count("text=Rejoin") == 0 and await eve.axe() == []
    await alice.gone(".tile[data-nick=Eve]")
    await eve.reload()
    await join(eve, "Somebody else")
    await eve.see("text=You were removed from this meeting.")
    await alice.click(".side__foot >> text=End for all")
    await alice.click(".asking button.danger")
    for page in (alice, ada, bea):
        await page.see("text=The meeting was ended for all.")


@pytest_twisted.ensureDeferred
async def test_security(party: Party) -> None:
    """A password set, changed, taken away, by keyboard alone; what holds is known at the door."""
    # LiveKit's client says so where somebody leaves while a track of his is being set up.
    party.people.expect("Tried to add a track for a participant, that's not present")
    room = party.meeting()
    alice = await party.alice(room, width=390, height=844)
    await alice.call("focus", selector="button[aria-label=Security]")
    await alice.key("Enter")
    await alice.see("dialog >> text=There is no password.")
    await alice.call("focus", selector="dialog >> text=Set a password")
    await alice.key("Enter")
    await alice.call("pressSequentially", "swordfish", selector="dialog input:focus")
    await alice.key("Enter")
    await alice.see("dialog >> text=The password is")
    await alice.click("dialog >> text=Show")
    assert await alice.text(".secret") == "swordfish" and await alice.axe() == []
    ada = await party.open(room, media="none")
    await ada.see("input[name=password]")
    await alice.click("dialog >> text=Change")
    await alice.fill("dialog form input", "tunafish")
    await alice.click("dialog >> text=Save")
    await alice.see(".secret:has-text('tunafish')")
    await join(ada, "Ada", "swordfish")
    await ada.see("text=That password is not right")
    await join(ada, "Ada", "tunafish")
    await ada.see(".inside")
    await alice.click("dialog >> text=Remove password")
    await alice.see("dialog >> text=There is no password.")
    await alice.key("Escape")
    await alice.gone("dialog")
    assert await alice.eval("document.activeElement.ariaLabel") == "Security", "the focus is given back"


@pytest_twisted.ensureDeferred
async def test_many(party: Party) -> None:
    """A long list can be searched, and is counted."""
    room = party.meeting()
    alice = await party.alice(room)
    guests = [party.stack.enter_context(Visitor(party.daemon).come()) for _ in range(24)]
    for number, guest in enumerate(guests):
        assert guest.enter(room, f"Zoë {number:02}") == ""
    await people(alice, "Zoë 00", "Zoë 23")
    assert "Participants (25)" in await alice.text(".side h2")
    await alice.fill("input[type=search]", "zoe 1")
    await alice.see(".search [role=status]:has-text('10 of 25')")
    assert await alice.count(".people li") == 10 and await alice.axe() == []
    await alice.fill("input[type=search]", "nobody")
    await alice.see("text=Nobody here has that name.")


# -- the chat
@pytest_twisted.ensureDeferred
async def test_chat(party: Party) -> None:
    """Names, links, long texts, corrections and retractions of other clients, moderation, the archive."""
    room = party.meeting()
    alice = await party.alice(room)
    ada = await party.guest(room, "Ada")
    bob = await party.people.elsewhere("bob")
    await bob.process.ask("enter", room=room, nick="Bob")
    await alice.click("button[aria-label=Chat]")

    async def raw(inner: str, id_: str) -> None:
        await bob.process.ask("raw", xml=f"<message to='{room}' type='groupchat' id='{id_}'>{inner}</message>")

    said = ("See (https://example.org/a_(b)?x=1&amp;y=2). javascript:alert(1) "
            "&lt;b&gt;bold&lt;/b&gt;")
    await raw(f"<body>{said}</body>", "m1")
    await alice.see(".message:has-text('javascript:alert(1) <b>bold</b>')")
    assert await alice.count(".message a") == 1 and await alice.count(".message b >> text=bold") == 0
    link = ".message a"
    assert await alice.call("getAttribute", "href", selector=link) == "https://example.org/a_(b)?x=1&y=2"
    assert await alice.call("getAttribute", "rel", selector=link) == "noopener noreferrer nofollow"
    await ada.see(".badge:has-text('1')")
    assert await ada.axe() == []
    await raw("<body>Noon in rom 2</body>", "m2")
    await alice.see(".message:has-text('Noon in rom 2')")
    await raw("<body>Noon in room 2</body><replace xmlns='urn:xmpp:message-correct:0' id='m2'/>", "m3")
    await alice.see(".message:has-text('Noon in room 2') >> text=edited")
    assert await alice.count(".message:has-text('rom 2')") == 0
    await ada.see(".badge:has-text('2')")  # a correction is no new message
    await ada.click("button[aria-label^=Chat]")
    await ada.fill(".writing textarea", "That is m2 no more")
    await ada.press(".writing textarea", "Enter")
    await alice.see(".message:has-text('m2 no more')")
    await raw("<body>forged</body><replace xmlns='urn:xmpp:message-correct:0' id='unknown'/>", "m4")
    await alice.see(".message:has-text('forged')")

    await ada.call("hover", selector=".message--mine")
    await ada.click(".message--mine button[aria-label=Delete]")
    await ada.click(".message--mine .asking .danger")
    for page in (alice, ada):
        await page.see(".message >> text=This message was deleted.")
    await alice.call("hover", selector=".message:has-text('forged')")
    await alice.click(".message:has-text('forged') button[aria-label='Copy message']")
    await alice.click(".message:has-text('forged') button[aria-label=Delete]")
    await alice.click(".message .asking .danger")
    for page in (alice, ada):
        await page.see(".message >> text=A moderator has removed this message.")
        assert await page.count("text=forged") == 0
    assert await alice.axe() == []
    await ada.fill(".writing textarea", "long " * 400)
    await ada.press(".writing textarea", "Enter")
    await alice.see(".message >> text=Show more")
    await alice.click(".message >> text=Show more")
    await alice.see(".message >> text=Show less")
    await ada.fill(".writing textarea", "x" * 9_500)
    await ada.see("text=This message is too long.")
    await ada.fill(".writing textarea", "")

    for number in range(70):
        await raw(f"<body>Line {number}</body>", f"n{number}")
    await alice.see(".message:has-text('Line 69')")
    late = await party.guest(room, "Lea")
    await inside(late)
    await late.click("button[aria-label^=Chat]")
    await late.see(".message:has-text('Line 69')")
    assert await late.count(".message:has-text('room 2')") == 0
    await late.click("text=Show earlier messages")
    await late.see(".message:has-text('Noon in room 2') >> text=edited")
    await late.see(".message >> text=A moderator has removed this message.")
    await late.gone("text=Show earlier messages")
    assert await late.count(".message:has-text('Line 30')") == 1 and await late.count("text=forged") == 0
    assert await late.axe() == []
    seen = await late.eval("[...document.querySelectorAll('.message__body')].map((one) => one.innerText)")
    lines = [one for one in seen if one.startswith("Line ")]
    assert lines == [f"Line {number}" for number in range(70)], "in order, each once"


@pytest_twisted.ensureDeferred
async def test_read_later_in_a_terminal(party: Party, tmp_path: Path) -> None:
    """What was said in the meeting is read afterwards, when nobody is there, in profanity, a client of another kind."""
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await party.guest(room, "Ada"), await party.guest(room, "Bea")
    await ada.click("button[aria-label=Chat]")
    await ada.fill(".writing textarea", "written-in-the-meeting")
    await ada.press(".writing textarea", "Enter")
    await bea.see(".badge:has-text('1')")
    await alice.see(".badge:has-text('1')")
    for page in (ada, bea, alice):
        await page.click("button[aria-label=Leave]")
        await page.see("text=You have left")
    with profanity(party.daemon, tmp_path, f"alice@{DOMAIN}", PASSWORD) as terminal:

        def type_and_see(line: str, pattern: str) -> None:
            terminal.type(line)
            terminal.see(pattern)

        await deferToThread(type_and_see, f"/connect alice@{DOMAIN}", "logged in successfully")
        await deferToThread(type_and_see, f"/join {room} nick Terminal", "written-in-the-meeting")
