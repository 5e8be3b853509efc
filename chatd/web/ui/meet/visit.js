// Signing in and entering the room, coming back after a cut, and going: docs/protocol.md sections 4, 5 and 13.
const TOKEN = 'chatd-guest-token';
const AGAIN_MS = 300;

/** Keys of the language files for what an error means. */
const REASONS = {
    'item-not-found': 'gone', 'forbidden': 'removed', 'not-acceptable': 'nameTooLong', 'service-unavailable': 'full',
    'resource-constraint': 'tooMany', 'temporary-auth-failure': 'tooMany', 'not-authorized': 'ticket',
};

/**
 * One person's visit. `meeting` is told what happens: stanza(element), entering(), mustKnock(), lineIsBack(), left(problem),
 * end(), and asked for hasHistory(): whether it knows what was said.
 */
export class Visit {
    name = '';
    isSeated = false; // in the room, and not behind a cut
    #store;
    #meeting;
    #ticket;
    #link = null;
    #lib = null; // link.js and call.js on their way, loaded while the person types
    #made = null; // and when they are there
    #password = '';
    #tries = 0;
    #entering = null;
    #isRenewed = false;
    #signing = null;

    constructor(store, meeting, ticket) {
        this.#store = store;
        this.#meeting = meeting;
        this.#ticket = ticket;
    }

    /** What link.js and call.js have; there once somebody has signed in. */
    get lib() { return this.#made; }

    get hasTicket() { return Boolean(this.#ticket); }

    get isOpen() { return Boolean(this.#link); }

    /** With what one came in: {name, password}. */
    get entry() { return { name: this.#store.state.nick || this.name, password: this.#password }; }

    get room() { return this.#store.state.info.room; }

    load() {
        this.#lib ??= Promise.all([import('./link.js'), import('./call.js')]).then(([link, call]) => ({ ...link, ...call }));
        this.#lib.catch(() => { this.#lib = null; });
        return this.#lib;
    }

    /** An element of ours. */
    make(name, attributes = {}, ...children) {
        return this.#made.make(name, this.#made.NS.MEET, attributes, ...children);
    }

    /** An address; where it is this server's, by the name that this page was opened with. */
    near(url) {
        const found = new URL(url);
        if (found.host !== new URL(this.#store.state.info.link).host) return url;
        const isSocket = found.protocol.startsWith('ws');
        return (isSocket ? location.origin.replace(/^http/, 'ws') : location.origin) + found.pathname.replace(/^\/$/, '') + found.search;
    }

    send(stanza) { this.#link?.send(stanza); }

    /** Asks the room by iq. */
    async ask(type, child) {
        if (!this.#link) throw new Error('unreachable');
        return this.#link.ask(type, this.room, child);
    }

    /** Signs in where that is still to do, and enters. */
    async join(name, password) {
        this.name = name;
        this.#password = password;
        this.#tries = 0;
        try {
            if (!this.#link) await this.#signIn();
            await this.#enter();
        } catch (error) {
            this.refused(error);
        }
    }

    /** A trial of the way to the media server, {url, token} (docs/protocol.md 8); rejects with Refused or 'unreachable'. */
    async trial() {
        if (!this.#link) await this.#signIn();
        const found = await this.ask('get', this.make('trial'));
        return { url: found.getAttribute('url'), token: found.textContent };
    }

    /** Ends a visit that was begun for a trial only. */
    endTrial() { if (this.#store.state.phase === 'prejoin') this.close(); }

    #signIn() {
        this.#signing ??= this.#signInOnce().finally(() => { this.#signing = null; });
        return this.#signing;
    }

    async #signInOnce() {
        this.#made = await this.load();
        const { Link } = this.#made;
        const { info } = this.#store.state;
        const address = new URL(info.websocket, location.href).href.replace(/^http/, 'ws');
        const kept = sessionStorage.getItem(TOKEN) ?? '';
        const start = async (given) => {
            const link = new Link(address, info.guest_domain, given, {
                stanza: (one) => this.#meeting.stanza(one),
                state: (state) => this.#lineIs(state),
                renewed: () => this.#renewed(),
                refused: () => { sessionStorage.removeItem(TOKEN); link.given = this.#ticket ?? ''; },
            });
            await link.open();
            return link;
        };
        try {
            this.#link = await start(this.#ticket ?? kept);
        } catch (error) {
            if (error.condition !== 'not-authorized' || !(this.#ticket ?? kept)) throw error;
            if (this.#ticket && !info.guests) throw error;
            sessionStorage.removeItem(TOKEN);
            this.#ticket = undefined;
            this.#link = await start('');
        }
        if (!this.#ticket) {
            const found = await this.#link.ask('get', info.guest_domain, this.make('guest'));
            sessionStorage.setItem(TOKEN, found.getAttribute('token'));
            this.#link.given = found.getAttribute('token');
        }
    }

    async #enter() {
        const { make, NS } = this.#made;
        const x = make('x', NS.MUC, {}, make('history', NS.MUC, { maxstanzas: this.#meeting.hasHistory() ? '0' : '50' }));
        if (this.#password) x.append(make('password', NS.MUC, {}, this.#password));
        const nick = this.#tries ? `${this.name} (${this.#tries + 1})` : this.name;
        this.isSeated = false;
        this.#meeting.entering();
        await new Promise((resolve, reject) => {
            this.#entering = { resolve, reject };
            this.#link.send(make('presence', 'jabber:client', { to: `${this.room}/${nick}` }, x));
        }).finally(() => { this.#entering = null; });
    }

    /** The room's error to a presence. */
    answered(presence) { this.#entering?.reject(this.#made.refusal(presence)); }

    /** One's own presence has come: true where that ends the entering. */
    arrived() {
        if (!this.#entering) return false;
        this.#entering.resolve();
        this.isSeated = true;
        return true;
    }

    /** Enters once more, after an admission for instance. */
    enterNow() { this.#enter().catch((error) => this.refused(error)); }

    /** What becomes of a refusal. */
    refused(error) {
        if (!error.condition && error.message !== 'unreachable') console.error(error);
        const { condition, inner = [] } = error;
        if (condition === 'conflict' && this.#tries < 20) {
            this.#tries += 1;
            this.enterNow();
        } else if (condition === 'not-authorized' && this.#link) {
            const { info } = this.#store.state;
            this.#store.set({ phase: 'prejoin', info: { ...info, password: true }, isPasswordWrong: Boolean(this.#password) });
        } else if (condition === 'registration-required') this.#meeting.mustKnock();
        else {
            const problem = inner.includes('locked') ? 'locked' : (REASONS[condition] ?? 'unreachable');
            const isFinal = ['gone', 'removed'].includes(problem);
            this.#store.set({ phase: isFinal ? 'problem' : 'prejoin', problem });
            if (isFinal) this.#meeting.end();
        }
    }

    /** Into the room again, which we fell out of. */
    async again() {
        this.#tries = 0;
        for (let pause = 0; this.#store.state.phase === 'in' && this.#link; pause += 1) {
            try {
                await this.#enter();
                return;
            } catch (error) {
                if (error.condition === 'conflict') this.#tries += 1;
                else if (error.condition) { this.refused(error); return; }
                if (pause > 30) { this.#meeting.left('unreachable'); return; }
            }
            await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        }
    }

    #lineIs(state) {
        const before = this.#store.state.link;
        this.#store.set({ link: state });
        if (state === 'quiet') return;
        if (state === 'down') this.isSeated = false;
        const isResumed = !this.#isRenewed;
        this.#isRenewed = false;
        if (state !== 'up' || before === 'up' || !isResumed) return;
        this.isSeated = this.#store.state.phase === 'in';
        this.#meeting.lineIsBack();
    }

    #renewed() {
        this.#isRenewed = true;
        const { phase } = this.#store.state;
        if (phase === 'in') this.again();
        else if (phase === 'waiting') this.#meeting.mustKnock();
        else this.#entering?.reject(new Error('unreachable'));
    }

    /** Goes out of the room, and ends the visit. */
    leave() {
        if (!this.#link || this.#store.state.phase === 'left') return;
        if (this.#store.state.phase === 'in') {
            const to = `${this.room}/${this.#store.state.nick}`;
            this.#link.send(this.#made.make('presence', 'jabber:client', { to, type: 'unavailable' }));
        }
        this.close();
    }

    close() {
        this.#link?.close();
        this.#link = null;
    }
}
