// End-to-end encryption of sound and picture with livekit-client's own means: a shared key, and a worker that encrypts each
// frame. Loaded for encrypted meetings only. The key is a passphrase for PBKDF2, as LiveKit's other SDKs have it.
import { ExternalE2EEKeyProvider } from 'livekit-client';
import FrameWorker from 'livekit-client/e2ee-worker?worker';

const FAILURES = 2; // of a frame each, at least a second apart: one alone may be a frame of before
const WITHIN_MS = 15_000;

/** One call's encryption: `options` for livekit-client's Room, `failed` for its errors; `end()` stops the worker. */
export class Encryption {
    #failures = new Map();
    #unreadable = new Set();

    constructor(keyProvider) {
        this.options = { keyProvider, worker: new FrameWorker() };
    }

    static async start(key) {
        const provider = new ExternalE2EEKeyProvider();
        await provider.setKey(key);
        return new Encryption(provider);
    }

    /** Takes an error of decryption; whether it is certain now that this participant has another key. */
    failed(error, identity) {
        if (!identity || !error?.message?.startsWith('InvalidKey')) return false;
        const now = Date.now();
        const recent = [...(this.#failures.get(identity) ?? []), now].filter((at) => now - at < WITHIN_MS).slice(-FAILURES);
        this.#failures.set(identity, recent);
        if (recent.length === FAILURES) this.#unreadable.add(identity);
        return this.#unreadable.has(identity);
    }

    /** Whether what this participant sends cannot be read with our key. */
    isUnreadable(identity) { return this.#unreadable.has(identity); }

    end() { this.options.worker.terminate(); }
}
