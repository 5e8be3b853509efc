// What the views show: one object `state`, made anew with every change.
export const EMPTY = {
    phase: 'loading', // problem, prejoin, joining, waiting, refused, in, left
    problem: '', // a key of the language files
    info: null, isPasswordWrong: false, nick: '', occupants: [], meeting: null, waiting: [], messages: [], unread: 0,
    hasEarlier: false, isLoadingEarlier: false, composing: null, refusedAt: 0,
    link: 'up', media: 'connecting', people: [], isSilenced: false, notice: null,
};

export class Store {
    state = EMPTY;
    #listeners = new Set();

    subscribe = (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    };

    snapshot = () => this.state;

    set(values) {
        this.state = { ...this.state, ...values };
        for (const listener of this.#listeners) listener();
    }

    /** Shows a sentence for a moment: its key, what is filled in, how it looks (info, good, bad), and what takes it back. */
    tell(key, values = {}, kind = 'info', undo = null) { this.set({ notice: { key, values, kind, undo, at: Date.now() } }); }

    hush = () => this.set({ notice: null });
}
