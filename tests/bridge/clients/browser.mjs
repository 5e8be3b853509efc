// Drives Chromium for page.py: one JSON object a line in, {id, ok|error} a line out.
//
// op "page"    new context and page: {name, url, width, height}
// op "eval"    an expression in the page, awaited if it is a promise: {name, code, argument}; `argument` is its `x`
// op "offline" {name, value}: no network for the page, media excepted
// op "close"   {name}
// op "log"     {name}: what the page complained about in the console
import { chromium } from 'playwright-core';

import { answer } from '../../browser/ask.mjs';

const [flags, environment] = JSON.parse(process.argv[2] ?? '[[], {}]');
const FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
    '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    '--autoplay-policy=no-user-gesture-required', '--mute-audio',
    // Pages that are not in front go on as if they were.
    '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding',
    ...flags,
];
let browser;
const pages = new Map();

const OPS = {
    async page({ name, url, width = 1280, height = 800 }) {
        browser ??= await chromium.launch({
            executablePath: process.env.CHATD_CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS,
            env: { ...process.env, ...environment },
        });
        const context = await browser.newContext({ viewport: { width, height }, permissions: ['camera', 'microphone'] });
        const page = await context.newPage();
        const log = [];
        page.on('pageerror', (error) => log.push(`exception: ${error.stack ?? error}`));
        pages.set(name, { context, page, log });
        await page.goto(url);
        await page.waitForFunction(() => globalThis.seen?.length > 0);
    },
    async eval({ name, code, argument = null }) {
        return (await pages.get(name).page.evaluate(
            ([code, x]) => (0, eval)(`async (x) => (${code})`)(x), [code, argument])) ?? null;
    },
    async offline({ name, value }) {
        await pages.get(name).context.setOffline(value);
    },
    async log({ name }) {
        return pages.get(name).log.splice(0);
    },
    async close({ name }) {
        const entry = pages.get(name);
        pages.delete(name);
        await entry?.context.close();
    },
};

answer(OPS, () => browser?.close());
