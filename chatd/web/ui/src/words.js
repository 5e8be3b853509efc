// In which language the panel speaks: what the page around it asks for, else what was chosen in a meeting's settings, else the
// first of the browser's languages that there is.
import { languageOf, localeIn } from './locale.js';

const ALL = ['de', 'en', 'es', 'fr'];
const CHOSEN = 'chatd-meeting'; // where the meeting page keeps what was chosen there

function chosen() {
    try {
        const { language } = JSON.parse(localStorage.getItem(CHOSEN) ?? '{}');
        return typeof language === 'string' ? language : '';
    } catch {
        return '';
    }
}

const wanted = [new URLSearchParams(location.search).get('lang') ?? '', chosen(), ...(navigator.languages ?? [])];

/** One of ours, or '' where the person reads none of them. */
export const LANGUAGE = wanted.map(languageOf).find((one) => ALL.includes(one)) ?? '';

/** The same with the country's ways, where the browser names one: for dates and numbers. */
export const LOCALE = localeIn(LANGUAGE);

/** The words of one part of the panel (`lang/PART.LANGUAGE.js`); English stands in for what cannot be loaded. */
export async function wordsOf(part, english) {
    if (LANGUAGE === 'en' || !LANGUAGE) return english;
    try {
        return (await import(`./lang/${part}.${LANGUAGE}.js`)).default;
    } catch {
        return english;
    }
}

/** Says a page in the person's language, which was built in English: `data-words` is a key, `data-words-NAME` that of an attribute. */
export function translatePage(words) {
    document.documentElement.lang = LANGUAGE || 'en';
    const find = (key) => key.split('.').reduce((found, part) => found?.[part], words);
    for (const element of document.querySelectorAll('[data-words]')) element.textContent = find(element.dataset.words);
    for (const name of ['placeholder', 'aria-label']) {
        for (const element of document.querySelectorAll(`[data-words-${name}]`)) {
            element.setAttribute(name, find(element.getAttribute(`data-words-${name}`)));
        }
    }
}
