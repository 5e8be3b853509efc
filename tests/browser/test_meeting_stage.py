"""Inside a meeting: layouts, shared screens, hands and reactions, keys, full screen and the small window, phones."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from tests.browser.harness import Page
from tests.browser.party import Party, inside, sees, tile

pytestmark = pytest.mark.long

MORE = "button[aria-label=More]"
MICROPHONE_ON, MICROPHONE_OFF = ("button[aria-label='Turn microphone on']", "button[aria-label='Turn microphone off']")
INBOUND = """Promise.all(__peers.map(async (peer) => [...(await peer.getStats()).values()]
    .filter((one) => one.type === 'inbound-rtp'))).then((all) => all.flat())"""


async def crowd(party: Party, room: str, *names: str, **options: Any) -> list[Page]:
    """Guests who are in the meeting, without devices unless the options say otherwise."""
    pages = []
    for name in names:
        pages.append(await party.guest(room, name, **({"media": "none", "width": 500, "height": 400} | options)))
        await inside(pages[-1])
    return pages


async def box(page: Page, selector: str) -> dict[str, float]:
    """Where an element is: x, y, width, height."""
    found = await page.eval(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
    return dict(found)


async def says(page: Page, text: str) -> None:
    """Wait until a screen reader is told this."""
    await page.until(f"[...document.querySelectorAll('[role=status]')].some((one) => one.textContent === {text!r})")


async def fits(page: Page) -> None:
    """Nothing stands out of the window, and no tile over another."""
    assert await page.eval("""(({ scrollWidth, scrollHeight }) =>
        scrollWidth <= innerWidth && scrollHeight <= innerHeight)(document.documentElement)""")
    assert await page.eval("""[...document.querySelectorAll('.bar .round, .top h1, .grid__tiles .tile')]
        .filter((one) => one.offsetParent).every((one) => {
            const { left, right, top, bottom } = one.getBoundingClientRect();
            return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
        })""")


@pytest_twisted.ensureDeferred
async def test_layouts(party: Party) -> None:
    """Alike, who speaks large, somebody pinned; the bridge sends large pictures where they are shown large."""
    room = party.meeting()
    alice = await party.alice(room, width=1440, height=900)
    (ada,) = await crowd(party, room, "Ada", media="granted")
    (bea,) = await crowd(party, room, "Bea", media="granted")
    for name in ("Ada", "Bea"):
        await tile(alice, name)
        shape = await box(alice, f".grid__tiles .tile[data-nick={name}]")
        assert abs(shape["width"] / shape["height"] - 16 / 9) < 0.03 and shape["width"] > 600
    assert await alice.count(".grid__tiles .tile") == 2
    own = await box(alice, ".corner .tile[data-nick=Alice]")
    assert own["width"] < 220
    await fits(alice)
    await sees(alice)
    assert await alice.axe() == []

    await alice.click("button[aria-label='Show who speaks large']")
    await alice.see(".stage__large .tile")
    await alice.click("[aria-label='Show Bea large']")
    await alice.see(".tile--large[data-nick=Bea] [aria-pressed=true]")
    await alice.until("document.querySelector('.tile--large[data-nick=Bea] video').videoWidth === 1280", 60)
    await alice.until("document.querySelector('.tile--strip[data-nick=Ada] video').videoWidth === 320", 60)
    assert await alice.axe() == []

    await alice.reload()
    await alice.click("form.card button.primary")
    await inside(alice)
    await alice.see(".stage__large .tile")
    await alice.click("button[aria-label='Show everybody alike']")
    await alice.gone(".stage__large")
    await alice.click(MORE)
    await alice.click("[role=menuitemcheckbox]:has-text('Show me among the others')")
    await alice.see(".grid__tiles .tile[data-nick=Alice]")
    assert await alice.count(".corner") == 0

    await ada.click("button[aria-label=Leave]")
    await bea.click("button[aria-label=Leave]")
    await alice.see("text=Nobody else is here yet.")
    await alice.click(".alone button")
    await alice.see(".alone >> text=Copied")


@pytest_twisted.ensureDeferred
async def test_pages(party: Party) -> None:
    """Where tiles would become too small there are pages; the strip says how many more there are."""
    room = party.meeting()
    await crowd(party, room, *"ABCDE")
    (small,) = await crowd(party, room, "Zoe", width=400, height=330)
    await small.see(".pages >> text=Page 1 of 2")
    first = await small.count(".grid__tiles .tile")
    await small.click("button[aria-label='Next page']")
    await small.see(".pages >> text=Page 2 of 2")
    assert first + await small.count(".grid__tiles .tile") == 5
    await fits(small)
    assert await small.axe() == []
    await small.click(MORE)
    await small.click("[role=menuitemcheckbox]:has-text('Show who speaks large')")
    await small.see(".strip__more:has-text('more')")
    shown = await small.count(".tile--strip") - 1
    more = int((await small.text(".strip__more")).split()[1])
    assert shown + more + 1 == 5
    await small.click(".strip__more")
    await small.see(".side h2:has-text('Participants')")


@pytest_twisted.ensureDeferred
async def test_screens(party: Party) -> None:
    """A shared screen comes large, in its own resolution, with its sound; of two, the newer; one can choose."""
    room = party.meeting()
    alice = await party.alice(room, width=1440, height=900)
    ada, bea = await crowd(party, room, "Ada", "Bea", media="granted")
    await tile(alice, "Bea")
    await ada.eval("document.querySelector(\"button[aria-label='Share screen']\").click()")
    await alice.see(".tile--large.tile--screen[data-nick=Ada] video")
    await ada.see(".toast:has-text('Everybody sees your screen')")
    await alice.until("document.querySelector('.tile--large video').videoWidth === 1920", 40)
    await alice.until(f"""{INBOUND}.then((all) => all.some((one) =>
        one.kind === 'video' && one.frameWidth === 1920 && one.frameHeight === 1080 && one.framesDecoded > 3))""", 40)
    await alice.until(f"""{INBOUND}.then((all) => all.filter((one) =>
        one.kind === 'audio' && one.packetsReceived > 0).length === 3)""", 30)

    await bea.eval("document.querySelector(\"button[aria-label='Share screen']\").click()")
    await alice.see(".tile--large.tile--screen[data-nick=Bea] video")
    await alice.see(".tile--strip.tile--screen[data-nick=Ada] video")
    await alice.call("hover", selector=".tile--strip.tile--screen[data-nick=Ada]")
    await alice.click("button[aria-label='Show Screen of Ada large']")
    await alice.see(".tile--large.tile--screen[data-nick=Ada] video")
    assert await alice.axe() == []
    await ada.click(".toast >> text=Stop sharing")
    await alice.see(".tile--large.tile--screen[data-nick=Bea] video")
    await alice.click("button[aria-label='Show everybody alike']")
    await alice.gone(".stage__large")
    await alice.see(".grid__tiles .tile--screen[data-nick=Bea] video")
    await bea.click(".toast >> text=Stop sharing")
    await alice.gone(".tile--screen")


@pytest_twisted.ensureDeferred
async def test_hands_and_reactions(party: Party) -> None:
    """Hands in their order; reactions float, are told to a screen reader, and cannot flood the others."""
    room = party.meeting()
    alice = await party.alice(room)
    ada, bea = await crowd(party, room, "Ada", "Bea", width=1000)
    await ada.click("button[aria-label='Raise hand']")
    await alice.see(".tile[data-nick=Ada] .tile__hand")
    await says(alice, "Ada raises a hand.")
    await bea.click("button[aria-label='Raise hand']")
    await alice.see(".tile[data-nick=Ada] .tile__hand:has-text('1')")
    await alice.see(".tile[data-nick=Bea] .tile__hand:has-text('2')")
    await ada.click("button[aria-label='Lower hand']")
    await alice.gone(".tile[data-nick=Ada] .tile__hand")

    await alice.eval("""globalThis.floated = 0; new MutationObserver((all) => all.forEach((one) => {
        floated += [...one.addedNodes].filter((node) => node.matches?.('.floating__one')).length;
    })).observe(document.querySelector('.floating'), { childList: true })""")
    await ada.click("button[aria-label=Reactions]")
    for _ in range(5):
        await ada.click(".menu button[aria-label=Clap]")
    assert await ada.count(".menu >> text=A little slower") == 0
    await ada.click(".menu button[aria-label=Clap]")
    await ada.see(".menu >> text=A little slower, please.")
    await alice.see(".floating__one:has-text('👏'):has-text('Ada')")
    await ada.see(".floating__one:has-text('👏'):has-text('Ada')")
    await says(alice, "Ada: 👏")
    assert await alice.eval("floated") == 5
    await alice.gone(".floating__one")


@pytest_twisted.ensureDeferred
async def test_keys(party: Party) -> None:
    """Every key does what the list says, the space bar is held to be heard, and none of them works while one writes."""
    room = party.meeting()
    ada = await party.guest(room, "Ada")
    await inside(ada)
    (bea,) = await crowd(party, room, "Bea", width=1000)
    await tile(bea, "Ada")
    muted = ".tile[data-nick=Ada] .mark:has-text('Microphone off')"
    await ada.press("body", "m")
    await bea.see(muted.replace("has-text", "has-text"))
    await ada.eval("document.activeElement.blur()")
    await ada.call("focus", selector="body")
    await ada.keyboard("down", "Space")
    await ada.see("text=You are heard as long as you hold the space bar.")
    await bea.gone(muted)
    await ada.keyboard("up", "Space")
    await bea.see(muted)
    await ada.gone("text=You are heard as long as")
    # A button that was clicked is not pressed by the space bar, one that was reached by Tab is.
    await ada.click(MICROPHONE_ON)
    await bea.gone(muted)
    await ada.click(MICROPHONE_OFF)
    await bea.see(muted)
    await ada.keyboard("down", "Space")
    await bea.gone(muted)
    await ada.keyboard("up", "Space")
    await bea.see(muted)

    await ada.press("body", "v")
    await ada.see("button[aria-label='Turn camera on']")
    await ada.press("body", "h")
    await bea.see(".tile[data-nick=Ada] .tile__hand")
    await ada.press("body", "g")
    await ada.see(".stage__large")
    await ada.press("body", "g")
    await ada.gone(".stage__large")
    await ada.press("body", "s")
    await bea.see(".tile--screen video")
    await ada.press("body", "s")
    await bea.gone(".tile--screen video")
    await ada.press("body", "f")
    await ada.until("Boolean(document.fullscreenElement)")
    await ada.press("body", "f")
    await ada.until("!document.fullscreenElement")
    await ada.press("body", "p")
    await ada.see(".side h2:has-text('Participants')")
    await ada.press("body", "c")
    await ada.fill(".writing textarea", "")
    for key in "mvhs g?":
        await ada.press(".writing textarea", key if key != " " else "Space")
    assert await ada.eval("document.querySelector('.writing textarea').value") == "mvhs g?"
    assert await ada.count("dialog[open]") == 0 and await ada.count(".stage__large") == 0
    await ada.press(".writing textarea", "Escape")
    await ada.gone(".side")

    await ada.press("body", "?")
    await ada.see("dialog[open] >> text=Hold down to be heard")
    assert await ada.axe() == []
    await ada.press("body", "g")
    assert await ada.count(".stage__large") == 0
    await ada.click("dialog input[type=checkbox]")
    await ada.key("Escape")
    await ada.gone("dialog[open]")
    await ada.press("body", "g")
    await ada.press("body", "?")
    await ada.see("dialog[open]")
    assert await ada.count(".stage__large") == 0


@pytest_twisted.ensureDeferred
async def test_bar_by_keyboard(party: Party) -> None:
    """The bar and its menu without a mouse."""
    room = party.meeting()
    ada = await party.guest(room, "Ada")
    await inside(ada)
    label = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    await ada.call("focus", selector=MICROPHONE_OFF)
    await ada.key("ArrowRight")
    assert await ada.eval(label) == "Turn camera off"
    await ada.key("End")
    assert await ada.eval(label) == "Leave"
    await ada.key("ArrowLeft")
    assert await ada.eval(label) == "More"
    await ada.key("Enter")
    await ada.see(".menu[role=menu]")
    assert await ada.axe() == []
    await ada.key("ArrowDown")
    await ada.key("ArrowDown")
    await ada.key("Enter")
    await ada.gone(".menu")
    assert await ada.eval(label) == "More"
    await ada.see(".grid__tiles .tile[data-nick=Ada]")
    await ada.key("Enter")
    await ada.key("Escape")
    await ada.gone(".menu")
    assert await ada.eval(label) == "More"
    await ada.key("Home")
    await ada.key("Tab")
    assert await ada.eval(label) == "Turn camera off"
    await ada.key("Space")
    await ada.see("button[aria-label='Turn camera on']")


@pytest_twisted.ensureDeferred
async def test_small_window(party: Party) -> None:
    """The small window shows who speaks and has the buttons; the screen stays on while one is in the meeting."""
    room = party.meeting()
    bea = await party.guest(room, "Bea", width=500, height=400)
    await inside(bea)
    ada = await party.open(room)
    await ada.eval("""globalThis.locks = []; globalThis.sentinel = navigator.wakeLock.request.bind(navigator.wakeLock);
        navigator.wakeLock.request = (kind) => { const lock = sentinel(kind); locks.push(kind); return lock; }""")
    await ada.fill("input[name=name]", "Ada")
    await ada.click("form.card button.primary")
    await inside(ada)
    await tile(ada, "Bea")
    assert await ada.eval("locks") == ["screen"]
    await ada.click(MORE)
    await ada.click("[role=menuitemcheckbox]:has-text('Small window')")
    small = "documentPictureInPicture.window?.document"
    await ada.until(f"{small}?.querySelector('[data-nick=Bea] video')?.videoWidth > 0")
    assert await ada.eval(f"getComputedStyle({small}.querySelector('.small-window')).display") == "grid"
    await ada.eval(f"{small}.querySelector(\"[aria-label='Turn microphone off']\").click()")
    await ada.see(MICROPHONE_ON)
    await bea.see(".tile[data-nick=Ada] .mark:has-text('Microphone off')")
    await ada.eval(f"{small}.querySelector(\"[aria-label='Back to the page']\").click()")
    await ada.until("!documentPictureInPicture.window")
    await ada.see(".tile[data-nick=Bea] video")
    await sees(ada)


@pytest_twisted.ensureDeferred
async def test_phones(party: Party) -> None:
    """At 390 pixels, upright and sideways, dark and light, everything is there and nothing stands out."""
    room = party.meeting()
    await crowd(party, room, "Ada", "Bea")
    for width, height, dark in ((390, 844, True), (844, 390, False), (320, 640, False)):
        options: dict[str, Any] = {"width": width, "height": height, "dark": dark}
        page = await party.alice(room, **options)
        await page.see(".tile[data-nick=Bea]")
        await fits(page)
        # Whoever comes last can be kept large, too: one's own picture may lie over that tile.
        await page.click(".grid__tiles .tile:last-child .tile__button")
        await page.click(".tile__button[aria-pressed=true]")
        await page.see(".grid__tiles .tile:last-child")
        await page.click(MORE)
        for text in ("Full screen", "Copy link", "Show me among"):
            await page.see(f".menu >> text={text}")
        if width < 760:
            for text in ("Raise hand", "Share screen"):
                await page.see(f".menu >> text={text}")
            await page.see(".menu button[aria-label=Heart]")
        assert await page.axe() == []
        menu = await box(page, ".menu")
        assert menu["x"] >= 0 and menu["y"] >= 0 and menu["x"] + menu["width"] <= width
        await page.close()
        party.people.persons = [one for one in party.people.persons if one.page is not page]
