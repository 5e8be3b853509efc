// One meeting as this page sees it: docs/protocol.md on one side, one object `state` for the views on the other. What it
// does is done by its parts; here is who of them hears what.
import { canEncrypt, fragmentOf, keyIn } from './key.js';
import { Knocking } from './knocking.js';
import { Media } from './media.js';
import { Messages } from './messages.js';
import { Moderation } from './moderation.js';
import { Occupants } from './occupants.js';
import { EMPTY, Store } from './store.js';
import { Visit } from './visit.js';

const WATCH_MS = 4_000;

export class Meeting {
    draft = ''; // what is written in the chat and not sent
    #id;
    #store = new Store();
    #visit;
    #knocking;
    #occupants;
    #chat;
    #media;
    #key;
    #moderation;

    constructor(id, ticket, key = '') {
        this.#id = id;
        this.#key = key;
        this.#visit = new Visit(this.#store, {
            stanza: (one) => this.#stanza(one),
            hasHistory: () => Boolean(this.#chat.last),
            entering: () => this.#occupants.clear(),
            mustKnock: () => this.#knocking.knock(),
            lineIsBack: () => this.#lineIsBack(),
            left: (problem) => this.#left(problem),
            end: () => this.#end(),
        }, ticket);
        this.#knocking = new Knocking(this.#store, this.#visit, (key) => this.#speak(key));
        this.#occupants = new Occupants(this.#store, () => this.#visit.lib);
        this.#chat = new Messages(this.#store, this.#visit, () => this.self);
        this.#moderation = new Moderation(this.#store, this.#visit, () => this.self, (key) => this.#speak(key));
        this.#media = new Media(this.#store, this.#visit, (what) => this.may(what), () => (this.isEncrypted ? this.#key : ''));
        addEventListener('pagehide', () => this.#visit.leave());
        setInterval(() => this.#watch(), WATCH_MS);
    }

    get state() { return this.#store.state; }

    get subscribe() { return this.#store.subscribe; }

    get snapshot() { return this.#store.snapshot; }

    get hush() { return this.#store.hush; }

    // ---- before joining

    /** Finds out what the meeting is. */
    async look() {
        const store = this.#store;
        try {
            const answer = await fetch(`/api/v1/meetings/${encodeURIComponent(this.#id)}`, { cache: 'no-store' });
            if (answer.status === 404) return store.set({ phase: 'problem', problem: 'gone' });
            if (!answer.ok) throw new Error(String(answer.status));
            const info = await answer.json();
            if (info.e2ee && !canEncrypt()) return store.set({ phase: 'problem', problem: 'cannotEncrypt', info });
            if (!info.e2ee && this.#key) return store.set({ phase: 'problem', problem: 'keyNotUsed', info });
            if (info.e2ee && !this.#key) return store.set({ phase: 'problem', problem: 'keyMissing', info });
            if (!info.guests && !this.hasTicket) return store.set({ phase: 'problem', problem: 'noGuests', info });
            store.set({ phase: 'prejoin', info, problem: '' });
            this.#visit.load();
        } catch {
            store.set({ phase: 'problem', problem: 'unreachable' });
        }
    }

    /** Takes the key of an encrypted meeting, as a link or by itself; false where there is none in the text. */
    useKey(text) {
        const key = keyIn(text);
        if (!key) return false;
        this.#key = key;
        history.replaceState(null, '', location.pathname + fragmentOf(key));
        if (this.state.problem === 'keyMissing') this.look();
        else this.#media.useKey();
        return true;
    }

    /** Whether sound and picture are encrypted from end to end. */
    get isEncrypted() { return Boolean(this.state.info?.e2ee); }

    /** The link to hand on, with the key that it takes. */
    get address() { return this.state.info.link + (this.isEncrypted ? fragmentOf(this.#key) : ''); }

    /** Joins: tracks are those of the preview, {microphone, camera}. */
    async join(name, password, tracks) {
        this.#media.prepare(tracks);
        this.#store.set({ phase: 'joining', problem: '', isPasswordWrong: false });
        await this.#visit.join(name, password);
    }

    get hasTicket() { return this.#visit.hasTicket; }

    /** With what one came in: {name, password}. */
    get entry() { return this.#visit.entry; }

    /** Stops waiting in the lobby; or asks once more, after a refusal. */
    stopWaiting() { return this.#knocking.stop(); }

    knockAgain() { return this.#knocking.knock(); }

    backToDoor() { this.#store.set({ phase: 'prejoin', problem: '' }); }

    /** While somebody is at the door, what newcomers are told may change: above all whether a recording runs. */
    async #watch() {
        if (!['prejoin', 'waiting', 'refused'].includes(this.state.phase)) return;
        const answer = await fetch(`/api/v1/meetings/${encodeURIComponent(this.#id)}`, { cache: 'no-store' }).catch(() => null);
        if (!['prejoin', 'waiting', 'refused'].includes(this.state.phase)) return;
        if (answer?.status === 404) this.#gone();
        else if (answer?.ok) this.#store.set({ info: await answer.json() });
    }

    #gone() {
        this.#store.set({ phase: 'problem', problem: 'gone' });
        this.#end();
    }

    // ---- what the room says

    #stanza(stanza) {
        const [room, ...nick] = (stanza.getAttribute('from') ?? '').split('/');
        if (room !== this.#visit.room) return;
        if (stanza.localName === 'presence') this.#presence(stanza, nick.join('/'));
        else this.#message(stanza, nick.join('/'));
    }

    #presence(presence, nick) {
        const { find, NS } = this.#visit.lib;
        const type = presence.getAttribute('type');
        if (type === 'error') { this.#visit.answered(presence); return; }
        const x = find(presence, 'x', NS.USER);
        if (!x) return;
        const codes = [...x.children].filter((one) => one.localName === 'status').map((one) => one.getAttribute('code'));
        const isSelf = codes.includes('110');
        if (type === 'unavailable') {
            if (codes.includes('303')) return; // a new name: the presence under it follows
            this.#occupants.remove(nick);
            if (isSelf) this.#out(x, codes);
            return;
        }
        const [before, now] = this.#occupants.take(presence, nick, isSelf);
        if (!isSelf) return;
        if (this.#visit.arrived()) this.#inside();
        else if (before && before.isModerator !== now.isModerator) {
            this.#store.tell(now.isModerator ? 'nowModerator' : 'noModerator');
            if (!now.isModerator) this.#store.set({ waiting: [] });
        } else if (before) this.#moderation.mayChanged(before, now);
    }

    #message(message, nick) {
        const { find, NS } = this.#visit.lib;
        const knock = find(message, 'knock', NS.MEET);
        if (knock) { this.#knocking.answered(knock.getAttribute('outcome')); return; }
        if (message.getAttribute('type') === 'error') {
            const isForbidden = Boolean(find(find(message, 'error') ?? message, 'denied', NS.MEET));
            if (isForbidden) this.#store.tell('chatForbidden', {}, 'bad');
            this.#chat.refused(message.getAttribute('id'), isForbidden);
            return;
        }
        const archived = nick ? null : find(message, 'result', NS.MAM);
        if (archived) { this.#chat.takeArchived(archived); return; }
        if (message.getAttribute('type') !== 'groupchat') return;
        const meeting = find(message, 'meeting', NS.MEET);
        if (meeting && !nick) this.#moderation.meetingIs(meeting);
        const waiting = find(message, 'waiting', NS.MEET);
        if (waiting && !nick) this.#knocking.waitingAre(waiting);
        const reaction = find(message, 'reaction', NS.MEET)?.textContent;
        if (reaction && nick) this.onReaction?.(nick, reaction);
        this.#chat.take(message, nick);
        const recorded = nick ? null : find(message, 'recorded', NS.MEET);
        if (!recorded) return;
        this.#moderation.watchRecordings();
        if (recorded.getAttribute('state') === 'failed' && !find(message, 'delay', NS.DELAY)) this.#moderation.recordingFailed();
    }

    /** The views know how to make a sound. */
    #speak(key) { this.onSound?.(key); }

    // ---- coming and going

    #inside() {
        if (this.state.phase === 'in') this.#store.tell('backAgain', {}, 'good');
        this.#store.set({ phase: 'in', problem: '', media: 'connecting', link: 'up' });
        this.#chat.catchUp();
        this.#media.begin();
    }

    #lineIsBack() {
        if (this.state.phase !== 'in') return;
        this.#store.tell('backAgain', {}, 'good');
        this.#chat.resumed();
        this.#media.lineIsBack();
    }

    #out(x, codes) {
        const { find, NS } = this.#visit.lib;
        if (this.state.phase !== 'in') return;
        if (find(x, 'ended', NS.MEET)) this.#left('ended');
        else if (find(x, 'destroy')) this.#left('gone');
        else if (codes.includes('301')) this.#left('removed');
        else if (codes.includes('321') || codes.includes('322')) this.#left('kicked');
        else if (codes.includes('307') && !codes.includes('333')) this.#left('kicked');
        else if (!codes.includes('332')) this.#visit.again();
    }

    #end() {
        this.#media.end();
        this.#moderation.end();
        this.#visit.close();
        this.#occupants.end();
    }

    #left(problem) {
        this.#store.set({ phase: 'left', problem, people: [], waiting: [] });
        this.#end();
    }

    /** Leaves the meeting. */
    leave() {
        this.#visit.leave();
        this.#left('');
    }

    /** Whether one may come back from where one was put. */
    get mayRejoin() { return !['removed', 'gone'].includes(this.state.problem); }

    /** Back to the door. */
    rejoin() {
        this.#store.set({ ...EMPTY, messages: this.state.messages });
        this.look();
    }

    /** A trial of the way to the media server: {url, token}. */
    async trial() {
        const { url, token } = await this.#visit.trial();
        return { url: this.#visit.near(url), token };
    }

    /** The trials are over. */
    endTrial() { this.#visit.endTrial(); }

    // ---- what the person does

    /** The name under which one wants to come in. */
    get name() { return this.#visit.name; }

    get self() { return this.#occupants.self; }

    /** Whether this person may use a microphone, camera, screen or chat. */
    may(what) { return Boolean(this.self && (this.self.isModerator || this.self.may.includes(what))); }

    /** What this person has on: {microphone, camera, screen}. */
    get mine() { return this.#media.mine; }

    /** What this person sends now: {microphone, camera}, MediaStreamTracks or null. */
    get tracks() { return this.#media.tracks; }

    /** Switches microphone, camera or screen on or off. */
    set(source, isOn) { return this.#media.set(source, isOn); }

    startAudio() { this.#media.startAudio(); }

    /** Writes to everybody. */
    say(body) { this.#chat.say(body); }

    /** Sends an emoji to everybody; it comes back like everybody's. */
    react(emoji) {
        const { make } = this.#visit.lib;
        const to = { to: this.#visit.room, type: 'groupchat' };
        this.#visit.send(make('message', 'jabber:client', to, this.#visit.make('reaction', {}, emoji)));
    }

    readChat(isOpen) { this.#chat.read(isOpen); }

    /** What was said before; and a message sent again, or taken back. */
    loadEarlier() { return this.#chat.loadEarlier(); }

    sayAgain(one) { this.#chat.again(one); }

    async removeMessage(one) {
        try {
            await this.#chat.remove(one);
        } catch {
            this.#store.tell('notDone', {}, 'bad');
        }
    }

    /** An element of ours to the room: what moderators do, and one's own hand (sections 9 and 10). */
    command(name, attributes, ...children) { return this.#moderation.command(name, attributes, ...children); }

    commandWithUndo(...all) { return this.#moderation.commandWithUndo(...all); }

    /** An element of ours with a text in it. */
    commandWithText(name, text) { return this.#moderation.command(name, {}, text); }

    record(isOn) { return this.#moderation.record(isOn); }

    recordings() { return this.#moderation.recordings(); }

    /** An address of this server, by the name that this page was opened with. */
    near(url) { return this.#visit.near(url); }
}
