// Words in the person's language. A language is one file in lang/; English stands in for what cannot be loaded.
import { useSyncExternalStore } from 'react';
import { localeIn } from '../src/locale.js';
import { onChoice, recall } from './choices.js';
import english from './lang/en.js';

/** The languages that there are, each by its own name. */
export const LANGUAGES = { de: 'Deutsch', en: 'English', es: 'Español', fr: 'Français' };
const OTHERS = { de: () => import('./lang/de.js'), es: () => import('./lang/es.js'), fr: () => import('./lang/fr.js') };
let words = english;
const listeners = new Set();

/** Loads the language that was chosen, or else the first of the browser's that there is. */
export async function loadWords() {
    const chosen = recall().language;
    const language = [chosen, ...(navigator.languages ?? [])].map((one) => one.split('-')[0]).find((one) => one in LANGUAGES) ?? 'en';
    try {
        const found = language === 'en' ? english : { ...english, ...(await OTHERS[language]()).default };
        if (chosen !== recall().language) return; // chosen again meanwhile
        words = found;
        document.documentElement.lang = language;
        for (const listener of listeners) listener();
    } catch { /* what was there is better than nothing */ }
}

onChoice((now, before) => { if (now.language !== before.language) loadWords(); });

/** Has a view drawn again, with all below it, when the language changes. */
export const useWords = () => useSyncExternalStore(
    (listener) => { listeners.add(listener); return () => listeners.delete(listener); }, () => words);

/** How dates and numbers are written: as in the browser's own kind of the page's language, if it has one. */
export const locale = () => localeIn(document.documentElement.lang);

/** The sentence of this key, with {words} filled in from `values`. */
export function t(key, values = {}) {
    return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** Why there is no file of a recording; what the server says in English stands in for a condition that is newer than this page. */
export function whyNot(condition, problem) {
    if (!problem) return '';
    const key = `why_${(condition ?? '').replaceAll('-', '_')}`;
    return t(key in words ? key : 'why_other', { problem });
}
