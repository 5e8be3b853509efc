// The country's ways of a language: for dates and numbers, in panel and meeting page.

/** "de" of "de-CH". */
export const languageOf = (locale) => locale.split(/[-_@]/)[0].toLowerCase();

/** As Intl takes it; undefined where it is none: browsers give names such as "en-US@posix", too. */
function canonical(name) {
    try {
        return Intl.getCanonicalLocales(name.replace(/@.*/, ''))[0];
    } catch {
        return undefined;
    }
}

/** A language with the country, where the browser names one; undefined, which is the browser's own, for none. */
export const localeIn = (language) => (navigator.languages ?? []).filter((one) => languageOf(one) === language).map(canonical).find(Boolean)
    ?? (language || undefined);
