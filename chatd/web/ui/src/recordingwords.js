// What is said of a recording: when it was, how long and how large it is, and why there is none.
import { WORDS } from './meetingstrings.js';
import { LOCALE } from './words.js';

/** A day, in the reader's way of writing it. */
export const dayOf = (stamp) => new Date(stamp).toLocaleDateString(LOCALE, { dateStyle: 'medium' });

/** A day and the time. */
export const momentOf = (stamp) => new Date(stamp).toLocaleString(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });

/** A length as on a player: 12:05, 1:02:03. */
export function lengthOf(seconds) {
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const two = (number) => String(number).padStart(2, '0');
    return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

/** A size in the reader's way of writing numbers. */
export function sizeOf(bytes) {
    const [unit, value] = bytes < 1e6 ? ['kilobyte', bytes / 1e3] : bytes < 1e9 ? ['megabyte', bytes / 1e6] : ['gigabyte', bytes / 1e9];
    return new Intl.NumberFormat(LOCALE, { style: 'unit', unit, maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

/** Why there is no file; what the server says in English stands in for a condition that is newer than this page. */
export function whyNot({ condition, problem }) {
    const { other, ...known } = WORDS.recordings.why;
    return problem ? (known[condition] ?? other(problem)) : '';
}
