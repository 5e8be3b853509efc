// Words in the person's language. A language is one file in lang/; English stands in for what cannot be loaded.
import english from './lang/en.js';

const OTHERS = { de: () => import('./lang/de.js'), es: () => import('./lang/es.js'), fr: () => import('./lang/fr.js') };
let words = english;

/** Loads the first of the browser's languages that there is. */
export async function loadWords() {
    for (const wanted of navigator.languages ?? []) {
        const language = wanted.split('-')[0];
        if (language === 'en') return;
        if (!OTHERS[language]) continue;
        try {
            words = { ...english, ...(await OTHERS[language]()).default };
            document.documentElement.lang = language;
        } catch { /* English is better than nothing */ }
        return;
    }
}

/** The sentence of this key, with {words} filled in from `values`. */
export function t(key, values = {}) {
    return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}
