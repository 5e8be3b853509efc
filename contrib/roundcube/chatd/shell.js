// The page around Roundcube: keeps address bar, title, history, focus and log-out as if Roundcube were the page itself.
// Never give it globals named rcmail, UI or $: Roundcube's pages look for those in their parent.
'use strict';

(() => {
    const frame = document.getElementById('webmail');
    const { chat, tokenUrl } = document.currentScript.dataset;
    const AGAIN = 'chatd.reloads'; // when the tab was asked for once more
    const AGAIN_MS = 30_000; // in this time,
    const AGAIN_TIMES = 3; // not more often than so, or it might go on for ever
    const END_MS = 5_000; // so long the chat's end may take
    const FOCUS_MS = 1_000; // so long after its load a page of Roundcube may still take the focus
    let isLeaving = false;
    let person = null; // the address of who is logged in
    let isShown = false; // a page of Webmail, for somebody who is logged in
    let waiting = []; // for that
    let unread = 0; // messages in the chat
    let theme = ''; // of the chat, as it was told

    /** Is somebody in a meeting? A log-in page must not end it. */
    const isInMeeting = () => Boolean(window.chatd && window.chatd.inMeeting);

    /** Does the keyboard write into the chat? */
    const isInChat = () => {
        if (document.activeElement !== frame) return ![null, document.body].includes(document.activeElement);
        // Chromium goes on naming our frame where the focus went from it to a frame in another process.
        const { contentDocument: page } = frame;
        return document.hasFocus() && Boolean(page) && !page.hasFocus();
    };

    const isCurrent = (page) => page === frame.contentWindow && !isLeaving;

    // Filled by a script of the page after ours: false until then.
    const isSignedOut = (page) => Boolean(page.rcmail) && page.rcmail.env.task === 'login';

    /** The whole tab goes to an address. */
    const leave = (url, isInstead) => {
        isLeaving = true;
        if (isInstead) location.replace(url);
        else location.href = url;
    };

    const reload = () => {
        isLeaving = true;
        location.reload();
    };

    /** The whole tab asks for what it shows once more. */
    const again = () => {
        const times = JSON.parse(sessionStorage.getItem(AGAIN) || '[]').filter((time) => Date.now() - time < AGAIN_MS);
        if (times.length >= AGAIN_TIMES) return;
        sessionStorage.setItem(AGAIN, JSON.stringify([...times, Date.now()]));
        reload();
    };

    /**
     * Somebody else has logged in, and never stays with the chat of who was there before. That goes first: with a meeting in it the
     * browser would ask before it lets the page go. What is loaded then knows of one person only, so this cannot go on for ever.
     */
    const anew = () => {
        const isOver = () => !window.chatd || ['off', 'ended', 'signed-out'].includes(window.chatd.state);
        if (isOver()) return reload();
        window.chatd.on('state', () => { if (isOver()) reload(); });
        window.chatd.signOut();
        setTimeout(reload, END_MS);
        return undefined;
    };

    /** Address bar and title say what is in the frame. */
    const follow = (page) => {
        if (!isCurrent(page) || isSignedOut(page)) return;
        const url = page.location.href;
        if (!url.startsWith(`${location.origin}/`)) return;
        if (url !== location.href) history.replaceState(null, '', url);
        entitle(page.document.title);
    };

    // Roundcube has the number of unread mails before its title; that of messages stands before both.
    const entitle = (title) => {
        const wanted = (unread ? `\u{1F4AC} ${unread} ` : '') + title;
        if (title && document.title !== wanted) document.title = wanted;
    };

    /** Roundcube puts the focus into each new page: not while somebody writes in the chat. */
    const keepFocus = (page) => {
        if (!isInChat()) return;
        const elements = page.HTMLElement.prototype;
        const { focus } = elements;
        const windowFocus = page.focus;
        elements.focus = page.focus = () => {};
        const end = () => {
            elements.focus = focus;
            page.focus = windowFocus;
        };
        page.addEventListener('pointerdown', end, { capture: true, once: true });
        page.addEventListener('load', () => setTimeout(end, FOCUS_MS));
    };

    /** Log-out is a matter of the whole tab: only there Roundcube's farewell can be read. */
    const watchLogOut = (rcmail) => {
        const logOut = (task) => {
            if (task !== 'logout') return undefined;
            rcmail.clear_compose_data();
            if (window.chatd) window.chatd.signOut();
            leave(rcmail.secure_url(rcmail.get_task_url('logout')), false);
            return false;
        };
        // A button of the task menu has the task; rcmail.command('logout') has an event of its own.
        rcmail.addEventListener('beforeswitch-task', logOut);
        rcmail.addEventListener('beforelogout', () => logOut('logout'));
    };

    const look = (page) => {
        if (!isCurrent(page) || !page.rcmail) return;
        follow(page);
        const icon = page.document.querySelector('link[rel~=icon]');
        const own = document.querySelector('link[rel~=icon]') ||
            document.head.appendChild(Object.assign(document.createElement('link'), { rel: 'icon' }));
        if (icon && own.href !== icon.href) own.href = icon.href;
        const isDark = page.document.documentElement.classList.contains('dark-mode');
        document.documentElement.classList.add('is-drawn');
        const wanted = isDark ? 'dark' : 'light';
        if (window.chatd && wanted !== theme) window.chatd.theme(wanted);
        if (window.chatd) theme = wanted;
        document.documentElement.classList.toggle('dark-mode', isDark);
        if (document.documentElement.lang !== page.document.documentElement.lang) {
            document.documentElement.lang = page.document.documentElement.lang;
        }
    };

    /** A page in the frame has been read: only now it is known whether it is the log-in page. */
    const drawn = (page) => {
        if (!isCurrent(page)) return;
        if (isSignedOut(page)) {
            isShown = false;
            if (window.chatd && !isInMeeting()) window.chatd.signOut();
            // In a meeting people log in again inside the frame, and the meeting goes on.
            if (!isInMeeting()) leave(page.location.href, true);
            return;
        }
        const { env } = page.rcmail || {};
        if (env && !env.chatd) return again(); // switched off in the settings
        if (env && person && env.chatd.address !== person) return anew();
        if (env) {
            person = env.chatd.address;
            isShown = true;
            waiting.splice(0).forEach((resolve) => resolve(page));
        }
        follow(page);
        // In the realm of the page, so that it goes with it.
        const watch = new page.MutationObserver(() => look(page));
        watch.observe(page.document.head, { childList: true, subtree: true, characterData: true });
        watch.observe(page.document.documentElement, { attributes: true, attributeFilter: ['class'] });
        look(page);
        if (!isInChat()) frame.focus();
        return undefined;
    };

    window.chatdShell = {
        /** Called by each page in the frame, from its head: rcmail is there, but knows nothing yet. */
        attach(page) {
            if (page.parent !== window || !isCurrent(page)) return;
            for (const name of ['pushState', 'replaceState']) {
                const original = page.history[name];
                page.history[name] = function (...all) {
                    original.apply(this, all);
                    follow(page);
                };
            }
            for (const name of ['hashchange', 'popstate', 'pageshow']) page.addEventListener(name, () => follow(page));
            if (page.rcmail) watchLogOut(page.rcmail);
            keepFocus(page);
            follow(page);
            // The first page may have come before this script.
            if (page.document.readyState === 'loading') page.document.addEventListener('DOMContentLoaded', () => drawn(page));
            else drawn(page);
        },
    };

    // What is not ours (an outside log-in, an error page of the browser) cannot live in the frame: the tab goes there.
    const loaded = () => {
        let isOurs = false;
        try {
            isOurs = Boolean(frame.contentWindow.location.href);
        } catch { /* another origin */ }
        if (!isOurs && !isLeaving && !isInMeeting()) again();
    };
    frame.addEventListener('load', loaded);
    loaded();

    /** The page in the frame, when somebody is logged in there: in a meeting that may be somewhat later. */
    const page = () => (isShown && frame.contentWindow.rcmail && frame.contentWindow.rcmail.env.request_token
        ? frame.contentWindow
        : new Promise((resolve) => { waiting.push(resolve); }));

    window.chatdConnect({
        url: chat, tokenUrl, page, label: 'Chat',
        on: {
            unread: ({ count }) => {
                unread = count;
                follow(frame.contentWindow);
            },
            state: () => look(frame.contentWindow),
            // The log-in page in the frame, which waited for the end of the meeting, becomes the whole tab.
            meeting: ({ inMeeting }) => {
                if (!inMeeting && isSignedOut(frame.contentWindow)) leave(frame.contentWindow.location.href, true);
            },
        },
    });

    if (window.chatdEarly) window.chatdShell.attach(window.chatdEarly);
})();
