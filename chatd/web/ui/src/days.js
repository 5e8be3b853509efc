// The day that stands between messages, in the person's language: Converse writes "Monday Nov 23rd 2026" in all of them.
import { LOCALE } from './words.js';

const CONVERSES = 'dddd MMM Do YYYY'; // how Converse 14.0.0 asks for it

/** Names the year only where it is another one. */
export function daysInWords(converse) {
    const day = { weekday: 'long', day: 'numeric', month: 'long' };
    const [here, elsewhere] = [day, { ...day, year: 'numeric' }].map((parts) => new Intl.DateTimeFormat(LOCALE, parts));
    converse.env.dayjs.extend((_, Day) => {
        const { format } = Day.prototype;
        Day.prototype.format = function (template) {
            if (template !== CONVERSES) return format.call(this, template);
            const isThisYear = this.year() === new Date().getFullYear();
            const text = (isThisYear ? here : elsewhere).format(this.toDate());
            return text[0].toLocaleUpperCase(LOCALE) + text.slice(1);
        };
    });
}
