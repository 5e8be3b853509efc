// Starts the page: log-in form first, the panel after it. Keeps what a reload needs in this tab's sessionStorage.
import { shownAddress } from './address.js';
import { fileLinks } from './filelinks.js';
import * as login from './login.js';
import { meetingWindow } from './meetingwindow.js';
import { loadStyle, stateLine } from './page.js';
import { Session } from './session.js';
import { TEXT } from './strings.js';

// {jid, keys, isOpen}: the full address and SCRAM keys, never the password; gone with the tab. `isOpen` while a page
// uses it: a duplicated tab finds it set and makes a session of its own, instead of taking over its twin's.
const KEPT = 'chatd.session';
const NOTICE = 'chatd.notice';

const assets = document.documentElement.dataset.converse;
const line = stateLine(document.getElementById('state'));
let session;

/** Shows the log-in page or the panel. */
function show(view) {
    document.body.dataset.view = view;
    document.getElementById('login').hidden = view !== 'login';
    document.getElementById('panel').hidden = view !== 'panel';
    document.getElementById('resuming').hidden = view !== 'resuming';
}

/** What a session reports after the log-in. */
function onReport(state, reason) {
    if (state === 'reconnecting') line.lost();
    else if (state === 'reconnected') line.say(TEXT.state.reconnected, 'good', true);
    else leave(state === 'left' ? '' : reason);
}

/**
 * Forgets the session and begins anew with a clean page; `reason` is a key of TEXT.failed or empty. A meeting, which has
 * a session of its own, is not cut by that: first it is gone on with to its end.
 */
async function leave(reason) {
    if (meetingWindow.isIn) {
        const text = TEXT.failed[reason] ?? TEXT.failed.expired;
        line.say(typeof text === 'function' ? TEXT.failed.expired : text, 'lost');
        await meetingWindow.whenFree();
    }
    sessionStorage.clear();
    sessionStorage.setItem(NOTICE, reason || 'left');
    location.reload();
}

function explain(reason, jid) {
    const text = TEXT.failed[reason] ?? TEXT.failed.unreachable;
    return typeof text === 'function' ? text(jid.split('/')[0].split('@')[1]) : text;
}

function recall() {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
}

function keep(session) {
    sessionStorage.setItem(KEPT, JSON.stringify(session));
}

/** Logs in and opens the panel. */
async function open(jid, secret) {
    await loadStyle(assets);
    await session.logIn(jid, secret);
    if (session.keys) keep({ jid: session.fullAddress, keys: session.keys, isOpen: true });
    document.getElementById('who').textContent = shownAddress(session.address);
    show('panel');
}

async function onSubmit(jid, password) {
    login.setBusy(true);
    try {
        await open(jid, password);
        login.forgetPassword();
    } catch (error) {
        if (!error.reason) console.error(error);
        login.showProblem(explain(error.reason, jid));
        login.focusForm();
    }
    login.setBusy(false);
}

/** Goes on with the session this tab had before a reload; tells whether that worked. */
async function resume() {
    const kept = recall();
    if (!kept) return false;
    show('resuming');
    try {
        await open(kept.isOpen ? kept.jid.split('/')[0] : kept.jid, kept.keys);
        return true;
    } catch (error) {
        // Unreachable is no reason to forget: the next reload may find the server again.
        if (error.reason !== 'unreachable' && error.reason !== 'unloadable') sessionStorage.clear();
        const isRefused = error.reason === 'credentials';
        login.showProblem(isRefused ? TEXT.failed.expired : explain(error.reason, kept.jid));
        return false;
    }
}

/** Fetches Converse while the person is typing; logging in then is quick. */
function loadEarly() {
    for (const [rel, file] of [['modulepreload', 'converse.min.js'], ['prefetch', 'converse.min.css']]) {
        document.head.append(Object.assign(document.createElement('link'), { rel, href: `${assets}/${file}` }));
    }
}

async function start() {
    const config = await fetch('/config.json').then((answer) => (answer.ok ? answer.json() : Promise.reject(answer)));
    fileLinks.begin = config.files ?? '';
    session = new Session(config, assets, onReport);
    login.startForm(config.domains[0] ?? '', onSubmit);
    document.getElementById('log-out').addEventListener('click', () => session.logOut());
    addEventListener('pagehide', () => {
        const kept = recall();
        if (kept) keep({ ...kept, isOpen: false });
    });
    addEventListener('online', () => {
        if (line.isLost) session.hurry();
    });
    addEventListener('offline', () => {
        if (line.isLost) line.lost();
    });
    const reason = sessionStorage.getItem(NOTICE);
    sessionStorage.removeItem(NOTICE);
    if (reason === 'left') login.showNotice(TEXT.loggedOut);
    else if (reason) login.showProblem(TEXT.failed[reason] ?? TEXT.failed.expired);
    if (await resume()) return;
    show('login');
    login.focusForm();
    (globalThis.requestIdleCallback ?? setTimeout)(loadEarly);
}

start().catch((error) => {
    console.error(error);
    show('login');
    login.showProblem(TEXT.failed.unreachable);
});
