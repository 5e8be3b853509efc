// What the panel's two pages have in common, the one that stands alone (main.js) and the one in a Webmail (framed.js).
import { TEXT } from './strings.js';
import { translatePage } from './words.js';

translatePage(TEXT);

const SHOWN_MS = 4000;

/** The line that says how the connection is; a good message goes away by itself. */
export function stateLine(line) {
    let timer;
    const say = (message, kind, isPassing = false) => {
        clearTimeout(timer);
        line.textContent = message;
        line.dataset.kind = kind;
        if (isPassing) timer = setTimeout(() => say('', ''), SHOWN_MS);
    };
    return {
        say,
        lost: () => say(navigator.onLine ? TEXT.state.reconnecting : TEXT.state.offline, 'lost'),
        get isLost() { return line.dataset.kind === 'lost'; },
    };
}

/** Loads Converse's style sheet and waits for it, so that the panel never shows unstyled. */
export function loadStyle(assets) {
    const link = document.getElementById('converse-style') ?? document.createElement('link');
    if (link.isConnected) return Promise.resolve();
    return new Promise((resolve) => {
        Object.assign(link, { id: 'converse-style', rel: 'stylesheet', href: `${assets}/converse.min.css` });
        link.onload = link.onerror = resolve;
        // Before our theme, which overrides it.
        document.head.insertBefore(link, document.getElementById('theme-style'));
    });
}
