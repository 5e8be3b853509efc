// The same person in several tabs of Webmail. Each tab has a connection of its own, so each is a whole panel; to others it is
// one person: who is active in one tab is not away in another, a status holds for all, what was read in one is read in
// all, and only one makes sounds. The tabs hear each other by way of their pages (embed.js): a browser may give a frame of
// another site neither channels nor locks.

const ACTIVE_EVERY_MS = 10_000;
const SHARED = ['show', 'status_message'];
const HUMAN_S = 5; // a change of status so soon after somebody moved is theirs, and not that of the clock

export class Tabs {
    #inner;
    #address;
    #post;
    #hear;
    #last = 0;
    #isTaking = false;
    #isByClock = false; // the status is away because nobody has moved

    /**
     * @param {object} inner Converse's inner parts, logged in
     * @param {string} address whose panel
     * @param {(data: object) => void} post tells the other tabs
     * @param {{left: () => void, unread: (count: number) => void}} hear
     */
    constructor(inner, address, post, hear) {
        this.#inner = inner;
        this.#address = address;
        this.#post = post;
        this.#hear = hear;
        for (const name of ['pointermove', 'pointerdown', 'keydown']) {
            addEventListener(name, (event) => { if (event.isTrusted) this.active(); }, { capture: true, passive: true });
        }
        const { state } = inner;
        state.profile.on('change', (profile) => this.#statusChanged(profile));
        state.chatboxes.on('change:num_unread', (chat) => {
            if (!this.#isTaking && !chat.get('num_unread')) this.tell({ read: chat.get('jid') });
            this.#count();
        });
        state.chatboxes.on('add remove reset', () => this.#count());
        this.#count();
        this.tell({ hello: true });
    }

    tell(what) {
        this.#post({ ...what, of: this.#address });
    }

    /** This tab is the one that is heard. */
    sound() {
        const { settings } = this.#inner.api;
        settings.set('play_sounds', true);
        settings.set('show_desktop_notifications', true);
    }

    /** Somebody is at this tab, or at another one. */
    active(isTold = false) {
        this.#inner.exports.onUserActivity?.();
        const now = Date.now();
        if (isTold || now - this.#last < ACTIVE_EVERY_MS) return;
        this.#last = now;
        this.tell({ active: true });
    }

    #status() {
        return Object.fromEntries(SHARED.map((name) => [name, this.#inner.state.profile.get(name) ?? '']));
    }

    #statusChanged(profile) {
        const changed = SHARED.filter((name) => profile.hasChanged(name));
        if (!changed.length) return;
        this.#isByClock = !this.#isTaking && this.#inner.api.user.idle.get().seconds > HUMAN_S;
        if (!this.#isTaking && !this.#isByClock) this.tell({ status: this.#status() });
    }

    #count() {
        this.#hear.unread(this.#inner.state.chatboxes.models.reduce((sum, chat) => sum + (chat.get('num_unread') || 0), 0));
    }

    /** Tells a tab that was just opened the status, but not that nobody is here: somebody has opened it. */
    #welcome() {
        const status = { ...this.#status(), ...(this.#isByClock && { show: '' }) };
        if (Object.values(status).some(Boolean)) this.tell({ status });
    }

    /** What another tab has told. */
    take(data) {
        if (data?.of !== this.#address) return;
        this.#isTaking = true;
        try {
            if (data.active) this.active(true);
            if (data.left) this.#hear.left();
            if (data.hello) this.#welcome();
            if (typeof data.read === 'string') this.#inner.state.chatboxes.get(data.read)?.save({ num_unread: 0 });
            if (data.status) {
                const { show, status_message: message } = data.status;
                this.#inner.state.profile.save({ show: show || undefined, status_message: message || undefined });
            }
        } finally {
            this.#isTaking = false;
        }
    }
}
