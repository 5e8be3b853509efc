// The state of the meeting, what moderators do to it, and its recordings: docs/protocol.md sections 7, 9 and 11.
import { whyNot } from './words.js';

const WATCH_MS = 2_000;
const SOURCES = ['microphone', 'camera', 'screen', 'chat'];

export class Moderation {
    #store;
    #visit;
    #self;
    #speak;
    #watching = 0;

    /** self(): one's own occupant; speak(key): a sound. */
    constructor(store, visit, self, speak) {
        this.#store = store;
        this.#visit = visit;
        this.#self = self;
        this.#speak = speak;
    }

    // ---- what holds

    meetingIs(element) {
        const meeting = Object.fromEntries([...element.attributes].map((one) => [one.name, one.value]));
        const before = this.#store.state.meeting;
        const is = { password: meeting.password === 'true', lobby: meeting.lobby === 'true', locked: meeting.locked === 'true' };
        this.#store.set({
            meeting: {
                ...meeting, is, mayAll: (meeting.may ?? '').split(' ').filter(Boolean), canRecord: meeting['can-record'] === 'true',
                passwordText: this.#visit.lib.find(element, 'password')?.textContent ?? '', problem: meeting['recording-problem'] ?? '',
            },
        });
        this.#recordingIs(before, meeting);
        if (before && before.is.locked !== is.locked) this.#store.tell(is.locked ? 'nowLocked' : 'nowUnlocked');
        if (before && before.is.lobby !== is.lobby && this.#self()?.isModerator) this.#store.tell(is.lobby ? 'lobbyTurnedOn' : 'lobbyTurnedOff');
    }

    /** Everybody has to see and hear that a recording runs, also who comes in while it does. */
    #recordingIs(before, now) {
        const was = before?.recording ?? 'off';
        if (was === now.recording) return;
        if (now.recording === 'on') {
            this.#store.tell(before ? 'recordingOn' : 'recordingRuns', {}, 'bad');
            this.#speak('recordingOn');
        } else if (now.recording === 'off') {
            const why = whyNot(now['recording-condition'], now['recording-problem']);
            if (why) this.#store.tell('recordingProblem', { why }, 'bad');
            else if (before) this.#store.tell('recordingOff');
            if (was === 'on' || was === 'stopping') this.#speak('recordingOff');
            if (before) this.watchRecordings();
        }
    }

    /** What this person may do has changed, and not by becoming a moderator. */
    mayChanged(before, now) {
        if (before.isModerator || now.isModerator) return;
        const lost = SOURCES.filter((one) => before.may.includes(one) && !now.may.includes(one));
        const won = SOURCES.filter((one) => !before.may.includes(one) && now.may.includes(one));
        if (lost.length) this.#store.tell(lost.length > 1 ? 'forbiddenSome' : `${lost[0]}Forbidden`, {}, 'bad');
        else if (won.length) this.#store.tell(won.length > 1 ? 'allowedSome' : `${won[0]}Allowed`, {}, 'good');
    }

    // ---- what moderators do

    /** An element of ours to the room. True when it was done; what went wrong is shown. */
    async command(name, attributes = {}, ...children) {
        try {
            await this.#visit.ask('set', this.#visit.make(name, attributes, ...children));
            return true;
        } catch (error) {
            const said = { 'forbidden': 'notModerator', 'item-not-found': 'notThere', 'resource-constraint': 'tooMuch' }[error.condition];
            this.#store.tell(said ?? 'notDone', {}, 'bad');
            return false;
        }
    }

    /** The same; afterwards `key` is shown with a button that takes it back by `undo`, the arguments of another command. */
    async commandWithUndo(key, values, undo, name, attributes, ...children) {
        if (!(await this.command(name, attributes, ...children))) return false;
        this.#store.tell(key, values, 'info', () => this.command(...undo));
        return true;
    }

    /** Starts or stops recording: '' or a key of the language files for why not. */
    async record(isOn) {
        try {
            await this.#visit.ask('set', this.#visit.make('record', { on: String(isOn) }));
            return '';
        } catch (error) {
            return {
                'resource-constraint': 'recordingFull', 'not-allowed': 'recordingImpossible', 'forbidden': 'notModerator', 'conflict': 'recordingElsewhere',
            }[error.condition] ?? 'recordingBroken';
        }
    }

    // ---- the files

    /** The recordings of this meeting, with addresses that open them for an hour. */
    async recordings() {
        const found = await this.#visit.ask('get', this.#visit.make('recordings'));
        return [...found.children].map((one) => Object.fromEntries([...one.attributes].map((each) => [each.name, each.value])));
    }

    /** There will be no file: those who can record are told at once, and the chat says it for good. */
    recordingFailed() {
        if (this.#self()?.isModerator) this.#store.tell('recordingFailed', {}, 'bad');
    }

    /** Looks how a file comes along until none is being made; for whom the files are. */
    async watchRecordings() {
        clearTimeout(this.#watching);
        if (!this.#self()?.isKeeper) return;
        const list = await this.recordings().catch(() => []);
        const made = list.find((one) => one.state === 'composing');
        this.#store.set({ composing: made ? Number(made.progress ?? 0) : null });
        if (made && this.#store.state.phase === 'in') this.#watching = setTimeout(() => this.watchRecordings(), WATCH_MS);
    }

    end() { clearTimeout(this.#watching); }
}
