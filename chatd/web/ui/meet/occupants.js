// Who is in the room, and what each may do: the presence of docs/protocol.md section 7.

export class Occupants {
    #store;
    #lib;
    #all = new Map();
    #self;

    /** lib(): what link.js has. */
    constructor(store, lib) {
        this.#store = store;
        this.#lib = lib;
    }

    /** Everybody is told anew; one's own standing holds until then. */
    clear() {
        this.#self = this.self;
        this.#all.clear();
    }

    end() {
        this.#self = undefined;
        this.#all.clear();
    }

    get self() { return this.#all.get(this.#store.state.nick) ?? this.#self; }

    #show() { this.#store.set({ occupants: [...this.#all.values()] }); }

    /** Somebody has gone. */
    remove(nick) {
        this.#all.delete(nick);
        this.#show();
    }

    /** Takes an available presence; returns [as it was before, as it is now]. */
    take(presence, nick, isSelf) {
        const { find, NS } = this.#lib();
        const item = find(find(presence, 'x', NS.USER), 'item');
        const more = find(presence, 'participant', NS.MEET);
        const words = (name) => (more?.getAttribute(name) ?? '').split(' ').filter(Boolean);
        const before = this.#all.get(nick);
        const role = item?.getAttribute('role') ?? 'participant';
        const isGuest = more?.getAttribute('guest') === 'true';
        const now = {
            nick, isSelf, role, isModerator: role === 'moderator', isOwner: item?.getAttribute('affiliation') === 'owner',
            mark: find(presence, 'occupant-id', NS.OCCUPANT)?.getAttribute('id') ?? '',
            isGuest, hand: more?.getAttribute('hand') ?? '',
            may: words('may'), media: words('media'),
            // To these the recordings are given.
            isKeeper: !isGuest && ['owner', 'admin'].includes(item?.getAttribute('affiliation')),
        };
        this.#all.set(nick, now);
        if (isSelf) this.#store.set({ nick });
        this.#show();
        return [before, now];
    }
}
