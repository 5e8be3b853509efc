// What is open at the door: camera and microphone as they were chosen, and what is wrong with them, kept up to date while
// the person allows, forbids, plugs in and pulls out.
import { keep, onChoice, recall } from './choices.js';
import { KINDS, list, onPermission, openAll, permission } from './devices.js';

const ASKING_MS = 350; // a browser that does not ask has answered by then
const OPENING_MS = 3_000;
const HOW = { microphone: ['microphoneId', 'noiseSuppression', 'echoCancellation'], camera: ['cameraId'] };

export class DoorDevices {
    #state = { microphone: null, camera: null, shown: null, problems: {}, isAsking: false, blur: '' };
    #listeners = new Set();
    #turns = { microphone: 0, camera: 0 }; // the last attempt of each; earlier ones no longer count
    #opening = Promise.resolve();
    #ends = [];
    #blur = null; // of effects.js, for this camera
    #blurTurn = 0;

    subscribe = (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    };

    snapshot = () => this.#state;

    #set(values) {
        this.#state = { ...this.#state, ...values };
        for (const listener of this.#listeners) listener();
    }

    /** Opens what the person had on the last time. */
    start() {
        const renew = () => this.#plugged();
        navigator.mediaDevices?.addEventListener('devicechange', renew);
        this.#ends = [
            () => navigator.mediaDevices?.removeEventListener('devicechange', renew),
            onChoice((now, before) => this.#chosen(now, before)),
            ...KINDS.map((kind) => onPermission(kind, (state) => {
                if (state === 'granted' && this.#problem(kind).endsWith('Refused')) this.#open([kind]);
            })),
        ];
        this.#open(KINDS.filter((kind) => recall()[kind]));
    }

    /** Closes everything. */
    stop() {
        for (const end of this.#ends) end();
        for (const kind of KINDS) this.#close(kind);
    }

    /** Switches one on or off, and remembers it. */
    want(kind, isOn) {
        keep({ [kind]: isOn });
        if (isOn) this.#open([kind]);
        else this.#close(kind);
    }

    /** Tries once more what did not work. */
    again() { this.#open(KINDS.filter((kind) => this.#problem(kind))); }

    /** What is open, when what is just being opened is so too, or takes long. */
    async settled() {
        await Promise.race([this.#opening, new Promise((resolve) => setTimeout(resolve, OPENING_MS))]);
        return this.#state;
    }

    #problem(kind) { return this.#state.problems[kind] ?? ''; }

    #close(kind) {
        this.#turns[kind] += 1;
        this.#state[kind]?.stop();
        this.#set({ [kind]: null, problems: { ...this.#state.problems, [kind]: '' } });
        if (kind === 'camera') this.#blurred();
    }

    #open(kinds) {
        if (!kinds.length) return;
        const turns = Object.fromEntries(kinds.map((kind) => [kind, (this.#turns[kind] += 1)]));
        const isLast = (kind) => this.#turns[kind] === turns[kind];
        const late = setTimeout(async () => {
            const states = await Promise.all(kinds.map(permission));
            if (kinds.some(isLast) && states.some((state) => ['prompt', ''].includes(state))) this.#set({ isAsking: true });
        }, ASKING_MS);
        // Some systems let nobody else have a device while we have it.
        for (const kind of kinds) this.#state[kind]?.stop();
        this.#opening = openAll(kinds).then((found) => {
            clearTimeout(late);
            for (const kind of kinds) {
                if (isLast(kind)) this.#take(kind, found[kind]);
                else found[kind].track?.stop();
            }
        });
    }

    #take(kind, { track, problem }) {
        track?.addEventListener('ended', async () => {
            const isForbidden = await permission(kind) === 'denied';
            if (this.#state[kind] === track) this.#take(kind, { track: null, problem: `${kind}${isForbidden ? 'Refused' : 'Gone'}` });
        });
        this.#set({ [kind]: track, isAsking: false, problems: { ...this.#state.problems, [kind]: problem ?? '' } });
        if (kind === 'camera') this.#blurred();
    }

    /** Shows the camera as it will be sent: `shown` is its picture, `blur` a key of what to say about the blurring. */
    async #blurred() {
        const turn = (this.#blurTurn += 1);
        const { camera } = this.#state;
        const { blur } = recall();
        this.#blur?.stop();
        this.#blur = null;
        const isWanted = camera && blur !== 'off';
        this.#set({ shown: isWanted ? null : camera, blur: isWanted ? 'blurComing' : '' });
        if (!isWanted) return;
        try {
            const { blurPreview } = await import('./effects.js');
            let said = '';
            const made = await blurPreview(camera, blur, () => {
                said = 'blurSlow';
                if (this.#blur && turn === this.#blurTurn) this.#set({ blur: said });
            });
            if (turn !== this.#blurTurn) { made.stop(); return; }
            this.#blur = made;
            this.#set({ shown: made.track, blur: said });
        } catch (error) {
            if (turn === this.#blurTurn) this.#set({ blur: error.message === 'blurUnsupported' ? 'blurUnsupported' : 'blurBroken' });
        }
    }

    /** Something was plugged in or pulled out: where one was missing, or the chosen one had gone, try again. */
    async #plugged() {
        const found = await list();
        this.#open(KINDS.filter((kind) => {
            const problem = this.#problem(kind);
            const isBack = found[kind].some((one) => one.deviceId && one.deviceId === recall()[`${kind}Id`]);
            return (problem.endsWith('Missing') && found[kind].length > 0) || (problem.endsWith('Gone') && isBack);
        }));
    }

    #chosen(now, before) {
        if (now.blur !== before.blur) this.#blurred();
        this.#open(KINDS.filter((kind) => (this.#state[kind] || this.#problem(kind))
            && HOW[kind].some((key) => now[key] !== before[key])));
    }
}

/** Keys of what to say about the problems: one sentence where both have the same one. */
export function sentences({ microphone = '', camera = '' }) {
    const same = ['Refused', 'Missing'].find((word) => microphone.endsWith(word) && camera.endsWith(word));
    return same ? [`both${same}`] : [...new Set([microphone, camera].filter(Boolean))];
}
