// What the server tells a moderator who has left the meeting: that a recording is ready, or why there is none. It comes as a
// message from an address of its own (docs/protocol.md section 11), and is shown as a card in the reader's language.
import { icon, make } from './elements.js';
import { meetings } from './meetings.js';
import { WORDS } from './meetingstrings.js';
import { dayOf, lengthOf, momentOf, sizeOf } from './recordingwords.js';

const MEET = 'urn:chatd:meet:0';

/** Is this the address that such messages come from? Nobody reads answers there, and it is nobody whom one adds to the contacts. */
export const isSender = (_converse, jid) => jid === `meetings@meet.${_converse.session.get('domain')}`;

const words = WORDS.recordings;

/** The sentence that stands for the whole: in notifications, in the list of chats, where the text is copied. */
const titleOf = ({ name, since }) => words.told(name || WORDS.unnamed, momentOf(since));

/** Messages of that address, and the chat that they are in. */
export function recordingCards(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    const isOurs = (model) => Boolean(model) && isSender(_converse, model.get('jid'));

    api.listen.on('parseMessage', (stanza, attrs) => {
        const said = [...stanza.children].find((one) => one.localName === 'recorded' && one.namespaceURI === MEET);
        if (!said || !isSender(_converse, attrs.from?.split('/')[0])) return attrs; // anybody can write such an element
        const recorded = Object.fromEntries([...said.attributes].map((one) => [one.name, one.value]));
        const text = recorded.state === 'failed' ? `${titleOf(recorded)}. ${words.failed}` : titleOf(recorded);
        return { ...attrs, recorded, body: text, message: text };
    });

    class Card extends HTMLElement {
        connectedCallback() {
            this.#draw();
        }
        #draw() {
            const { name, since } = this.recorded;
            const line = (text) => make('span', { class: 'chatd-card__facts' }, text);
            const button = (text, onclick) => make('button', {
                type: 'button', class: 'btn btn-secondary', onclick, 'aria-label': `${text}: ${titleOf(this.recorded)}`,
            }, text);
            this.replaceChildren(icon('camera', 24),
                make('span', { class: 'chatd-card__words' }, make('strong', { class: 'chatd-card__name' }, name || WORDS.unnamed),
                    line(words.player(momentOf(since))), line(this.#facts())),
                ...(this.recorded.state === 'failed' ? [] : [make('span', { class: 'chatd-card__buttons' },
                    button(words.play, () => this.#play()), button(words.save, () => this.#save()))]));
        }
        /** What hinders; '' when it is over. The buttons stay for another try, unless the recording is gone. */
        #tell(problem) {
            this.querySelector('[role=alert]')?.remove();
            if (!problem) return;
            const hasFocus = this.contains(document.activeElement);
            if (problem === words.gone) {
                for (const one of this.querySelectorAll('.chatd-card__buttons, video, .chatd-card__facts + .chatd-card__facts')) one.remove();
            }
            this.querySelector('.chatd-card__words').append(make('span', { class: 'chatd-card__facts', role: 'alert' }, problem));
            if (!hasFocus || this.contains(document.activeElement)) return;
            this.tabIndex = -1;
            this.focus();
        }
        #facts() {
            const { state, condition, seconds, bytes, expires } = this.recorded;
            if (state === 'failed') return [words.failed, condition === 'other' ? '' : words.why[condition]].filter(Boolean).join(' ');
            return [lengthOf(Number(seconds ?? 0)), sizeOf(Number(bytes ?? 0)), expires ? words.until(dayOf(expires)) : ''].filter(Boolean).join(' · ');
        }

        /** An address that opens it: good for an hour, and only for those whom it is for. */
        async #address() {
            try {
                const found = (await meetings().recordings(this.recorded.room)).find((one) => one.id === this.recorded.id);
                this.#tell(found?.url ? '' : words.gone);
                return found?.url ?? '';
            } catch (error) {
                this.#tell(error.condition === 'item-not-found' ? words.gone : error.message);
                return '';
            }
        }
        async #play() {
            const src = await this.#address();
            if (!src) return;
            const video = make('video', { controls: true, autoplay: true, playsinline: true, src, 'aria-label': words.player(momentOf(this.recorded.since)) });
            video.addEventListener('loadedmetadata', () => this.dispatchEvent(new CustomEvent('imageLoaded', { bubbles: true })));
            this.querySelector('video')?.remove();
            this.append(video);
            video.focus();
        }
        async #save() {
            const address = await this.#address();
            if (address) make('a', { href: `${address}&download=1`, download: true }).click();
        }
    }
    customElements.define('chatd-recorded', Card);

    class MessageBody extends api.elements.registry['converse-chat-message-body'] {
        render() {
            const recorded = this.model?.get('recorded');
            return recorded ? html`<chatd-recorded class="chatd-card chatd-card--recorded" .recorded=${recorded}></chatd-recorded>` : super.render();
        }
    }
    api.elements.define('converse-chat-message-body', MessageBody);

    class BottomPanel extends api.elements.registry['converse-chat-bottom-panel'] {
        render() {
            return isOurs(this.model) ? html`<p class="chatd-noanswer">${words.noAnswer}</p>` : super.render();
        }
    }
    api.elements.define('converse-chat-bottom-panel', BottomPanel);
    class Alert extends api.elements.registry['converse-contact-approval-alert'] {
        render() {
            return isOurs(this.contact) ? '' : super.render();
        }
    }
    api.elements.define('converse-contact-approval-alert', Alert);

    /** Of what can be done with a message, copying is left. */
    class Actions extends api.elements.registry['converse-message-actions'] {
        async getActionButtons() {
            const found = await super.getActionButtons();
            return isOurs(this.model.collection?.chatbox) ? found.filter(({ name }) => name === 'copy') : found;
        }
    }
    api.elements.define('converse-message-actions', Actions);

    const { VCard } = _converse.exports;
    const nameOf = VCard.prototype.getDisplayName;
    VCard.prototype.getDisplayName = function getDisplayName() {
        return isOurs(this) ? WORDS.section : nameOf.call(this);
    };
}
