// Drives Chromium for harness.py: one JSON object a line in, {id, ok|error} a line out.
//
// op "page"    new context and page: {name, width, height, dark, url, https, locale, noWebSocket, media, blocked, noEncryption, touch};
//              `https` accepts the self-signed certificate, `noWebSocket` makes the server refuse every web socket (404),
//              `touch`: a phone or tablet, without a mouse; `noEncryption`: a browser that has no means to encrypt what it sends; `media`: "granted" (Chromium's fake
//              camera and microphone; a shared screen is a canvas, with a tone), "drawn" (the same, but the camera shows a
//              drawn person, another one for each `name`d page), "none" (there are none, until __plug()), "busy" (another
//              program has the camera), "asks" (the browser asks, and __allow() answers), "microphone" (that alone is allowed),
//              or not given: refused; `blocked`:
//              transports ("udp", "tcp") whose packets to the media server go nowhere
// op "call"    a method of the page or of a locator in it: {name, selector?, method, args}
// op "eval"    an expression in the page, or in the frame that an iframe's selector names: {name, code, frame?}
// op "keyboard" holds a key, lets it go, or both: {name, method: 'down'|'up'|'press', key}
// op "until"   waits until an expression in the page (or frame) is true: {name, code, timeout, frame?}
// op "axe"     accessibility faults of level A and AA: {name, selector?, frame?}
// op "log"     what the page asked for and complained about since the last time: {name}
// op "offline" {name, value}
// op "tab"     one more tab in the profile of another page: {name, of, url}
// op "popup"   the tab that the page has opened, from now on known as `as`: {name, as}
// op "drag"    by the mouse, or a finger, from the middle of an element: {name, selector, x, y, touch}
// op "close"   {name}
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

import { answer } from './ask.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TIMEOUT_MS = 15_000;
const FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--force-color-profile=srgb',
    '--no-proxy-server', '--use-fake-device-for-media-stream', '--host-resolver-rules=MAP *.home.test 127.0.0.1',
];

let browser;
const pages = new Map();

async function launch() {
    browser ??= await chromium.launch({
        executablePath: process.env.CHATD_CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS,
    });
    return browser;
}

function watch(page) {
    const log = { requests: [], sockets: [], complaints: [], failures: [] };
    page.on('request', (request) => log.requests.push(request.url()));
    page.on('websocket', (socket) => log.sockets.push(socket.url()));
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) log.complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => log.complaints.push(`exception: ${error.stack ?? error}`));
    page.on('response', (response) => {
        if (response.status() >= 400) log.failures.push(`${response.status()} ${response.url()}`);
    });
    return log;
}

/** Runs in the page: keeps its media connections for getStats, and stands in for what a headless browser has not. */
function mediaOf([media, seed, blocked]) {
    globalThis.__peers = [];
    const Peer = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class extends Peer {
        constructor(...all) {
            super(...all);
            globalThis.__peers.push(this);
        }
    };
    if (!navigator.mediaDevices) return; // a page by plain http
    if (media === 'none') {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('none', 'NotFoundError'));
        navigator.mediaDevices.enumerateDevices = () => Promise.resolve([]);
        globalThis.__plug = () => {
            delete navigator.mediaDevices.getUserMedia;
            delete navigator.mediaDevices.enumerateDevices;
            navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
        };
    }
    if (media === 'busy') {
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = (wanted) => (wanted.video ? Promise.reject(new DOMException('busy', 'NotReadableError')) : real(wanted));
    }
    for (const transport of blocked) {
        const real = RTCPeerConnection.prototype.setRemoteDescription;
        const port = new RegExp(`^(a=candidate:\\S+ \\d+ ${transport} \\d+ \\S+) \\d+`, 'gim');
        RTCPeerConnection.prototype.setRemoteDescription = function (description) {
            return real.call(this, { type: description.type, sdp: description.sdp.replace(port, '$1 9') });
        };
    }
    if (media === 'asks') {
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        const allowed = new Promise((resolve) => { globalThis.__allow = resolve; });
        navigator.mediaDevices.getUserMedia = (wanted) => allowed.then(() => real(wanted));
        navigator.permissions.query = () => Promise.resolve(Object.assign(new EventTarget(), { state: 'prompt' }));
    }
    if (media === 'drawn') {
        const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            if (!wanted.video) return real(wanted);
            const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
            const pen = canvas.getContext('2d');
            const disc = (colour, x, y, across, down) => {
                pen.fillStyle = colour;
                pen.beginPath();
                pen.ellipse(x, y, across, down, 0, 0, 7);
                pen.fill();
            };
            let count = 0;
            const draw = () => {
                const hue = (seed * 67) % 360;
                const sway = Math.sin((count += 1) / 6 + seed) * 12;
                const wall = pen.createLinearGradient(0, 0, 1280, 720);
                wall.addColorStop(0, `hsl(${hue} 30% 82%)`);
                wall.addColorStop(1, `hsl(${hue + 40} 28% 62%)`);
                pen.fillStyle = wall;
                pen.fillRect(0, 0, 1280, 720);
                pen.fillStyle = `hsl(${hue + 200} 22% 70%)`;
                pen.fillRect(90 + (seed % 4) * 240, 70, 190, 240);
                disc(`hsl(${hue + 150} 45% 38%)`, 640 + sway / 2, 760, 330, 270);
                disc(`hsl(24 40% ${[78, 62, 44, 70, 34][seed % 5]}%)`, 640 + sway, 360, 130, 170);
                disc(`hsl(${[28, 20, 12, 40, 0][seed % 5]} ${[45, 30, 15, 60, 5][seed % 5]}% ${[24, 16, 12, 55, 62][seed % 5]}%)`, 640 + sway, 250, 145, 95);
            };
            draw();
            setInterval(draw, 150);
            const stream = canvas.captureStream(8);
            if (wanted.audio) (await real({ audio: wanted.audio })).getTracks().forEach((track) => stream.addTrack(track));
            return stream;
        };
    }
    if (['granted', 'drawn'].includes(media)) {
        navigator.mediaDevices.getDisplayMedia = async () => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 1920, height: 1080 });
            const pen = canvas.getContext('2d');
            let count = 0;
            setInterval(() => {
                pen.fillStyle = '#f7f4ec'; pen.fillRect(0, 0, 1920, 1080);
                pen.fillStyle = '#20303c'; pen.font = '72px sans-serif';
                pen.fillText('Plan of the north wing', 135, 195); pen.fillText(`Page ${1 + (count++ >> 6)}`, 135, 960);
                for (let at = 0; at < 6; at += 1) pen.strokeRect(135 + at * 270, 330, 240, 450 - at * 45);
            }, 100);
            const stream = canvas.captureStream(10);
            const sound = new AudioContext();
            const tone = sound.createOscillator();
            const out = sound.createMediaStreamDestination();
            tone.connect(out);
            tone.start();
            out.stream.getTracks().forEach((track) => stream.addTrack(track));
            return stream;
        };
    }
}

async function open({
    name, width = 1280, height = 800, dark = false, url, https = false, locale = 'en-GB', noWebSocket = false, media, blocked = [],
    noEncryption = false, touch = false,
}) {
    const context = await (await launch()).newContext({
        viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', locale, ignoreHTTPSErrors: https,
        reducedMotion: 'reduce', hasTouch: touch, isMobile: touch,
    });
    const allowed = ['camera', 'microphone', 'clipboard-read', 'clipboard-write'];
    if (['granted', 'drawn', 'asks', 'busy', 'none'].includes(media)) await context.grantPermissions(allowed);
    if (media === 'microphone') await context.grantPermissions(['microphone']);
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const entry = { context, page, log: watch(page), popups: [], wanted: [] };
    page.on('popup', (popup) => {
        popup.setDefaultTimeout(TIMEOUT_MS);
        entry.popups.push({ context, page: popup, log: watch(popup), popups: [], wanted: [], isPopup: true });
        entry.wanted.shift()?.();
    });
    // Not Playwright's routing: it stands in for the browser's web sockets, and they then fail as real ones never do.
    if (noWebSocket) {
        await context.addInitScript(() => {
            const Real = globalThis.WebSocket;
            globalThis.WebSocket = class extends Real {
                constructor(url, protocols) {
                    super(`${new URL(url).origin}/nowhere`, protocols);
                }
            };
        });
    }
    if (noEncryption) {
        await context.addInitScript(() => {
            delete globalThis.RTCRtpScriptTransform;
            delete globalThis.RTCRtpSender.prototype.createEncodedStreams;
        });
    }
    await context.addInitScript(mediaOf, [media ?? '', Number(/\d+/.exec(name)?.[0] ?? 0), blocked]);
    await context.addInitScript(() => {
        globalThis.__violations = [];
        document.addEventListener('securitypolicyviolation', (event) =>
            globalThis.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    pages.set(name, entry);
    if (url) await page.goto(url);
}

/** The page, or what is in one of its frames now. */
async function inside(name, frame) {
    const { page } = pages.get(name);
    if (!frame) return page;
    const content = await (await page.locator(frame).elementHandle()).contentFrame();
    if (!content) throw new Error(`no frame: ${frame}`);
    return content;
}

async function accessibility({ name, selector, frame }) {
    const page = await inside(name, frame);
    // Through the debugger, not as a script of the page: the page's own policy would rightly refuse it.
    await page.evaluate(axe);
    const result = await page.evaluate(
        (root) => axe.run(root ?? document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }), selector ?? null);
    return result.violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.any[0]?.message ?? node.failureSummary}`));
}

const OPS = {
    page: open,
    async call({ name, selector, method, args = [] }) {
        const { page } = pages.get(name);
        const answer = await (selector ? page.locator(selector) : page)[method](...args);
        return ['string', 'number', 'boolean'].includes(typeof answer) || Array.isArray(answer) ? answer : null;
    },
    async eval({ name, code, frame }) {
        return (await (await inside(name, frame)).evaluate(code)) ?? null;
    },
    async keyboard({ name, method, key }) {
        await pages.get(name).page.keyboard[method](key);
    },
    async until({ name, code, timeout, frame }) {
        // Not waitForFunction: the page's policy refuses to run text as a script, rightly.
        const end = Date.now() + timeout;
        // A frame may go to its next page while it is asked.
        const ask = async () => (await inside(name, frame)).evaluate(code);
        while (!(await (frame ? ask().catch(() => false) : ask()))) {
            if (Date.now() > end) throw new Error(`never true: ${code}`);
            await new Promise((resolve) => setTimeout(resolve, 25));
        }
    },
    axe: accessibility,
    async log({ name }) {
        const { page, log } = pages.get(name);
        const violations = await page.evaluate(() => globalThis.__violations.splice(0));
        const taken = { ...log, violations };
        for (const key of Object.keys(log)) log[key] = [];
        return taken;
    },
    async offline({ name, value }) {
        await pages.get(name).context.setOffline(value);
    },
    async tab({ name, of, url }) {
        const { context } = pages.get(of);
        const page = await context.newPage();
        page.setDefaultTimeout(TIMEOUT_MS);
        pages.set(name, { context, page, log: watch(page), popups: [], wanted: [], isPopup: true });
        await page.goto(url);
    },
    async popup({ name, as }) {
        const { popups, wanted } = pages.get(name);
        if (!popups.length) await new Promise((resolve) => { wanted.push(resolve); setTimeout(resolve, TIMEOUT_MS); });
        if (!popups.length) throw new Error('no tab was opened');
        pages.set(as, popups.shift());
    },
    async drag({ name, selector, x, y, touch }) {
        const { context, page } = pages.get(name);
        const box = await page.locator(selector).boundingBox();
        const [left, top] = [box.x + box.width / 2, box.y + box.height / 2];
        if (touch) {
            const finger = await context.newCDPSession(page);
            const at = (type, ...touchPoints) => finger.send('Input.dispatchTouchEvent', { type, touchPoints });
            await at('touchStart', { x: left, y: top });
            await at('touchMove', { x: left + x / 2, y: top + y / 2 });
            await at('touchMove', { x: left + x, y: top + y });
            // It rests before it is lifted: else it would be a fling, and the next tap would only stop that.
            await new Promise((resolve) => setTimeout(resolve, 150));
            await at('touchMove', { x: left + x, y: top + y });
            await at('touchEnd');
            await finger.detach();
            return;
        }
        await page.mouse.move(left, top);
        await page.mouse.down();
        await page.mouse.move(left + x / 2, top + y / 2);
        await page.mouse.move(left + x, top + y);
        await page.mouse.up();
    },
    async close({ name }) {
        const entry = pages.get(name);
        await (entry?.isPopup ? entry.page : entry?.context)?.close();
        pages.delete(name);
    },
};

answer(OPS, () => browser?.close());
