// The part of a text that has the words somebody looked for, as the server compares them: without case and accents.

const BEFORE = 40; // letters shown ahead of the first word found
const LENGTH = 180;

const fold = (text) => text.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '');

/** [start, end] of each place where one of the words is, sorted, none within another. */
function places(text, words) {
    let folded = '';
    const from = []; // for each letter of `folded`, where it stands in `text`
    let at = 0;
    for (const sign of text) {
        const plain = fold(sign);
        for (let i = 0; i < plain.length; i += 1) from.push(at);
        folded += plain;
        at += sign.length;
    }
    from.push(at);
    const found = [];
    for (const word of words) {
        for (let start = folded.indexOf(word); start >= 0; start = folded.indexOf(word, start + word.length)) {
            found.push([from[start], from[start + word.length]]);
        }
    }
    found.sort(([a], [b]) => a - b);
    return found.reduce((all, [start, end]) => {
        const last = all.at(-1);
        if (last && start <= last[1]) last[1] = Math.max(last[1], end);
        else all.push([start, end]);
        return all;
    }, []);
}

/**
 * Pieces of text around the first word: strings, and `<mark>`s for the words.
 * @param {string} text
 * @param {string} typed
 * @returns {Array<Node|string>}
 */
export function snippet(text, typed) {
    const marks = places(text, fold(typed).split(/\s+/).filter(Boolean));
    const first = marks[0]?.[0] ?? 0;
    const start = first > BEFORE ? text.lastIndexOf(' ', first - BEFORE) + 1 || first - BEFORE : 0;
    const end = Math.min(text.length, start + LENGTH);
    const parts = start ? ['… '] : [];
    let at = start;
    for (const [from, to] of marks.filter(([from, to]) => from >= start && to <= end)) {
        const mark = document.createElement('mark');
        mark.textContent = text.slice(from, to);
        parts.push(text.slice(at, from), mark);
        at = to;
    }
    parts.push(text.slice(at, end), end < text.length ? ' …' : '');
    return parts.filter((part) => part !== '');
}
