// What the panel asks the server about meetings: docs/protocol.md sections 2, 4, 9, 11 and 16.
import { WORDS } from './meetingstrings.js';

const MEET = 'urn:chatd:meet:0';
const STANZAS = 'urn:ietf:params:xml:ns:xmpp-stanzas';
const OWNER = 'http://jabber.org/protocol/muc#owner';
const LINK = /https?:\/\/[^\s<>"'“”]+\/meet\/[^\s<>"'“”]+/g;
const ID = /^(?:[a-z0-9]+-)+[a-z2-7]{20}$/;
const NONE_HERE = ['service-unavailable', 'item-not-found', 'not-allowed']; // meetings are switched off, or this is no account of theirs
const TICKET_LEFT_MS = 60 * 60 * 1000;

/** A refusal, with the sentence that people read. */
export class Refusal extends Error {
    constructor(condition) {
        super(WORDS.failed[condition] ?? WORDS.failed.other);
        this.condition = condition;
    }
}

/** The key of a meeting that is encrypted from end to end: section 14. */
function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

const flag = (element, name) => element.getAttribute(name) === 'true';

/** The meetings of whoever is logged in. Fires `change` when what it may and has is known, or other than before. */
export class MeetingService extends EventTarget {
    mayCreate = false;
    hasMedia = false;
    #converse;
    #inner;
    #hosts = new Set([location.host]);
    #ticket = null; // {text, expires}

    constructor(converse, _converse) {
        super();
        this.#converse = converse;
        this.#inner = _converse;
        const look = () => this.list().catch(() => {});
        _converse.api.listen.on('connected', look);
        _converse.api.listen.on('reconnected', look);
    }

    get #domain() { return `meet.${this.#inner.session.get('domain')}`; }

    /** An iq; `fill` puts the children into the builder. Resolves to the answer's first element, rejects with Refusal. */
    async #ask(type, to, fill) {
        const { $iq } = this.#converse.env;
        const { api } = this.#inner;
        if (!api.connection.connected()) throw new Refusal('offline');
        try {
            const answer = await api.sendIQ(fill($iq({ type, to })));
            return answer.firstElementChild;
        } catch (error) {
            const conditions = error?.querySelectorAll ? [...error.querySelectorAll('error > *')] : [];
            const found = conditions.find((one) => one.namespaceURI === STANZAS && one.localName !== 'text');
            const isNone = ['remote-server-not-found', 'feature-not-implemented'].includes(found?.localName);
            throw new Refusal(isNone ? 'service-unavailable' : (found?.localName ?? 'offline'));
        }
    }

    /** Everything that this account is owner or admin of: {meetings, isComplete}. */
    async list() {
        const found = await this.#ask('get', this.#domain, (iq) => iq.c('meetings', { xmlns: MEET })).catch((error) => {
            if (NONE_HERE.includes(error.condition)) this.#is(false, false);
            throw error;
        });
        const links = found.getAttribute('links');
        if (links) this.#hosts.add(new URL(links).host);
        this.#is(flag(found, 'create'), flag(found, 'media'));
        const meetings = [...found.children].map((one) => ({
            id: one.getAttribute('id'), room: one.getAttribute('room'), link: one.getAttribute('link'), name: one.getAttribute('name') ?? '',
            count: Number(one.getAttribute('occupants')), people: [...one.children].map((person) => person.getAttribute('nick')),
            used: one.getAttribute('used'), expires: one.getAttribute('expires'), recordings: Number(one.getAttribute('recordings') ?? 0),
            isSecret: flag(one, 'e2ee'), isOwner: one.getAttribute('affiliation') === 'owner',
        }));
        return { meetings, isComplete: flag(found, 'complete') };
    }

    #is(mayCreate, hasMedia) {
        if (this.mayCreate === mayCreate && this.hasMedia === hasMedia) return;
        Object.assign(this, { mayCreate, hasMedia });
        this.dispatchEvent(new Event('change'));
    }

    /** Makes a meeting: {id, name, link, fragment}. The key of an encrypted one is made here and never sent to the server. */
    async create({ name, password, lobby, e2ee }) {
        const made = await this.#ask('set', this.#domain, (iq) => {
            iq.c('create', { xmlns: MEET, name, lobby: String(lobby), e2ee: String(e2ee) });
            return password ? iq.c('password').t(password) : iq;
        });
        const fragment = e2ee ? `key=${newKey()}` : '';
        const link = made.getAttribute('link') + (fragment && `#${fragment}`);
        return { id: made.getAttribute('id'), name: made.getAttribute('name') ?? '', link, fragment };
    }

    /** A ticket with which the meeting page signs in as this account. Good for hours, so it is asked for now and then. */
    async ticket() {
        if (!this.#ticket || Date.parse(this.#ticket.expires) - Date.now() < TICKET_LEFT_MS) {
            const found = await this.#ask('get', this.#domain, (iq) => iq.c('ticket', { xmlns: MEET }));
            this.#ticket = { text: found.textContent, expires: found.getAttribute('expires') };
        }
        return this.#ticket.text;
    }

    /** Puts everybody out. */
    end(room) { return this.#ask('set', room, (iq) => iq.c('end', { xmlns: MEET })); }

    /** Deletes a meeting for good. */
    remove(room) { return this.#ask('set', room, (iq) => iq.c('query', { xmlns: OWNER }).c('destroy')); }

    /** The recordings of a meeting, newest first, with addresses that open them for an hour. */
    async recordings(room) {
        const found = await this.#ask('get', room, (iq) => iq.c('recordings', { xmlns: MEET }));
        return [...(found?.children ?? [])].map((one) => ({
            id: one.getAttribute('id'), state: one.getAttribute('state'), seconds: Number(one.getAttribute('seconds') ?? 0),
            bytes: Number(one.getAttribute('bytes') ?? 0), since: one.getAttribute('since'), expires: one.getAttribute('expires'),
            progress: one.getAttribute('progress'), problem: one.getAttribute('problem'), condition: one.getAttribute('condition'), type: one.getAttribute('type') ?? '',
            url: this.#here(one.getAttribute('url')),
        })).reverse();
    }

    /** Deletes a recording. */
    forget(room, id) { return this.#ask('set', room, (iq) => iq.c('forget', { xmlns: MEET, id })); }

    /** An address of this server, under the name by which this page was opened: its policy allows no other. */
    #here(address) {
        if (!address) return '';
        const { pathname, search } = new URL(address);
        return location.origin + pathname + search;
    }

    /** The meeting that a link of this server leads to, {id, fragment}; null for any other address. */
    of(address) {
        const url = URL.canParse(address) ? new URL(address) : null;
        if (!url || !this.#hosts.has(url.host)) return null;
        const id = url.pathname.match(/^\/meet\/([^/]+)\/?$/)?.[1] ?? '';
        return ID.test(id) ? { id, fragment: url.hash.slice(1) } : null;
    }

    /** The meetings of this server that a text has links to, each once: [{id, fragment}]. */
    in(text) {
        const found = [...(text ?? '').matchAll(LINK)].map(([address]) => this.of(address.replace(/[.,;:!?)]+$/, '')));
        return [...new Map(found.filter(Boolean).map((one) => [one.id, one])).values()];
    }

    /** What anybody with the link may know: the JSON of section 3; null where there is no such meeting. */
    async look(id) {
        const answer = await fetch(`/api/v1/meetings/${encodeURIComponent(id)}`, { cache: 'no-store' });
        if (answer.status === 404) return null;
        if (!answer.ok) throw new Refusal('other');
        return answer.json();
    }
}
