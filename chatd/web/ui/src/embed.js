// The chat panel for the page of a Webmail: <script src="https://chat.example/embed.js" async data-token-url="/chat-token">.
// docs/webmail.md tells how it is used; the panel itself is a frame of chatd's origin (framed.js), above the page and cut
// to what is to be seen of it, so that everything beside it stays the page's. No style of either reaches the other.
(() => {
    if (globalThis.chatd) return;
    const script = document.currentScript;
    const ORIGIN = new URL(script.src).origin;
    const FIRST_PAUSE_MS = 1_000;
    const LONGEST_PAUSE_MS = 60_000;
    const ACTIVE_EVERY_MS = 10_000;
    const ALLOWED = ['camera', 'microphone', 'display-capture', 'fullscreen', 'picture-in-picture', 'autoplay', 'clipboard-write',
        'screen-wake-lock']
        .map((name) => `${name} ${ORIGIN}`).join('; ');
    const STYLE = {
        all: 'initial', position: 'fixed', left: '0', top: '0', width: '100%', border: '0', 'z-index': '2147483000',
        background: 'transparent', 'clip-path': 'inset(50%)',
    };

    /** Webmail's session has ended: there is nobody to chat as. */
    class Ended extends Error {}

    const listeners = new Map(); // of events, by name
    let options = null;
    let frame = null;
    let isReady = false;
    let waiting = []; // what to tell the frame when it is there
    let asked = 0; // the number of the frame's last question for a token
    let supplying = false;
    let early = null; // the first token, asked for while the frame still loads
    let retry = () => {}; // ends the pause before the next try
    let silence = null; // lets another tab make the sounds, where this one does
    let state = 'off';
    let unread = 0;
    let inMeeting = false;
    let title = null;
    const channel = new BroadcastChannel('chatd'); // to the other tabs of this page's origin
    channel.addEventListener('message', ({ data }) => { if (isReady) tell({ chatd: 'tabs', data }); });

    const later = globalThis.requestIdleCallback ? (run) => requestIdleCallback(run, { timeout: 2_000 }) : (run) => setTimeout(run, 200);

    function fire(name, detail) {
        for (const listener of listeners.get(name) ?? []) {
            try {
                listener(detail);
            } catch (error) {
                console.error(error); // of the page, and none of the panel's business
            }
        }
    }

    function enter(now) {
        if (state === now) return;
        state = now;
        if (state === 'connected') performance.mark('chatd connected');
        fire('state', { state });
    }

    function tell(what) {
        if (isReady) frame.contentWindow.postMessage(what, ORIGIN);
        else waiting.push(what);
    }

    // ---- the frame

    function style(values) {
        for (const [name, value] of Object.entries(values)) frame.style.setProperty(name, value, 'important');
    }

    /** Shows these parts of the frame, all of it, or nothing. */
    function cut(shape) {
        const path = (rects) => rects.map(([x, y, width, height]) => `M${x} ${y}h${width}v${height}h${-width}Z`).join('');
        if (shape === 'all') style({ 'clip-path': 'none' });
        else style({ 'clip-path': shape.length ? `path("${path(shape)}")` : 'inset(50%)' });
    }

    const isShape = (shape) => shape === 'all' || (Array.isArray(shape) && shape.length <= 64
        && shape.every((rect) => Array.isArray(rect) && rect.length === 4 && rect.every(Number.isFinite)));

    function makeFrame() {
        frame = document.createElement('iframe');
        frame.allow = ALLOWED;
        frame.title = options.label ?? 'Chat';
        frame.src = `${ORIGIN}/embed?${new URLSearchParams({
            origin: location.origin, open: options.open ? '1' : '', lang: document.documentElement.lang, meetings: options.meetings ?? '',
        })}`;
        style({ ...STYLE, height: `calc(100% - ${Number(options.bottom) || 0}px)`, 'color-scheme': options.theme ?? 'light dark' });
        document.body.append(frame);
        early = token();
        early.catch(() => {}); // said when the frame asks
        // Whoever holds the lock is heard; when that tab goes, the next one is.
        navigator.locks?.request('chatd sound', () => {
            if (!frame) return undefined;
            tell({ chatd: 'sound' });
            return new Promise((resolve) => { silence = resolve; });
        });
    }

    // ---- tokens

    async function fetched(url) {
        const answer = await fetch(url, { credentials: 'same-origin', cache: 'no-store', headers: { Accept: 'application/json' } });
        const isJson = (answer.headers.get('content-type') ?? '').includes('json');
        // Many a Webmail answers its log-in page, with 200, where nobody is logged in.
        if ([401, 403].includes(answer.status) || (answer.ok && !isJson)) throw new Ended();
        if (!answer.ok) throw new Error(`${answer.status}`);
        return answer.json();
    }

    /** A token of this moment. What the page's own function rejects with is an end if its name is "Ended" or its status says so. */
    async function token() {
        const found = await (options.token ? options.token() : fetched(options.tokenUrl));
        if (typeof found?.token !== 'string' || typeof found?.address !== 'string') throw new Error('no token');
        return { token: found.token, address: found.address };
    }

    const isEnd = (error) => error instanceof Ended || error?.name === 'Ended' || [401, 403].includes(error?.status);

    /** Answers the frame's last question, however often Webmail has to be asked for that. */
    async function supply() {
        if (supplying) return;
        supplying = true;
        const mine = frame; // what is asked for one person's frame is not for the next one's
        for (let tries = 0; frame && frame === mine; tries += 1) {
            try {
                const found = await (early ?? token());
                if (frame === mine) tell({ chatd: 'token', id: asked, ...found });
                break;
            } catch (error) {
                if (frame !== mine) break;
                if (isEnd(error)) {
                    end('ended');
                    break;
                }
                tell({ chatd: 'no-token', id: asked });
                const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries) * (0.5 + Math.random() / 2);
                await new Promise((resolve) => {
                    retry = resolve;
                    setTimeout(resolve, pause);
                });
            } finally {
                if (frame === mine) early = null;
            }
        }
        supplying = false;
        if (frame && frame !== mine && asked) supply();
    }

    async function check() {
        try {
            if (frame) await token();
        } catch (error) {
            if (isEnd(error)) end('ended');
        }
    }

    // ---- what the frame says

    function heard({ origin, source, data }) {
        if (!frame || origin !== ORIGIN || source !== frame.contentWindow || typeof data !== 'object' || data === null) return;
        if (data.chatd === 'ready') {
            isReady = true;
            waiting.splice(0).forEach(tell);
            // The frame may have loaded anew.
            if (options.theme) tell({ chatd: 'theme', theme: options.theme });
            if (silence) tell({ chatd: 'sound' });
        } else if (data.chatd === 'token?') {
            asked = data.id;
            supply();
        } else if (data.chatd === 'shape' && isShape(data.shape)) cut(data.shape);
        else if (data.chatd === 'state') enter(String(data.state));
        else if (data.chatd === 'tabs') channel.postMessage(data.data);
        else if (data.chatd === 'unread') count(Number(data.count) || 0);
        else if (data.chatd === 'meeting') meet(Boolean(data.isIn));
        else if (data.chatd === 'left') end(data.reason === 'signed-out' ? 'signed-out' : 'ended');
        else if (data.chatd === 'away') document.body.focus?.() ?? frame.blur();
    }

    function meet(now) {
        if (inMeeting === now) return;
        inMeeting = now;
        fire('meeting', { inMeeting });
    }

    function count(now) {
        unread = now;
        fire('unread', { count: unread });
        if (options.title) entitle();
    }

    /** The number of unread messages before the page's own title, whatever the page sets that to. */
    function entitle() {
        const plain = document.title.replace(/^\(\d+\) /, '');
        const wanted = unread ? `(${unread}) ${plain}` : plain;
        if (document.title !== wanted) document.title = wanted;
        if (!title && document.head) {
            title = new MutationObserver(entitle);
            title.observe(document.head, { subtree: true, childList: true, characterData: true });
        }
    }

    let lastActive = 0;
    /** Who reads mail is not away. */
    function active() {
        const now = Date.now();
        if (now - lastActive < ACTIVE_EVERY_MS || !isReady) return;
        lastActive = now;
        tell({ chatd: 'active' });
    }

    function end(now) {
        if (!frame) return;
        frame.remove();
        frame = early = null;
        isReady = false;
        waiting = [];
        retry();
        silence?.();
        silence = null;
        count(0);
        meet(false);
        title?.disconnect();
        title = null;
        enter(now);
    }

    // ---- for the page

    /**
     * Shows the panel, once the page has loaded. `tokenUrl` answers {token, address} or 401 or 403; `token()` is asked instead
     * and gives a promise of the same. `open`: with the contacts shown; `bottom`: pixels that stay free below; `theme`:
     * "light" or "dark"; `title`: the number of unread messages stands in the page's title; `label`: the frame's name for screen
     * readers; `check`: seconds after which the page is asked again whether somebody is logged in; `meetings`: "tab" offers to
     * open meetings in a tab, for pages that are loaded anew at every turn.
     */
    function start(wanted) {
        if (frame || state === 'starting') return;
        if (!wanted?.tokenUrl && !wanted?.token) throw new TypeError('chatd.start needs tokenUrl or token');
        options = wanted;
        enter('starting');
        const begin = () => later(() => {
            if (state === 'starting' && !frame) makeFrame();
        });
        if (document.readyState === 'complete') begin();
        else addEventListener('load', begin, { once: true });
        if (options.check > 0 && !start.timer) start.timer = setInterval(check, options.check * 1_000);
    }

    globalThis.chatd = Object.freeze({
        start,
        /** Shows the contacts. */
        open: () => tell({ chatd: 'open' }),
        /** Hides everything but the button. */
        close: () => tell({ chatd: 'close' }),
        /** Opens the chat with somebody, or what adds them to the contacts. */
        chatWith: (address, name = '') => tell({ chatd: 'chat', address: String(address), name: String(name) }),
        /** Ends the chat in all tabs; call it before Webmail's own log-out. */
        signOut() {
            if (!frame) return;
            if (!isReady) {
                end('signed-out');
                return;
            }
            style({ visibility: 'hidden' }); // at once: who comes next sees nothing of it, however long the end takes
            tell({ chatd: 'sign-out' });
        },
        /** Somebody is at the page: for what happens in its own frames, of which the page itself hears nothing. */
        active,
        /** "light", "dark", or "light dark" for what the system says. */
        theme(value) {
            if (options) options = { ...options, theme: value };
            if (frame) style({ 'color-scheme': value });
            tell({ chatd: 'theme', theme: value });
        },
        /** Calls `listener` at each "unread" ({count}), "state" ({state}) and "meeting" ({inMeeting}); gives a function that ends it. */
        on(name, listener) {
            if (!listeners.has(name)) listeners.set(name, new Set());
            listeners.get(name).add(listener);
            return () => listeners.get(name).delete(listener);
        },
        get state() { return state; },
        get unread() { return unread; },
        /** Is somebody in a meeting in this tab? Then rather ask before the page goes. */
        get inMeeting() { return inMeeting; },
    });

    addEventListener('message', heard);
    addEventListener('online', () => retry());
    for (const name of ['pointermove', 'pointerdown', 'keydown', 'wheel']) {
        addEventListener(name, (event) => { if (event.isTrusted) active(); }, { capture: true, passive: true });
    }
    const { tokenUrl, open, bottom, theme, title: titled, label, check: every, meetings } = script.dataset;
    if (tokenUrl) {
        start({ tokenUrl, open: open !== undefined, bottom, theme, title: titled !== undefined, label, check: Number(every) || 0, meetings });
    }
})();
