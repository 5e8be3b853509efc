"""Watches the pictures that a page decodes: how long none came of any one of them, while something is done."""

from __future__ import annotations

from typing import Any

from tests.browser.harness import Page

# Runs in the page: for each video that comes in by the connections of `holder` (a window), when it last grew, and the
# longest time in which it did not. A video that has ended is not counted on.
WATCH = """(async (holder) => {
    const flow = globalThis.__flow = { videos: {}, first: 0, last: 0, decoded: 0, isOver: false };
    const look = async () => {
        const now = Date.now();
        const seen = new Set();
        for (const peer of holder().__peers ?? []) {
            if (peer.connectionState === 'closed') continue;
            const stats = await peer.getStats();
            const comes = peer.getTransceivers().filter((one) => one.currentDirection?.includes('recv'));
            const mids = comes.map((one) => one.mid);
            for (const [id, one] of stats) {
                if (one.type !== 'inbound-rtp' || one.kind !== 'video' || !one.framesDecoded) continue;
                if (!mids.includes(one.mid)) continue;
                const video = flow.videos[id] ??= { frames: 0, at: now, longest: 0 };
                seen.add(id);
                Object.assign(video, { width: one.frameWidth, packets: one.packetsReceived, asked: one.pliCount });
                if (one.framesDecoded === video.frames) continue;
                flow.decoded += one.framesDecoded - video.frames;
                flow.first ||= now;
                flow.last = now;
                video.longest = Math.max(video.longest, now - video.at);
                Object.assign(video, { frames: one.framesDecoded, at: now });
            }
        }
        flow.coming = seen.size;
        for (const id of Object.keys(flow.videos)) if (!seen.has(id)) delete flow.videos[id];
    };
    (async () => {
        while (!flow.isOver) {
            try { await look(); } catch (error) { flow.error = String(error); }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    })();
})"""
FRAME = "() => document.querySelector('.meetingwindow iframe').contentWindow"
SELF = "() => window"


async def watch(page: Page, holder: str = FRAME) -> None:
    """Begin to watch."""
    await page.eval(f"void {WATCH}({holder})")


async def flow(page: Page) -> dict[str, Any]:
    """What was seen so far: first, last (milliseconds), decoded, videos."""
    return dict(await page.eval("globalThis.__flow"))


async def longest_gap_s(page: Page) -> float:
    """The longest time without a new frame of one video since the last time this was asked; then it begins anew."""
    return float(await page.eval("""(() => {
        const now = Date.now();
        const videos = Object.values(__flow.videos);
        const longest = Math.max(...videos.map((one) => Math.max(one.longest, now - one.at)));
        for (const one of videos) one.longest = 0;
        return longest / 1000;
    })()"""))


async def comes(page: Page, videos: int, frames: int = 20) -> None:
    """Wait until so many videos come in and have brought so many frames more."""
    before = (await flow(page))["decoded"]
    await page.until(f"__flow.coming >= {videos} && __flow.decoded > {before + frames}", 30)
