"""Who is heard, and how good everybody's connection is: on the tiles, in the list, and for screen readers."""

from __future__ import annotations

import pytest
import pytest_twisted

from tests.browser.party import Party, tile

pytestmark = pytest.mark.long  # real media in several browsers

HEARD = """Promise.all(__peers.map((peer) => peer.getStats())).then((all) => all.flatMap((stats) => [...stats.values()])
    .some((one) => one.type === 'inbound-rtp' && one.kind === 'audio' && one.totalAudioEnergy > 0))"""
MARKED = "document.querySelector('.tile[data-nick=%s] :is(.mark--excellent, .mark--good, .mark--poor)')?.textContent"


@pytest_twisted.ensureDeferred
async def test_who_speaks_and_how_good_the_line_is(party: Party) -> None:
    """Ada's microphone hears tones, Bea's is off; then Ada's is off as well."""
    room = party.meeting()
    alice = await party.alice(room, width=1440, height=900)
    ada, bea = await party.guest(room, "Ada"), await party.open(room)
    await bea.click("button[aria-label='Turn microphone off']")
    await bea.fill("input[name=name]", "Bea")
    await bea.click("form.card button.primary")
    for name in ("Ada", "Bea"):
        await tile(alice, name)
    await alice.see(".tile--speaking[data-nick=Ada] .mark--speaking", 60)
    assert "Speaking" in await alice.text(".tile[data-nick=Ada] .mark--speaking")
    await alice.until(HEARD, 30)
    assert await alice.count(".tile--speaking[data-nick=Bea]") == 0
    await alice.see(".tile[data-nick=Bea] .mark:has-text('Microphone off')")
    await alice.click("button[aria-label^=Participants]")
    await alice.see("[data-nick=Ada] .people__voice", 60)
    assert await alice.axe() == []
    for name in ("Ada", "Bea"):
        await alice.until(f"/^(Good|Fair|Poor) connection/.test({MARKED % name})", 60)
    await ada.click("button[aria-label='Turn microphone off']")
    await alice.see(".tile[data-nick=Ada] .mark:has-text('Microphone off')", 30)
    await alice.gone(".tile--speaking[data-nick=Ada]", 30)
    await alice.gone("[data-nick=Ada] .people__voice", 30)
