// A link to a meeting in a message, shown as a card: what it is called, who is in it now, and the button to join.
import { icon, make } from './elements.js';
import { meetings, openMeeting } from './meetings.js';
import { WORDS } from './meetingstrings.js';
import { meetingWindow } from './meetingwindow.js';

const words = WORDS.card;
const FRESH_MS = 20_000;
const CARDS_MOST = 3; // of one message

const known = new Map(); // id -> {at, found: Promise}

/** What the server says of a meeting, asked once for all cards of it within a while. */
function look(id, isUrgent) {
    const before = known.get(id);
    if (before && !isUrgent && Date.now() - before.at < FRESH_MS) return before.found;
    const found = meetings().look(id);
    known.set(id, { at: Date.now(), found });
    found.catch(() => known.delete(id));
    return found;
}

/** `people`: how many there are, where that is known better. */
function factsOf(info, people) {
    const count = people || info.occupants;
    const facts = [count ? words.inside(count) : words.empty];
    if (info.locked) facts.push(words.locked);
    else if (info.lobby) facts.push(words.lobby);
    if (info.password) facts.push(words.password);
    return facts.join(' ');
}

/** Cards below the messages that have such links. */
export function meetingCards(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;

    /** Looks the meeting up when it is seen, and now and then as long as it is. */
    class Card extends HTMLElement {
        #seen = new IntersectionObserver(([{ isIntersecting }]) => this.#watch(isIntersecting));
        #timer = 0;
        #name = '';
        #onWindow = () => this.#draw(this.info);

        connectedCallback() {
            this.#seen.observe(this);
            meetingWindow.addEventListener('change', this.#onWindow);
            this.#draw(undefined);
        }
        disconnectedCallback() {
            this.#watch(false);
            this.#seen.disconnect();
            meetingWindow.removeEventListener('change', this.#onWindow);
        }
        #watch(isSeen) {
            clearInterval(this.#timer);
            if (!isSeen) return;
            this.#timer = setInterval(() => this.#look(), FRESH_MS);
            this.#look();
        }
        #look() {
            if (document.hidden) return;
            look(this.meeting.id).then((info) => this.#draw(info), () => this.#draw(this.info));
        }
        #draw(info) {
            this.info = info;
            this.#name = info?.name || this.#name;
            const isGone = info === null;
            const isHere = meetingWindow.id === this.meeting.id;
            const said = info ? factsOf(info, isHere ? meetingWindow.people : 0) : '';
            const text = [this.#name, isGone, isHere, said].join('|');
            if (this.drawn === text) return;
            this.drawn = text;
            const title = make('strong', { class: 'chatd-card__name' }, this.#name || words.checking);
            const facts = make('span', { class: 'chatd-card__facts' }, isGone ? words.gone : said);
            const label = isHere ? words.show : words.join;
            const join = () => openMeeting(_converse, { ...this.meeting, name: this.#name });
            const hadFocus = this.contains(document.activeElement);
            const button = make('button', { type: 'button', class: 'btn btn-primary chatd-card__join', onclick: join }, label);
            this.replaceChildren(icon('camera', 24), make('span', { class: 'chatd-card__words' }, title, facts), ...(isGone ? [] : [button]));
            if (hadFocus && !isGone) button.focus();
        }
    }
    customElements.define('chatd-meeting-card', Card);

    class MessageBody extends api.elements.registry['converse-chat-message-body'] {
        render() {
            const found = meetings().hasMedia ? meetings().in(this.text).slice(0, CARDS_MOST) : [];
            if (!found.length) return super.render();
            return html`${super.render()}${found.map((meeting) => html`<chatd-meeting-card class="chatd-card" .meeting=${meeting}
                data-id=${meeting.id}></chatd-meeting-card>`)}`;
        }
    }
    api.elements.define('converse-chat-message-body', MessageBody);
    // Messages of before may be there before the server has said how its links begin.
    meetings().addEventListener('change', () => {
        for (const body of document.querySelectorAll('converse-chat-message-body')) body.requestUpdate?.();
    });
}
