// What the panel says of meetings, in the first of the browser's languages that there is; a language is one file in lang/.
import english from './lang/meetings.en.js';

const OTHERS = ['de', 'es', 'fr'];

async function load() {
    const wanted = (navigator.languages ?? []).map((one) => one.split('-')[0]).find((one) => one === 'en' || OTHERS.includes(one));
    if (!OTHERS.includes(wanted)) return english;
    try {
        return (await import(`./lang/meetings.${wanted}.js`)).default;
    } catch {
        return english; // better than nothing
    }
}

export const WORDS = await load();
