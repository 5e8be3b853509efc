// What people ask of those who moderate a groupchat: to write (XEP-0045 7.13, 8.6), to become a member (7.10, 9.9).
import { TEXT } from './strings.js';

const words = TEXT.rooms;
const FORMS = 'jabber:x:data';
const VOICE = 'http://jabber.org/protocol/muc#request';

/** The forms that a room sends to its moderators: the field with the answer, the one with the name, what is asked. */
const KINDS = {
    [VOICE]: { answer: 'muc#request_allow', name: 'muc#roomnick', text: words.asks.voice },
    'http://jabber.org/protocol/muc#register': {
        answer: 'muc#register_allow', name: 'muc#register_roomnick', text: words.asks.member,
    },
};

/** The fields of a data form in a message, by name; null without one. */
function fieldsOf(message) {
    const form = [...message.children].find((part) => part.localName === 'x' && part.namespaceURI === FORMS);
    return form && new Map([...form.querySelectorAll('field')].map((field) => [
        field.getAttribute('var'), field.querySelector('value')?.textContent ?? '',
    ]));
}

/** Above the field for writing stand the requests, for moderators; in its place a button to ask, for visitors. */
export function roomRequests(converse, _converse) {
    const { api } = _converse;
    const { html, stx } = converse.env;
    const waiting = new Map(); // address of the room: array of the fields of each request
    const asked = new Set(); // addresses of the rooms where this person has asked to write

    function submit(room, fields) {
        api.send(stx`<message to="${room}" xmlns="jabber:client"><x xmlns="${FORMS}" type="submit">
            ${[...fields].map(([name, value]) => stx`<field var="${name}"><value>${value}</value></field>`)}
        </x></message>`);
    }

    class Panel extends api.elements.registry['converse-muc-bottom-panel'] {
        async initialize() {
            await super.initialize();
            this.listenTo(this.model.occupants, 'change:role', () => this.requestUpdate());
            this.listenTo(this.model, 'chatd:asked', () => this.requestUpdate());
        }
        ask() {
            const room = this.model.get('jid');
            submit(room, [['FORM_TYPE', VOICE], ['muc#role', 'participant']]);
            asked.add(room);
            this.requestUpdate();
        }
        answer(fields, isAllowed) {
            const room = this.model.get('jid');
            submit(room, new Map([...fields, [KINDS[fields.get('FORM_TYPE')].answer, isAllowed ? '1' : '0']]));
            waiting.set(room, waiting.get(room).filter((other) => other !== fields));
            this.requestUpdate();
        }
        requests() {
            const isMuted = (fields) => fields.get('FORM_TYPE') !== VOICE ||
                this.model.getOccupantByNickname(fields.get('muc#roomnick'))?.get('role') === 'visitor';
            return (waiting.get(this.model.get('jid')) ?? []).filter(isMuted);
        }
        render() {
            if (this.model?.session.get('connection_status') !== converse.ROOMSTATUS.ENTERED) return super.render();
            if (this.model.canPostMessages()) {
                asked.delete(this.model.get('jid'));
                return html`${this.requests().map((fields) => this.renderRequest(fields))}${super.render()}`;
            }
            const hasAsked = asked.has(this.model.get('jid'));
            return html`<div class="chatd-ask" role="status">
                <p>${hasAsked ? words.asked : words.muted}</p>
                ${hasAsked ? '' : html`<button type="button" class="btn btn-secondary"
                    @click=${() => this.ask()}>${words.askVoice}</button>`}
            </div>`;
        }
        renderRequest(fields) {
            const { name, text } = KINDS[fields.get('FORM_TYPE')];
            return html`<div class="chatd-ask" role="status">
                <p title=${fields.get('muc#jid') ?? ''}>${text(fields.get(name))}</p>
                <button type="button" class="btn btn-secondary" @click=${() => this.answer(fields, false)}>
                    ${words.asks.deny}</button>
                <button type="button" class="btn btn-primary" @click=${() => this.answer(fields, true)}>
                    ${words.asks.allow}</button>
            </div>`;
        }
    }
    api.elements.define('converse-muc-bottom-panel', Panel);

    function take(message) {
        const room = message.getAttribute('from');
        const model = _converse.state.chatboxes?.get(room);
        const fields = model && fieldsOf(message);
        if (!fields || !(fields.get('FORM_TYPE') in KINDS)) return;
        const others = (waiting.get(room) ?? []).filter((other) => other.get('muc#jid') !== fields.get('muc#jid') ||
            other.get('FORM_TYPE') !== fields.get('FORM_TYPE'));
        waiting.set(room, [...others, fields]);
        model.trigger('chatd:asked');
    }
    const listen = () => api.connection.get().addHandler((message) => {
        take(message);
        return true;
    }, FORMS, 'message');
    api.listen.on('connected', listen);
    api.listen.on('reconnected', listen);
}
