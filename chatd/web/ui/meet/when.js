// Times, lengths and sizes, written as in the language of the page.
import { locale } from './words.js';

const CLOCK = { hour: '2-digit', minute: '2-digit' };

/** The time of day. */
export const clock = (stamp) => new Date(stamp).toLocaleTimeString(locale(), CLOCK);

/** The day; `how`: options of Intl.DateTimeFormat. */
export const dateOf = (stamp, how = { dateStyle: 'medium' }) => new Date(stamp).toLocaleDateString(locale(), how);

/** A length in seconds, as on a player: 12:05, 1:02:03. */
export function lasted(seconds) {
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
    const two = (number) => String(number).padStart(2, '0');
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The size of a file. */
export const sizeOf = (bytes) => (bytes / 1e6).toLocaleString(locale(), { style: 'unit', unit: 'megabyte', maximumFractionDigits: bytes < 1e7 ? 1 : 0 });
