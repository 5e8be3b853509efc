// In each page of Roundcube: tells the shell, where there is one, and offers a chat with whoever wrote a mail.
'use strict';

(() => {
    const ACTIVE_EVERY_MS = 10_000;

    /** The windows around and behind this one, as far as they are ours. */
    const around = (start) => {
        const found = [];
        let next = start;
        while (next && !found.includes(next)) {
            try {
                if (next.location.origin !== location.origin) break;
            } catch {
                break;
            }
            found.push(next);
            next = next.parent === next ? next.opener : next.parent;
        }
        return found;
    };

    /** The chat: of this page, of the shell, or of the page that opened this pop-up. */
    const chat = () => around(window).map((one) => one.chatd).find((one) => one && one.chatWith);

    /** "Bob Smith <bob@example.org>" in its parts. */
    const parsed = (text) => {
        const [, name = '', address] = /^(.*?)<([^<>]+)>\s*$/.exec(text) || ['', '', String(text)];
        return { name: name.trim().replace(/^"(.*)"$/, '$1').replace(/\\(.)/g, '$1'), address: address.trim() };
    };

    // Who reads mail is not away, and of what is done in a frame the page around it hears nothing.
    let last = 0;
    for (const name of ['pointermove', 'pointerdown', 'keydown', 'wheel']) {
        addEventListener(name, (event) => {
            if (!event.isTrusted || Date.now() - last < ACTIVE_EVERY_MS) return;
            last = Date.now();
            const found = chat();
            if (found && found.active) found.active();
        }, { capture: true, passive: true });
    }

    // The shell's frame is asked for with a mark in its address (chatd.php), which nobody is to see from here on.
    const marked = /[?&]_chatd=1(?=#|$)/;
    if (marked.test(location.href)) history.replaceState(history.state, '', location.href.replace(marked, '') || location.pathname);

    const { rcmail } = window;
    const shell = around(window).map((one) => one.chatdShell).find(Boolean);
    if (shell) shell.attach(window);
    else if (window.frameElement && window.frameElement.id === 'webmail') window.parent.chatdEarly = window; // its script still loads
    if (!rcmail) return;

    const chatWith = (text) => {
        const { name, address } = parsed(text);
        const found = chat();
        if (found && !['ended', 'signed-out'].includes(found.state)) found.chatWith(address, name);
        else rcmail.display_message(rcmail.gettext('nochat', 'chatd'), 'warning');
        return false;
    };

    /** May one chat with them? Not with oneself, and not where there is no address. */
    const isPerson = (text) => {
        const { address } = parsed(text || '');
        return address.includes('@') && address.toLowerCase() !== (rcmail.env.chatd.address || '').toLowerCase();
    };

    rcmail.addEventListener('init', () => {
        if (!rcmail.env.chatd) return;
        const { chat: url, token_url: tokenUrl } = rcmail.env.chatd;
        if (url) {
            const isDark = () => document.documentElement.classList.contains('dark-mode');
            window.chatdConnect({ url, tokenUrl, page: () => window, theme: isDark() ? 'dark' : 'light', meetings: 'tab' });
            new MutationObserver(() => window.chatd && window.chatd.theme(isDark() ? 'dark' : 'light'))
                .observe(document.documentElement, { attributes: true, attributeFilter: ['class'] });
        }
        rcmail.register_command('plugin.chatd.chat', () => chatWith(rcmail.env.sender), isPerson(rcmail.env.sender));
    });
})();
