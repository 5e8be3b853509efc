// The room's messages: docs/protocol.md section 12.
const MESSAGES_MOST = 1_000;
const HISTORY_MS = 1_000;

export class Messages {
    isOpen = false;
    last = ''; // when the last message was said
    #store;
    #visit;
    #seen = new Set();
    #unsent = [];

    constructor(store, visit) {
        this.#store = store;
        this.#visit = visit;
    }

    /** A message of the room with a text. */
    take(message, nick, body) {
        const { find, NS } = this.#visit.lib;
        const id = find(message, 'stanza-id', NS.SID)?.getAttribute('id') ?? message.getAttribute('id');
        this.#unsent = this.#unsent.filter((one) => one.getAttribute('id') !== message.getAttribute('id'));
        if (this.#seen.has(id)) return;
        this.#seen.add(id);
        const delay = find(message, 'delay', NS.DELAY);
        this.last = delay?.getAttribute('stamp') ?? new Date().toISOString();
        const { state } = this.#store;
        const isMine = nick === state.nick;
        const isNew = !this.isOpen && !isMine && !delay;
        const messages = [...state.messages, { id, nick, body, at: this.last, isMine }].slice(-MESSAGES_MOST);
        this.#store.set({ messages, unread: state.unread + (isNew ? 1 : 0) });
    }

    /** What a cut kept from being delivered. */
    keep(unsent) { this.#unsent.push(...unsent); }

    /** We are in the room again. The history comes first, and may already have what was not delivered. */
    resend() {
        if (this.#unsent.length) setTimeout(() => this.#unsent.splice(0).forEach((one) => this.#visit.send(one)), HISTORY_MS);
    }

    /** Writes to everybody. */
    say(body) {
        const { make } = this.#visit.lib;
        const id = crypto.randomUUID?.() ?? String(Math.random());
        this.#visit.send(make('message', 'jabber:client', { to: this.#visit.room, type: 'groupchat', id },
            make('body', 'jabber:client', {}, body)));
    }

    read(isOpen) {
        this.isOpen = isOpen;
        if (isOpen && this.#store.state.unread) this.#store.set({ unread: 0 });
    }
}
