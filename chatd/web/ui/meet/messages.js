// The room's messages, put in order and kept up to date: docs/protocol.md section 12. Corrections (XEP-0308), what was taken
// back by its author or a moderator (XEP-0424, XEP-0425), and the archive (XEP-0313) for what came before and during a cut.
const MESSAGES_MOST = 2_000;
const PAGE = 50;

/** Ids of the archive are numbers that grow; they have more digits than a JavaScript number. */
const isBefore = (a, b) => (a.length === b.length ? a < b : a.length < b.length);

export class Messages {
    isOpen = false;
    #store;
    #visit;
    #self;
    #all = []; // in order; the ones not yet confirmed are last
    #last = ''; // the archive's id of the newest
    #isComplete = false; // there is nothing before the first
    #isCatchingUp = false;
    #gone = new Map(); // who took back what has not come yet, by the archive's id
    #pages = 0;

    /** self(): one's own occupant. */
    constructor(store, visit, self) {
        this.#store = store;
        this.#visit = visit;
        this.#self = self;
    }

    /** The archive's id of the newest message; with one, what is missing is asked for and no history is needed. */
    get last() { return this.#last; }

    // ---- what the room says

    /** A message of the room that has to do with the chat; the archive's comes with its id and time. */
    take(message, nick, archived = null) {
        const { find, NS } = this.#visit.lib;
        const id = archived?.id ?? find(message, 'stanza-id', NS.SID)?.getAttribute('id') ?? '';
        const delay = archived?.at ?? find(message, 'delay', NS.DELAY)?.getAttribute('stamp');
        const mark = find(message, 'occupant-id', NS.OCCUPANT)?.getAttribute('id') ?? '';
        if (id && (!this.#last || isBefore(this.#last, id))) this.#last = id;
        const retract = find(message, 'retract', NS.RETRACT);
        if (retract) this.#takeBack(retract.getAttribute('id'), mark, !nick && find(retract, 'moderated', NS.MODERATE) ? 'moderator' : 'author');
        const tombstone = find(message, 'retracted', NS.RETRACT);
        const body = find(message, 'body')?.textContent ?? '';
        if (retract || (!body && !tombstone)) return this.#show();
        const self = this.#self();
        const entry = {
            id, mark, nick, body, at: delay ?? new Date().toISOString(), origin: message.getAttribute('id') ?? '',
            isMine: Boolean(self) && (mark ? mark === self.mark : nick === self.nick), isEdited: false, status: '', recorded: null,
            gone: tombstone ? (find(tombstone, 'moderated', NS.MODERATE) ? 'moderator' : 'author') : '', replaces: '',
        };
        const recorded = nick ? null : find(message, 'recorded', NS.MEET);
        if (recorded) entry.recorded = Object.fromEntries([...recorded.attributes].map((one) => [one.name, one.value]));
        const replaces = find(message, 'replace', NS.CORRECT)?.getAttribute('id');
        if (replaces && this.#correct(entry, replaces)) return this.#show();
        if (!this.#put(entry)) return undefined;
        const isNew = !this.isOpen && !entry.isMine && !entry.gone && (!delay || this.#isCatchingUp);
        return this.#show(isNew ? 1 : 0);
    }

    #put(entry) {
        const sent = entry.isMine && this.#all.find((one) => one.status && one.origin === entry.origin);
        if (sent) this.#all.splice(this.#all.indexOf(sent), 1);
        if (entry.id && this.#all.some((one) => one.id === entry.id)) return false;
        const back = this.#gone.get(entry.id);
        if (back && (back.by === 'moderator' || back.mark === entry.mark)) Object.assign(entry, { gone: back.by, body: '' });
        const later = this.#all.find((one) => one.replaces && one.replaces === entry.origin && one.mark === entry.mark);
        if (later) { // its correction was there first: it stood for itself until now
            Object.assign(entry, { body: later.body, isEdited: true });
            this.#all.splice(this.#all.indexOf(later), 1);
        }
        let at = this.#all.length;
        while (at > 0 && (this.#all[at - 1].status || (entry.id && isBefore(entry.id, this.#all[at - 1].id)))) at -= 1;
        this.#all.splice(at, 0, { ...entry, key: entry.id || entry.origin || `${entry.nick} ${entry.at}` });
        if (this.#all.length > MESSAGES_MOST) { this.#all.shift(); this.#isComplete = false; }
        return true;
    }

    #change(old, values) { this.#all[this.#all.indexOf(old)] = { ...old, ...values }; }

    /** Only its author corrects a message. */
    #correct(entry, replaces) {
        const found = this.#all.find((one) => one.origin === replaces && one.mark === entry.mark && one.nick === entry.nick && !one.status);
        if (found && !found.gone) this.#change(found, { body: entry.body, isEdited: true });
        if (!found) entry.replaces = replaces;
        return Boolean(found);
    }

    /** What the room says is checked by the room; what an occupant says is good for his own messages. */
    #takeBack(id, mark, by) {
        const found = this.#all.find((one) => one.id === id);
        if (!found) this.#gone.set(id, { mark, by });
        else if (by === 'moderator' || found.mark === mark) this.#change(found, { gone: by, body: '', recorded: null });
    }

    #show(more = 0) {
        this.#store.set({
            messages: [...this.#all], unread: this.#store.state.unread + more,
            hasEarlier: !this.#isComplete && this.#all.length >= PAGE,
        });
    }

    /** A message of ours was refused. */
    refused(id, isForbidden) {
        const found = this.#all.find((one) => one.status && one.origin === id);
        if (!found) return;
        this.#change(found, { status: isForbidden ? 'forbidden' : 'failed' });
        this.#show();
    }

    // ---- the archive

    /** One page: 'before' or 'after' an id. Returns whether there is nothing more on that side. */
    async #page(side, id) {
        const { make, NS } = this.#visit.lib;
        const set = make('set', NS.RSM, {}, make('max', NS.RSM, {}, String(PAGE)), make(side, NS.RSM, {}, id));
        const fin = await this.#visit.ask('set', make('query', NS.MAM, { queryid: `p${(this.#pages += 1)}` }, set));
        return fin?.getAttribute('complete') === 'true';
    }

    /** A result of the archive. */
    takeArchived(result) {
        const { find, NS } = this.#visit.lib;
        const forwarded = find(result, 'forwarded', NS.FORWARD);
        const message = forwarded && find(forwarded, 'message');
        if (!message) return;
        const nick = (message.getAttribute('from') ?? '').split('/').slice(1).join('/');
        this.take(message, nick, { id: result.getAttribute('id'), at: find(forwarded, 'delay', NS.DELAY)?.getAttribute('stamp') });
    }

    /** Fetches what was said before the first message here. */
    async loadEarlier() {
        const first = this.#all.find((one) => one.id);
        if (!first || this.#store.state.isLoadingEarlier) return;
        this.#store.set({ isLoadingEarlier: true });
        try {
            this.#isComplete = await this.#page('before', first.id);
        } catch {
            this.#store.tell('notDone', {}, 'bad');
        }
        this.#store.set({ isLoadingEarlier: false });
        this.#show();
    }

    /** We are in the room again: what was said meanwhile is fetched, then what could not be sent goes out. */
    async catchUp() {
        this.#isCatchingUp = true;
        try {
            for (let last; this.#last && last !== this.#last;) {
                last = this.#last;
                if (await this.#page('after', last)) break;
            }
        } catch { /* the line is cut again, or the archive has lost its place: what comes from now on comes */ }
        this.#isCatchingUp = false;
        for (const one of this.#all.filter((found) => found.status === 'sending')) this.#send(one);
    }

    /** The cut is healed: what was written meanwhile goes out. What was under way before is sent by stream management. */
    resumed() {
        for (const one of this.#all.filter((found) => found.status === 'sending' && !found.isHanded)) this.#send(one);
    }

    // ---- what the person says

    /** Writes to everybody. While the line is cut it waits here. */
    say(body) {
        const self = this.#self();
        const origin = crypto.randomUUID?.() ?? String(Math.random());
        const entry = {
            id: '', key: origin, origin, body, nick: self?.nick ?? '', mark: self?.mark ?? '', at: new Date().toISOString(), isMine: true,
            isEdited: false, gone: '', recorded: null, replaces: '', status: 'sending',
        };
        this.#all.push(entry);
        if (this.#visit.isSeated) this.#send(entry);
        this.#show();
    }

    #send(entry) {
        const { origin, body } = entry;
        entry.isHanded = true;
        const { make } = this.#visit.lib;
        const message = make('message', 'jabber:client', { to: this.#visit.room, type: 'groupchat', id: origin }, make('body', 'jabber:client', {}, body));
        this.#visit.send(message);
    }

    /** Sends what was refused once more. */
    again(one) {
        this.#all = this.#all.filter((found) => found.key !== one.key);
        this.say(one.body);
    }

    /** Takes a message back: one's own, or as a moderator somebody else's. Rejects where the room refuses that. */
    async remove(one) {
        const { make, NS } = this.#visit.lib;
        if (!one.id) {
            this.#all = this.#all.filter((found) => found.key !== one.key);
            return this.#show();
        }
        if (!one.isMine) return this.#visit.ask('set', make('moderate', NS.MODERATE, { id: one.id }, make('retract', NS.RETRACT)));
        const id = crypto.randomUUID?.() ?? String(Math.random());
        const fallback = make('body', 'jabber:client', {}, '/me retracted a previous message, but it is unsupported by your client.');
        return this.#visit.send(make('message', 'jabber:client', { to: this.#visit.room, type: 'groupchat', id },
            make('retract', NS.RETRACT, { id: one.id }), make('fallback', NS.FALLBACK, { for: NS.RETRACT }), fallback, make('store', NS.HINTS)));
    }

    read(isOpen) {
        this.isOpen = isOpen;
        if (isOpen && this.#store.state.unread) this.#store.set({ unread: 0 });
    }
}
