// Loads chatd's embed.js into this page and shows the chat in it, with tokens that Roundcube's server asks chatd for.
'use strict';

/**
 * @param {object} options url: of chatd; tokenUrl: of the plugin's action; page(): gives the window of Roundcube's page, or a
 *     promise of it where it is still loading; on: listeners for chatd.on, by event; more: for
 *     chatd.start
 */
window.chatdConnect = async ({ url, tokenUrl, page, on = {}, ...more }) => {
    const FIRST_PAUSE_MS = 1_000;
    const LONGEST_PAUSE_MS = 60_000;

    class Ended extends Error {
        name = 'Ended'; // tells embed.js that there is nobody to chat as
    }

    const token = async () => {
        const { rcmail } = await page();
        const answer = await fetch(tokenUrl, {
            credentials: 'same-origin', cache: 'no-store',
            headers: { Accept: 'application/json', 'X-Roundcube-Request': rcmail.env.request_token },
        });
        // Where nobody is logged in, Roundcube answers its log-in page, with 200.
        const isJson = (answer.headers.get('content-type') || '').startsWith('application/json');
        if (answer.status === 403 || (answer.ok && !isJson)) throw new Ended();
        if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
        return answer.json();
    };

    const load = (pauseMs = FIRST_PAUSE_MS) => {
        const script = document.createElement('script');
        Object.assign(script, {
            src: `${url}/embed.js`, async: true,
            onload: () => {
                for (const [name, listener] of Object.entries(on)) window.chatd.on(name, listener);
                window.chatd.start({ token, ...more });
            },
            // The shell stays for hours, and would have no chat all that time.
            onerror: () => {
                script.remove();
                setTimeout(load, pauseMs * (0.5 + Math.random() / 2), Math.min(LONGEST_PAUSE_MS, pauseMs * 2));
            },
        });
        document.head.append(script);
    };

    await page(); // Webmail comes first
    load();
};
