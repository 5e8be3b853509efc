// One meeting as this page sees it: docs/protocol.md on one side, one object `state` for the views on the other.
const TOKEN = 'chatd-guest-token';
const MESSAGES_MOST = 1_000;
const AGAIN_MS = [500, 1_500, 3_000, 6_000, 10_000];

const EMPTY = {
    phase: 'loading', // problem, prejoin, joining, waiting, in, left
    problem: '', // a key of the language files
    info: null, isPasswordWrong: false, nick: '', occupants: [], meeting: null, waiting: [], messages: [], unread: 0,
    link: 'up', media: 'connecting', people: [], isSilenced: false, notice: null,
};

export class Meeting {
    state = EMPTY;
    #listeners = new Set();
    #id;
    #ticket;
    #link = null;
    #lib = null; // link.js and call.js on their way, loaded while the person types
    #made = null; // and when they are there
    #call = null;
    #name = '';
    #password = '';
    #tries = 0;
    #tracks = { microphone: null, camera: null };
    #occupants = new Map();
    #entering = null;
    #mediaTimer = 0;
    #mediaTries = 0;
    #seen = new Set();
    #last = '';
    #unsent = [];
    #chosen = {};
    isChatOpen = false;

    constructor(id, ticket) {
        this.#id = id;
        this.#ticket = ticket;
        addEventListener('pagehide', () => this.#leaveRoom());
    }

    subscribe = (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    };

    snapshot = () => this.state;

    #set(values) {
        this.state = { ...this.state, ...values };
        for (const listener of this.#listeners) listener();
    }

    #say(key, values = {}, kind = 'info') { this.#set({ notice: { key, values, kind, at: Date.now() } }); }

    hush = () => this.#set({ notice: null });

    // ---- before joining

    /** Finds out what the meeting is. */
    async look() {
        try {
            const answer = await fetch(`/api/v1/meetings/${encodeURIComponent(this.#id)}`, { cache: 'no-store' });
            if (answer.status === 404) return this.#set({ phase: 'problem', problem: 'gone' });
            if (!answer.ok) throw new Error(String(answer.status));
            const info = await answer.json();
            if (info.e2ee) return this.#set({ phase: 'problem', problem: 'encrypted', info });
            if (!info.guests && !this.#ticket) return this.#set({ phase: 'problem', problem: 'noGuests', info });
            this.#set({ phase: 'prejoin', info, problem: '' });
            this.#load();
        } catch {
            this.#set({ phase: 'problem', problem: 'unreachable' });
        }
    }

    #load() {
        this.#lib ??= Promise.all([import('./link.js'), import('./call.js')]).then(([link, call]) => ({ ...link, ...call }));
        this.#lib.catch(() => { this.#lib = null; });
        return this.#lib;
    }

    /** Joins: tracks are those of the preview, chosen the ids of devices by kind. */
    async join(name, password, tracks, chosen) {
        this.#tracks = tracks;
        this.#chosen = chosen;
        this.#name = name;
        this.#password = password;
        this.#tries = 0;
        this.#set({ phase: 'joining', problem: '', isPasswordWrong: false });
        try {
            if (!this.#link) await this.#signIn();
            await this.#enter();
        } catch (error) {
            this.#refused(error);
        }
    }

    async #signIn() {
        this.#made = await this.#load();
        const { Link } = this.#made;
        const { info } = this.state;
        const address = new URL(info.websocket, location.href).href.replace(/^http/, 'ws');
        const kept = sessionStorage.getItem(TOKEN) ?? '';
        const start = async (given) => {
            const link = new Link(address, info.guest_domain, given, {
                stanza: (one) => this.#stanza(one),
                state: (state) => this.#lineIs(state),
                renewed: (unsent) => this.#renewed(unsent),
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
            const found = await this.#link.ask('get', info.guest_domain, this.#make('guest'));
            sessionStorage.setItem(TOKEN, found.getAttribute('token'));
            this.#link.given = found.getAttribute('token');
        }
    }

    #make(name, attributes = {}, ...children) {
        return this.#made.make(name, this.#made.NS.MEET, attributes, ...children);
    }

    async #enter() {
        const { make, NS } = this.#made;
        const history = this.#last ? { since: this.#last } : { maxstanzas: '50' };
        const x = make('x', NS.MUC, {}, make('history', NS.MUC, history));
        if (this.#password) x.append(make('password', NS.MUC, {}, this.#password));
        const nick = this.#tries ? `${this.#name} (${this.#tries + 1})` : this.#name;
        this.#occupants.clear();
        await new Promise((resolve, reject) => {
            this.#entering = { resolve, reject };
            this.#link.send(make('presence', 'jabber:client', { to: `${this.#room}/${nick}` }, x));
        }).finally(() => { this.#entering = null; });
    }

    get #room() { return this.state.info.room; }

    #refused(error) {
        if (!error.condition && error.message !== 'unreachable') console.error(error);
        const { condition, inner = [] } = error;
        if (condition === 'conflict' && this.#tries < 20) {
            this.#tries += 1;
            this.#enter().catch((again) => this.#refused(again));
        } else if (condition === 'not-authorized' && this.#link) {
            this.#set({ phase: 'prejoin', info: { ...this.state.info, password: true }, isPasswordWrong: Boolean(this.#password) });
        } else if (condition === 'registration-required') this.#knock();
        else {
            const reasons = {
                'item-not-found': 'gone', 'forbidden': 'removed', 'not-acceptable': 'nameTooLong', 'service-unavailable': 'full',
                'resource-constraint': 'tooMany', 'temporary-auth-failure': 'tooMany', 'not-authorized': 'ticket',
            };
            const problem = inner.includes('locked') ? 'locked' : (reasons[condition] ?? 'unreachable');
            const isFinal = ['gone', 'removed'].includes(problem);
            this.#set({ phase: isFinal ? 'problem' : 'prejoin', problem });
            if (isFinal) this.#end();
        }
    }

    // ---- the lobby, as somebody who waits

    async #knock() {
        const { make, NS } = this.#made;
        const field = (name, value) => make('field', NS.DATA, { var: name }, make('value', NS.DATA, {}, value));
        const form = make('x', NS.DATA, { type: 'submit' },
            field('FORM_TYPE', 'http://jabber.org/protocol/muc#register'), field('muc#register_roomnick', this.#name));
        try {
            await this.#link.ask('set', this.#room, make('query', NS.REGISTER, {}, form));
            this.#set({ phase: 'waiting', problem: '' });
        } catch (error) {
            if (error.condition === 'not-allowed') this.#enter().catch((again) => this.#refused(again));
            else if (error.condition === 'resource-constraint') this.#set({ phase: 'prejoin', problem: 'knockLater' });
            else if (error.condition === 'conflict') this.#set({ phase: 'prejoin', problem: 'nameTaken' });
            else this.#refused(error);
        }
    }

    /** Stops waiting. */
    async stopWaiting() {
        const { make, NS } = this.#made;
        this.#set({ phase: 'prejoin', problem: '' });
        await this.#link.ask('set', this.#room, make('query', NS.REGISTER, {}, make('remove', NS.REGISTER))).catch(() => {});
    }

    #knockAnswered(outcome) {
        if (this.state.phase !== 'waiting') return;
        if (outcome === 'admitted') {
            this.#set({ phase: 'joining' });
            this.#enter().catch((error) => this.#refused(error));
        } else this.#set({ phase: 'prejoin', problem: outcome === 'ended' ? 'endedWaiting' : 'notAdmitted' });
    }

    // ---- what the room says

    #stanza(stanza) {
        const [room, ...nick] = (stanza.getAttribute('from') ?? '').split('/');
        if (room !== this.#room) return;
        if (stanza.localName === 'presence') this.#presence(stanza, nick.join('/'));
        else this.#message(stanza, nick.join('/'));
    }

    #presence(presence, nick) {
        const { find, refusal, NS } = this.#made;
        const type = presence.getAttribute('type');
        if (type === 'error') { this.#entering?.reject(refusal(presence)); return; }
        const x = find(presence, 'x', NS.USER);
        if (!x) return;
        const codes = [...x.children].filter((one) => one.localName === 'status').map((one) => one.getAttribute('code'));
        const isSelf = codes.includes('110');
        if (type === 'unavailable') {
            if (codes.includes('303')) return; // a new name: the presence under it follows
            this.#occupants.delete(nick);
            this.#showOccupants();
            if (isSelf) this.#out(x, codes);
            return;
        }
        const item = find(x, 'item');
        const more = find(presence, 'participant', NS.MEET);
        const before = this.#occupants.get(nick);
        const role = item?.getAttribute('role') ?? 'participant';
        this.#occupants.set(nick, {
            nick, isSelf, role, isModerator: role === 'moderator', isOwner: item?.getAttribute('affiliation') === 'owner',
            isGuest: more?.getAttribute('guest') === 'true', hand: more?.getAttribute('hand') ?? '',
            may: (more?.getAttribute('may') ?? '').split(' ').filter(Boolean),
            media: (more?.getAttribute('media') ?? '').split(' ').filter(Boolean),
        });
        if (isSelf) {
            this.#set({ nick });
            if (this.#entering) { this.#entering.resolve(); this.#inside(); }
            else if (before && before.isModerator !== (role === 'moderator')) {
                this.#say(role === 'moderator' ? 'nowModerator' : 'noModerator');
                if (role !== 'moderator') this.#set({ waiting: [] });
            }
        }
        this.#showOccupants();
    }

    #showOccupants() { this.#set({ occupants: [...this.#occupants.values()] }); }

    #message(message, nick) {
        const { find, NS } = this.#made;
        const knock = find(message, 'knock', NS.MEET);
        if (knock) { this.#knockAnswered(knock.getAttribute('outcome')); return; }
        if (message.getAttribute('type') === 'error') {
            if (find(find(message, 'error') ?? message, 'denied', NS.MEET)) this.#say('chatForbidden', {}, 'bad');
            return;
        }
        if (message.getAttribute('type') !== 'groupchat') return;
        const meeting = find(message, 'meeting', NS.MEET);
        if (meeting && !nick) this.#meetingIs(meeting);
        const waiting = find(message, 'waiting', NS.MEET);
        if (waiting && !nick) this.#waitingAre(waiting);
        const body = find(message, 'body')?.textContent;
        if (body) this.#chat(message, nick, body);
    }

    #meetingIs(element) {
        const meeting = Object.fromEntries([...element.attributes].map((one) => [one.name, one.value]));
        const before = this.state.meeting?.recording;
        if (before !== undefined && before !== meeting.recording) {
            if (meeting.recording === 'on') { this.#say('recordingOn', {}, 'bad'); this.#speak('recordingOn'); }
            if (meeting.recording === 'off' && before !== 'off') this.#say('recordingOff');
        }
        this.#set({ meeting: { ...meeting, passwordText: this.#made.find(element, 'password')?.textContent ?? '' } });
    }

    /** Everybody has to hear that a recording runs; the views know the language. */
    #speak(key) { this.onSound?.(key); }

    #waitingAre(element) {
        const waiting = [...element.children].map((one) => ({
            jid: one.getAttribute('jid'), nick: one.getAttribute('nick'), isGuest: one.getAttribute('guest') === 'true',
        }));
        if (waiting.length > this.state.waiting.length) this.#speak('knock');
        this.#set({ waiting });
    }

    #chat(message, nick, body) {
        const { find, NS } = this.#made;
        const id = find(message, 'stanza-id', NS.SID)?.getAttribute('id') ?? message.getAttribute('id');
        this.#unsent = this.#unsent.filter((one) => one.getAttribute('id') !== message.getAttribute('id'));
        if (this.#seen.has(id)) return;
        this.#seen.add(id);
        const at = find(message, 'delay', NS.DELAY)?.getAttribute('stamp') ?? new Date().toISOString();
        this.#last = at;
        const isMine = nick === this.state.nick;
        const isNew = !this.isChatOpen && !isMine && !find(message, 'delay', NS.DELAY);
        const messages = [...this.state.messages, { id, nick, body, at, isMine }].slice(-MESSAGES_MOST);
        this.#set({ messages, unread: this.state.unread + (isNew ? 1 : 0) });
    }

    // ---- inside

    #inside() {
        this.#set({ phase: 'in', problem: '', media: 'connecting', link: 'up' });
        const unsent = this.#unsent.splice(0);
        // The history comes first and may already have them.
        if (unsent.length) {
            this.#unsent = unsent;
            setTimeout(() => this.#unsent.splice(0).forEach((one) => this.#link.send(one)), 1_000);
        }
        this.#mediaTries = 0;
        this.#startMedia();
    }

    async #startMedia() {
        clearTimeout(this.#mediaTimer);
        const { Call } = this.#made;
        const before = this.#call;
        this.#call = null;
        const hadOn = before ? this.mine : null;
        await before?.leave().catch(() => {});
        if (this.state.phase !== 'in') return;
        const call = new Call({
            changed: () => { if (this.#call === call) this.#showPeople(); },
            state: (media) => { if (this.#call === call) this.#set({ media }); },
            lost: () => { if (this.#call === call) this.#mediaLost(); },
        });
        this.#call = call;
        try {
            const found = await this.#link.ask('get', this.#room, this.#make('media'));
            await call.connect(this.#near(found.getAttribute('url')), found.textContent);
            this.#mediaTries = 0;
            const tracks = this.#tracks;
            this.#tracks = { microphone: null, camera: null };
            await call.publish(tracks, (what) => this.may(what));
            for (const source of ['microphone', 'camera']) {
                if (hadOn?.[source] && this.may(source)) await call.set(source, true, this.#chosen[source]).catch(() => {});
            }
        } catch (error) {
            if (this.#call === call) this.#mediaLost(error);
        }
        this.#showPeople();
    }

    /** The media server's address; where it is this server, by the name that this page was opened with. */
    #near(url) {
        const isHere = new URL(url).host === new URL(this.state.info.link).host;
        return isHere ? location.origin.replace(/^http/, 'ws') : url;
    }

    #mediaLost() {
        if (this.state.phase !== 'in') return;
        this.#set({ media: this.#mediaTries > 4 ? 'failed' : 'reconnecting' });
        // If this was because we are no longer in the room, the room says so in the same moment.
        clearTimeout(this.#mediaTimer);
        const pause = AGAIN_MS[Math.min(this.#mediaTries++, AGAIN_MS.length - 1)];
        this.#mediaTimer = setTimeout(() => {
            if (this.state.phase === 'in' && this.state.link === 'up') this.#startMedia();
        }, pause);
    }

    #showPeople() {
        if (!this.#call) return;
        this.#set({ people: this.#call.people(), isSilenced: this.#call.isSilenced });
    }

    #out(x, codes) {
        const { find, NS } = this.#made;
        if (this.state.phase !== 'in') return;
        if (find(x, 'ended', NS.MEET)) this.#left('ended');
        else if (find(x, 'destroy')) this.#left('gone');
        else if (codes.includes('301')) this.#left('removed');
        else if (codes.includes('321') || codes.includes('322')) this.#left('kicked');
        else if (codes.includes('307') && !codes.includes('333')) this.#left('kicked');
        else if (!codes.includes('332')) this.#again();
    }

    async #again() {
        this.#tries = 0;
        for (let pause = 0; this.state.phase === 'in' && this.#link; pause += 1) {
            try {
                await this.#enter();
                return;
            } catch (error) {
                if (error.condition === 'conflict') this.#tries += 1;
                else if (error.condition) { this.#refused(error); return; }
                if (pause > 30) { this.#left('unreachable'); return; }
            }
            await new Promise((resolve) => setTimeout(resolve, 300));
        }
    }

    #lineIs(state) {
        const before = this.state.link;
        this.#set({ link: state });
        if (state === 'up' && before === 'down') {
            if (this.state.phase === 'in') {
                this.#say('backAgain', {}, 'good');
                if (['failed', 'reconnecting'].includes(this.state.media)) { this.#mediaTries = 0; this.#mediaLost(); }
            }
        }
    }

    #renewed(unsent) {
        const parsed = unsent.map((one) => new DOMParser().parseFromString(one, 'text/xml').documentElement);
        for (const one of parsed) one.removeAttribute('from');
        this.#unsent.push(...parsed);
        if (this.state.phase === 'in') this.#again();
        else if (this.state.phase === 'waiting') this.#knock();
        else this.#entering?.reject(new Error('unreachable'));
    }

    #leaveRoom() {
        if (!this.#link || this.state.phase === 'left') return;
        const { make } = this.#made ?? {};
        if (make && this.state.phase === 'in') {
            this.#link.send(make('presence', 'jabber:client', { to: `${this.#room}/${this.state.nick}`, type: 'unavailable' }));
        }
        this.#link.close();
        this.#link = null;
    }

    #end() {
        clearTimeout(this.#mediaTimer);
        this.#call?.leave().catch(() => {});
        this.#call = null;
        for (const track of Object.values(this.#tracks)) track?.stop();
        this.#link?.close();
        this.#link = null;
        this.#occupants.clear();
    }

    #left(problem) {
        this.#set({ phase: 'left', problem, people: [], waiting: [] });
        this.#end();
    }

    // ---- what the person does

    /** Leaves the meeting. */
    leave() {
        this.#leaveRoom();
        this.#left('');
    }

    /** Whether one may come back from where one was put. */
    get mayRejoin() { return !['removed', 'gone'].includes(this.state.problem); }

    /** Back to the door. */
    rejoin() {
        this.state = { ...EMPTY, messages: this.state.messages };
        this.#set({});
        this.look();
    }

    get hasTicket() { return Boolean(this.#ticket); }

    get self() { return this.#occupants.get(this.state.nick); }

    /** Whether this person may use a microphone, camera, screen or chat. */
    may(what) { return Boolean(this.self && (this.self.isModerator || this.self.may.includes(what))); }

    /** What this person has on: {microphone, camera, screen}. */
    get mine() {
        const local = this.state.people.find((one) => one.isLocal);
        return { microphone: Boolean(local?.hasSound), camera: Boolean(local?.camera), screen: Boolean(local?.screen) };
    }

    /** Switches microphone, camera or screen on or off. */
    async set(source, isOn) {
        try {
            await this.#call?.set(source, isOn, this.#chosen[source]);
        } catch (error) {
            if (source === 'screen') { if (error.name !== 'NotAllowedError') this.#say('screenBroken', {}, 'bad'); }
            else this.#say((await import('./devices.js')).reasonOf(error, source), {}, 'bad');
        }
        this.#showPeople();
    }

    /** Takes another device from now on. */
    async choose(kind, deviceId) {
        this.#chosen = { ...this.#chosen, [kind]: deviceId };
        await this.#call?.choose(kind, deviceId).catch(() => this.#say('deviceBroken', {}, 'bad'));
    }

    startAudio() { this.#call?.startAudio().then(() => this.#showPeople(), () => {}); }

    /** Writes to everybody. */
    say(body) {
        const { make } = this.#made;
        const id = crypto.randomUUID?.() ?? String(Math.random());
        const message = make('message', 'jabber:client', { to: this.#room, type: 'groupchat', id }, make('body', 'jabber:client', {}, body));
        this.#link.send(message);
    }

    readChat(isOpen) {
        this.isChatOpen = isOpen;
        if (isOpen && this.state.unread) this.#set({ unread: 0 });
    }

    /** An element of ours to the room: what moderators do, and one's own hand (sections 9 and 10). */
    async command(name, attributes = {}, ...children) {
        try {
            await this.#link.ask('set', this.#room, this.#make(name, attributes, ...children));
            return true;
        } catch (error) {
            this.#say(error.condition === 'forbidden' ? 'notModerator' : 'notDone', {}, 'bad');
            return false;
        }
    }
}
