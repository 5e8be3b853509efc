// What the panel says of files, in the first of the browser's languages that there is; a language is one file in lang/.
import english from './lang/files.en.js';

const OTHERS = ['de', 'es', 'fr'];

async function load() {
    const wanted = (navigator.languages ?? []).map((one) => one.split('-')[0]).find((one) => one === 'en' || OTHERS.includes(one));
    if (!OTHERS.includes(wanted)) return english;
    try {
        return (await import(`./lang/files.${wanted}.js`)).default;
    } catch {
        return english; // better than nothing
    }
}

export const WORDS = await load();
