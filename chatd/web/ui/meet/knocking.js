// The lobby, on both sides of the door: docs/protocol.md section 6.

export class Knocking {
    #store;
    #visit;
    #speak;

    /** speak(key): a sound. */
    constructor(store, visit, speak) {
        this.#store = store;
        this.#visit = visit;
        this.#speak = speak;
    }

    #register(child) {
        const { make, NS } = this.#visit.lib;
        return this.#visit.ask('set', make('query', NS.REGISTER, {}, child));
    }

    /** Asks to be let in. */
    async knock() {
        const { make, NS } = this.#visit.lib;
        const field = (name, value) => make('field', NS.DATA, { var: name }, make('value', NS.DATA, {}, value));
        try {
            await this.#register(make('x', NS.DATA, { type: 'submit' },
                field('FORM_TYPE', 'http://jabber.org/protocol/muc#register'), field('muc#register_roomnick', this.#visit.name)));
            this.#store.set({ phase: 'waiting', problem: '' });
        } catch (error) {
            if (error.condition === 'not-allowed') this.#visit.enterNow();
            else if (error.condition === 'resource-constraint') this.#store.set({ phase: 'prejoin', problem: 'knockLater' });
            else if (error.condition === 'conflict') this.#store.set({ phase: 'prejoin', problem: 'nameTaken' });
            else this.#visit.refused(error);
        }
    }

    /** Stops waiting. */
    async stop() {
        const { make, NS } = this.#visit.lib;
        this.#store.set({ phase: 'prejoin', problem: '' });
        await this.#register(make('remove', NS.REGISTER)).catch(() => {});
    }

    /** A moderator has answered: admitted, refused, or ended. */
    answered(outcome) {
        if (this.#store.state.phase !== 'waiting') return;
        if (outcome === 'admitted') {
            this.#store.set({ phase: 'joining' });
            this.#visit.enterNow();
        } else if (outcome === 'refused') this.#store.set({ phase: 'refused', refusedAt: Date.now() });
        else this.#store.set({ phase: 'prejoin', problem: 'endedWaiting' });
    }

    /** Who waits, for moderators. */
    waitingAre(element) {
        const waiting = [...element.children].map((one) => ({
            jid: one.getAttribute('jid'), nick: one.getAttribute('nick'), isGuest: one.getAttribute('guest') === 'true', since: one.getAttribute('since'),
        }));
        const known = new Set(this.#store.state.waiting.map((one) => one.jid));
        if (waiting.some((one) => !known.has(one.jid))) this.#speak('knock');
        this.#store.set({ waiting });
    }
}
