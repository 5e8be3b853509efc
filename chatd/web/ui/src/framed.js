// The panel inside a page of Webmail: this page is the frame that embed.js makes. It logs in with tokens that the page hands
// over, says which parts of it are to be seen, and shares status and what was read with the same person's other tabs.
import { chatWith } from './chatwith.js';
import { ensureCrypto } from './insecure.js';
import { launcher } from './launcher.js';
import { meetingWindow } from './meetingwindow.js';
import { loadStyle, stateLine } from './page.js';
import { applyScheme } from './scheme.js';
import { Session } from './session.js';
import { watchShape } from './shape.js';
import { ensureStorage } from './storage.js';
import { TEXT } from './strings.js';
import { Tabs } from './tabs.js';

const KEPT = 'chatd.framed'; // {jid, isOpen}: as main.js keeps them, without any key
const SILENT_TRIES = 2; // failures of Webmail before anything is said of them
const phone = matchMedia('(max-width: 767px)');

ensureStorage();
await ensureCrypto();

const assets = document.documentElement.dataset.converse;
const asked = new URLSearchParams(location.search);
const PAGE = asked.get('origin') ?? '';
const state = stateLine(document.getElementById('state'));
const pending = new Map(); // questions for a token, by number
const early = []; // what the page wants before there is a session
let questions = 0;
let failures = 0;
let inner = null; // Converse's inner parts
let tabs = null;
let address = '';
let isEnding = false;

function tell(what) {
    // Only to the page we were told of, and the browser checks that it is this one.
    parent.postMessage(what, PAGE);
}

/** A token of this moment, however long Webmail takes to give one. */
function token() {
    questions += 1;
    const id = questions;
    const found = new Promise((resolve) => { pending.set(id, resolve); });
    tell({ chatd: 'token?', id });
    return found;
}

function took({ id, token: given, address: whose }) {
    failures = 0;
    if (address && whose !== address) return startAnew(); // another person has logged in to Webmail
    for (const [number, resolve] of pending) {
        if (number <= id) {
            pending.delete(number);
            resolve({ token: given, address: whose });
        }
    }
    return undefined;
}

function startAnew() {
    sessionStorage.clear();
    location.reload();
}

function recall() {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
}

function keep(what) {
    sessionStorage.setItem(KEPT, JSON.stringify(what));
}

function leave(reason) {
    sessionStorage.clear();
    tell({ chatd: 'left', reason });
}

// ---- the session

/** What differs from the panel that stands alone. */
function settings({ env }) {
    return {
        show_controlbox_by_default: asked.get('open') === '1',
        connection_options: { mechanisms: [env.Strophe.SASLPlain] }, // a token is a password that only PLAIN can carry
        allow_logout: false, // Webmail's log-out is the only one
        play_sounds: false, // but in one of several tabs
        show_desktop_notifications: false,
    };
}

function extend(converse, _converse) {
    inner = _converse;
    const { api } = _converse;
    // Each connection with a token of its own: the last one has expired by then, most likely.
    const login = api.user.login;
    api.user.login = async (jid, password, automatic) =>
        login.call(api.user, jid, password ?? (await token()).token, automatic);
    // On a phone a chat lies over all of Webmail: one that comes by itself waits, minimised. Opened by hand it is shown after this.
    api.listen.on('chatBoxInitialized', (chat) => { if (phone.matches && chat.get('type') === 'chatbox') chat.save({ hidden: true }); });
}

function onReport(now, reason) {
    if (now === 'left' || isEnding) {
        leave('signed-out');
        return;
    }
    tell({ chatd: 'state', state: now === 'reconnected' ? 'connected' : 'reconnecting' });
    if (now === 'reconnected') state.say(TEXT.state.reconnected, 'good', true);
    else if (now === 'reconnecting') state.lost();
    else again(reason);
}

/** The session is over but Webmail's may not be: the page reloads, and its first question tells. */
async function again(reason) {
    if (reason === 'replaced' || reason === 'disabled') {
        leave(reason);
        return;
    }
    if (meetingWindow.isIn) {
        state.lost();
        await meetingWindow.whenFree();
    }
    setTimeout(() => location.reload(), 2_000);
}

async function signOut(isTold = false) {
    if (isEnding) return;
    isEnding = true;
    if (!isTold) tabs?.tell({ left: true });
    await meetingWindow.close();
    if (session.isOpen) session.logOut();
    else leave('signed-out');
}

const session = new Session(await config(), assets, onReport, { settings, extend });

async function config() {
    for (let tries = 0; ; tries += 1) {
        try {
            const answer = await fetch('/config.json');
            if (answer.ok) return await answer.json();
        } catch { /* not there yet */ }
        await pause(tries);
    }
}

/** Longer after each failure, and not for all panels alike. */
function pause(tries) {
    const most = Math.min(60_000, 1_000 * 2 ** tries);
    return new Promise((resolve) => { setTimeout(resolve, most * (0.5 + Math.random() / 2)); });
}

async function start() {
    for (let tries = 0; ; tries += 1) {
        const given = await token();
        address = given.address;
        let kept = recall();
        if (kept && kept.jid.split('/')[0] !== address) {
            sessionStorage.clear();
            kept = null;
        }
        try {
            const styled = loadStyle(assets);
            styled.then(() => applyScheme());
            await styled;
            await session.logIn(kept && !kept.isOpen ? kept.jid : address, given.token);
            break;
        } catch (error) {
            if (error.reason === 'disabled') return leave('disabled');
            // Why a token was not good, or who is to wait, says nothing to a person who never typed it.
            if (tries >= SILENT_TRIES) state.say(error.reason === 'unreachable' ? TEXT.failed.unreachable : TEXT.failed.temporary, 'lost');
            await pause(tries);
        }
    }
    keep({ jid: session.fullAddress, isOpen: true });
    state.say('', '');
    document.body.dataset.view = 'panel';
    document.getElementById('panel').hidden = false;
    tabs = new Tabs(inner, address, (data) => tell({ chatd: 'tabs', data }), {
        left: () => signOut(true),
        unread: (count) => {
            tell({ chatd: 'unread', count });
            launcher.count(count);
        },
    });
    launcher.start(inner);
    tell({ chatd: 'state', state: 'connected' });
    early.splice(0).forEach(act);
    return undefined;
}

// ---- what the page says

function act(data) {
    if (data.chatd === 'open') launcher.open();
    else if (data.chatd === 'close') launcher.close();
    else if (data.chatd === 'chat') chatWith(inner, data.address, data.name);
    else if (data.chatd === 'active') tabs.active();
    else if (data.chatd === 'tabs') tabs.take(data.data);
    else if (data.chatd === 'sound') tabs.sound();
}

addEventListener('message', ({ origin, source, data }) => {
    if (source !== parent || origin !== PAGE || typeof data !== 'object' || data === null) return;
    if (data.chatd === 'token') took(data);
    else if (data.chatd === 'no-token') {
        failures += 1;
        if (failures >= SILENT_TRIES) state.say(TEXT.state.webmail, 'lost');
    } else if (data.chatd === 'sign-out') signOut();
    else if (data.chatd === 'theme') applyScheme(data.theme);
    else if (tabs) act(data);
    else if (['open', 'chat', 'sound'].includes(data.chatd)) early.push(data);
});

addEventListener('pagehide', () => {
    const kept = recall();
    if (kept) keep({ ...kept, isOpen: false });
});
addEventListener('online', () => session.hurry());

meetingWindow.prefersTab = asked.get('meetings') === 'tab' || !isSecureContext;
meetingWindow.addEventListener('change', () => tell({ chatd: 'meeting', isIn: meetingWindow.isIn }));

if (parent === window) {
    document.getElementById('alone').hidden = false;
} else {
    watchShape((shape) => tell({ chatd: 'shape', shape }));
    tell({ chatd: 'ready' });
    await start();
}
