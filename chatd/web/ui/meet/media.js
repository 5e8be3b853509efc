// Sound and picture of this meeting: connected, kept, connected again. docs/protocol.md section 8.
import { onChoice, recall } from './choices.js';
import { reasonOf } from './devices.js';

const AGAIN_MS = [500, 1_500, 3_000, 6_000, 10_000];
const FAILED_AFTER = 4; // attempts
const SURE_MS = 300;

export class Media {
    #store;
    #visit;
    #may;
    #key;
    #call = null;
    #shown = null; // the call that was shown last
    #timer = 0;
    #turn = 0;
    #tries = 0;
    #tracks = { microphone: null, camera: null };
    #on = { microphone: false, camera: false }; // what this person wants on
    #isSwitching = 0;
    #isLost = false; // LiveKit has given up: it is for us to connect anew

    /** may(what): whether this person may; key(): of an encrypted meeting, or ''. */
    constructor(store, visit, may, key) {
        this.#store = store;
        this.#visit = visit;
        this.#may = may;
        this.#key = key;
        onChoice((now) => this.#prefer(now));
    }

    /** tracks are those of the preview. */
    prepare(tracks) { this.#tracks = tracks; }

    /** What this person sends: {microphone, camera}. */
    get tracks() { return this.#call?.tracks ?? { microphone: null, camera: null }; }

    get #isIn() { return this.#store.state.phase === 'in'; }

    /** What this person has on: {microphone, camera, screen}. */
    get mine() {
        const local = this.#store.state.people.find((one) => one.isLocal);
        return { microphone: Boolean(local?.hasSound), camera: Boolean(local?.camera), screen: Boolean(local?.screen) };
    }

    /** Connects, from the first attempt on. */
    begin() {
        this.#tries = 0;
        this.#start();
    }

    async #start() {
        clearTimeout(this.#timer);
        const turn = (this.#turn += 1);
        this.#isLost = false;
        const before = this.#call;
        this.#call = null;
        await before?.leave().catch(() => {});
        let call = null;
        try {
            const encryption = this.#key() ? await (await import('./encryption.js')).Encryption.start(this.#key()) : null;
            if (!this.#isIn || turn !== this.#turn) { encryption?.end(); return; }
            call = this.#make(encryption);
            const found = await this.#visit.ask('get', this.#visit.make('media'));
            await call.connect(this.#visit.near(found.getAttribute('url')), found.textContent);
            this.#tries = 0;
            const tracks = this.#tracks;
            this.#tracks = { microphone: null, camera: null };
            const isFresh = tracks.microphone || tracks.camera;
            if (isFresh) this.#on = { microphone: Boolean(tracks.microphone), camera: Boolean(tracks.camera) };
            await call.publish(tracks, this.#may).catch((error) => this.#store.tell(error.message, {}, 'bad'));
            for (const source of ['microphone', 'camera']) {
                if (!isFresh && this.#on[source] && this.#may(source)) await call.set(source, true).catch(() => {});
            }
        } catch (error) {
            if (this.#call === call && turn === this.#turn) this.#lost(error);
        }
        this.#show();
    }

    #make(encryption) {
        const call = new this.#visit.lib.Call({
            changed: () => { if (this.#call === call) this.#show(); },
            state: (media) => { if (this.#call === call) this.#store.set({ media }); },
            lost: () => { if (this.#call === call) this.#lost(); },
            slow: () => { if (this.#call === call) this.#store.tell('blurSlow', {}, 'bad'); },
        }, recall(), encryption);
        this.#call = call;
        return call;
    }

    #lost() {
        if (!this.#isIn) return;
        this.#isLost = true;
        this.#store.set({ media: this.#tries > FAILED_AFTER ? 'failed' : 'reconnecting' });
        // If this was because we are no longer in the room, the room says so in the same moment.
        clearTimeout(this.#timer);
        const pause = AGAIN_MS[Math.min(this.#tries++, AGAIN_MS.length - 1)];
        this.#timer = setTimeout(() => {
            if (this.#isIn && this.#store.state.link === 'up') this.#start();
        }, pause);
    }

    /** The line to the room is there again: so may be the one to the media server. Where LiveKit still tries, it does. */
    lineIsBack() {
        if (!this.#isLost) return;
        this.#tries = 0;
        this.#lost();
    }

    #show() {
        if (!this.#call) return;
        // What the connection before this one had on says nothing of this one.
        const before = this.#shown === this.#call ? this.mine : {};
        this.#shown = this.#call;
        this.#store.set({ people: this.#call.people(), isSilenced: this.#call.isSilenced });
        if (this.#isSwitching || this.#store.state.media !== 'connected') return;
        for (const source of ['microphone', 'camera', 'screen']) {
            if (before[source] && !this.mine[source]) setTimeout((call) => this.#wentOff(call, source), SURE_MS, this.#call);
        }
    }

    /** Something was switched off, and not by us: by a moderator; or the connection has gone, which is told only after that. */
    #wentOff(call, source) {
        if (this.#call !== call || !call.isConnected || this.#isSwitching || this.mine[source] || call.hasEnded(source)) return;
        if (source === 'screen') this.set('screen', false); // nothing is captured that nobody may see
        else if (!this.#on[source]) return; // by us, meanwhile
        else this.#on[source] = false;
        if (this.#may(source)) this.#store.tell(`${source}Stopped`);
    }

    /** Switches microphone, camera or screen on or off. */
    async set(source, isOn) {
        this.#isSwitching += 1;
        if (source in this.#on) this.#on[source] = isOn;
        try {
            await this.#call?.set(source, isOn);
        } catch (error) {
            if (source === 'screen') { if (error.name !== 'NotAllowedError') this.#store.tell('screenBroken', {}, 'bad'); }
            else this.#store.tell(error.message.startsWith('blur') ? error.message : reasonOf(error, source), {}, 'bad');
        }
        this.#show();
        this.#isSwitching -= 1;
    }

    async #prefer(choices) {
        const call = this.#call;
        try {
            await call?.prefer(choices);
        } catch (error) {
            const { message } = error;
            const key = message === 'speaker' ? 'deviceBroken' : message.startsWith('blur') ? message : reasonOf(error.cause, message);
            if (this.#call === call) this.#store.tell(key, {}, 'bad');
        }
        this.#show();
    }

    /** The key of the meeting has become another one. */
    useKey() { if (this.#isIn) this.begin(); }

    startAudio() { this.#call?.startAudio().then(() => this.#show(), () => {}); }

    end() {
        clearTimeout(this.#timer);
        this.#call?.leave().catch(() => {});
        this.#call = null;
        for (const track of Object.values(this.#tracks)) track?.stop();
    }
}
