// Storage for a frame that its browser allows none: another site's, where somebody forbids those all. It lasts as long as the page.

class MemoryStorage {
    #values = new Map();

    get length() { return this.#values.size; }

    key(at) { return [...this.#values.keys()][at] ?? null; }

    getItem(name) { return this.#values.get(String(name)) ?? null; }

    setItem(name, value) { this.#values.set(String(name), String(value)); }

    removeItem(name) { this.#values.delete(String(name)); }

    clear() { this.#values.clear(); }
}

/** A channel to nobody. */
class NoChannel extends EventTarget {
    postMessage() {}

    close() {}
}

/** To be called before anything that stores. */
export function ensureStorage() {
    for (const name of ['sessionStorage', 'localStorage']) {
        try {
            if (globalThis[name]) continue;
        } catch { /* denied */ }
        Object.defineProperty(globalThis, name, { value: new MemoryStorage(), configurable: true });
    }
    try {
        new BroadcastChannel('chatd').close();
    } catch {
        globalThis.BroadcastChannel = NoChannel;
    }
}
