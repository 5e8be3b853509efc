// Light or dark as the page around the panel wants it. Browsers tell a frame of another site only what the system says, so the
// rules and questions about that are answered here.

const QUESTION = /\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)/g;
const written = new WeakMap(); // of each rule what stood in it
const ask = globalThis.matchMedia.bind(globalThis);
let wanted = ''; // "light", "dark", or "" for what the system says

const answered = (text) => text.replace(QUESTION, (_, which) => (which === wanted ? '(min-width: 0px)' : '(max-width: 0px)'));

function change(rules) {
    for (const rule of rules) {
        if (rule instanceof CSSMediaRule) {
            const text = written.get(rule) ?? rule.media.mediaText;
            if (text.match(QUESTION)) {
                written.set(rule, text);
                rule.media.mediaText = wanted ? answered(text) : text;
            }
        }
        if (rule.cssRules?.length) change(rule.cssRules);
    }
}

/** Applies it; again after style sheets were added. */
export function applyScheme(to = wanted) {
    const before = wanted;
    wanted = ['light', 'dark'].includes(to) ? to : '';
    if (!wanted && !before) return;
    document.documentElement.style.colorScheme = wanted;
    for (const sheet of document.styleSheets) change(sheet.cssRules);
    // What asks by script, Converse's choice of its theme among them.
    globalThis.matchMedia = (query) => ask(wanted ? answered(query) : query);
    for (const root of document.querySelectorAll('converse-root')) root.requestUpdate?.();
}
