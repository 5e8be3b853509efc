// The organisation's directory: people are suggested while somebody types, and picked with mouse or keyboard.
import { TEXT } from './strings.js';

const NAMESPACE = 'urn:chatd:directory:0';
const PAUSE_MS = 150; // after the last key, before the server is asked
const RENEW_MS = 60_000; // so long before its end a token is not used any more
const words = TEXT.contact.directory;

/** Asks the server for people; one for a session. */
export class Directory {
    #converse;
    #_converse;
    #token = '';
    #expires = 0;

    constructor(converse, _converse) {
        this.#converse = converse;
        this.#_converse = _converse;
    }

    /** Is there one that we may search? */
    async isThere() {
        try {
            return Boolean(await this.#freshToken());
        } catch {
            return false;
        }
    }

    /**
     * People with these words in name or address, the best first.
     * @param {AbortSignal} signal ends the question when there is a newer one
     * @returns {Promise<{people: object[], more: boolean}>} rejects where the server does not answer
     */
    async search(typed, signal) {
        const address = new URL('/api/v1/directory', location.href);
        address.searchParams.set('q', typed);
        const answer = await fetch(address, {
            signal,
            headers: { authorization: `Bearer ${await this.#freshToken()}` },
        });
        if (answer.status === 401) this.#token = '';
        if (!answer.ok) throw new Error(`directory: ${answer.status}`);
        return answer.json();
    }

    /** The token that says who asks; by XMPP, where that is known. */
    async #freshToken() {
        if (this.#token && Date.now() < this.#expires - RENEW_MS) return this.#token;
        const { stx, Strophe } = this.#converse.env;
        const domain = Strophe.getDomainFromJid(this.#_converse.session.get('bare_jid'));
        const asked = stx`<iq type="get" to="${domain}" xmlns="jabber:client"><token xmlns="${NAMESPACE}"/></iq>`;
        const answer = await this.#_converse.api.sendIQ(asked);
        const token = answer.getElementsByTagNameNS(NAMESPACE, 'token')[0];
        this.#token = token?.textContent ?? '';
        this.#expires = Date.now() + 1000 * Number(token?.getAttribute('seconds') ?? 0);
        return this.#token;
    }
}

/**
 * Makes a text field a combobox (WAI-ARIA) that suggests people. Who never logged in is shown with the reason and
 * cannot be picked.
 */
export class Suggestions {
    #input;
    #list;
    #note;
    #directory;
    #picked;
    #people = [];
    #chosen = null;
    #at = -1;
    #timer = 0;
    #asking = null;

    /** @param {(person: object) => void} picked called with who was chosen */
    constructor(input, directory, picked) {
        this.#input = input;
        this.#directory = directory;
        this.#picked = picked;
        this.#list = document.createElement('ul');
        this.#list.id = `${input.id}-people`;
        this.#list.className = 'chatd-people';
        this.#list.setAttribute('role', 'listbox');
        this.#list.setAttribute('aria-label', words.list);
        this.#list.hidden = true;
        this.#note = document.createElement('p');
        this.#note.className = 'chatd-people__note';
        this.#note.setAttribute('role', 'status');
        input.after(this.#list, this.#note);
        for (const [name, value] of Object.entries({
            role: 'combobox', 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': this.#list.id,
        })) {
            input.setAttribute(name, value);
        }
        input.addEventListener('input', () => this.#typed());
        input.addEventListener('keydown', (event) => this.#key(event));
        input.addEventListener('blur', () => this.#close());
        // Before the field loses the focus, which would close the list.
        this.#list.addEventListener('pointerdown', (event) => event.preventDefault());
        this.#list.addEventListener('click', (event) => {
            const row = event.target.closest('[role=option]');
            if (row) this.#pick(Number(row.dataset.number));
        });
        if (input.value) this.#typed(); // while the server was asked whether there is a directory
    }

    /** The first person that can be picked, if people are suggested. */
    get first() {
        return this.#list.hidden ? undefined : this.#people.find((person) => person.has_account);
    }

    /** Who was picked, as long as the field still says so. */
    chosen(typed) {
        return this.#chosen && typed === shownAs(this.#chosen) ? this.#chosen : undefined;
    }

    #typed() {
        clearTimeout(this.#timer);
        this.#asking?.abort();
        const typed = this.#input.value.trim();
        if (typed.length < 2) {
            this.#note.textContent = '';
            this.#close();
            return;
        }
        this.#timer = setTimeout(() => this.#ask(typed), PAUSE_MS);
    }

    async #ask(typed) {
        const asking = new AbortController();
        this.#asking = asking;
        try {
            const { people, more } = await this.#directory.search(typed, asking.signal);
            if (!asking.signal.aborted && document.activeElement === this.#input) this.#show(people, more);
        } catch (error) {
            if (error.name === 'AbortError') return;
            this.#close();
            this.#note.textContent = words.failed;
        }
    }

    #show(people, more) {
        this.#people = people;
        this.#list.replaceChildren(...people.map((person, number) => this.#row(person, number)));
        this.#list.hidden = people.length === 0;
        this.#input.setAttribute('aria-expanded', String(people.length > 0));
        this.#mark(-1);
        this.#note.textContent = people.length === 0 ? words.nobody : more ? words.more : words.count(people.length);
        this.#note.classList.toggle('visually-hidden', people.length > 0 && !more);
    }

    #row(person, number) {
        const row = document.createElement('li');
        row.id = `${this.#list.id}-${number}`;
        row.className = 'chatd-people__row';
        row.dataset.number = String(number);
        row.dataset.jid = person.jid;
        row.setAttribute('role', 'option');
        row.setAttribute('aria-selected', 'false');
        const name = part('chatd-people__name', person.name);
        const about = [person.title, person.department].filter(Boolean).join(', ');
        row.append(name, part('chatd-people__address', about ? `${person.address} · ${about}` : person.address));
        if (!person.has_account) {
            row.setAttribute('aria-disabled', 'true');
            row.append(part('chatd-people__why', words.never));
        }
        return row;
    }

    #key(event) {
        if (this.#list.hidden) return;
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
            event.preventDefault();
            const count = this.#people.length;
            this.#mark((this.#at + step + count + (this.#at < 0 && step < 0 ? 1 : 0)) % count);
        } else if (event.key === 'Enter' && this.#at >= 0) {
            event.preventDefault();
            this.#pick(this.#at);
        } else if (event.key === 'Escape') {
            // The dialog stays open.
            event.preventDefault();
            event.stopPropagation();
            this.#close();
        }
    }

    #mark(at) {
        this.#at = at;
        [...this.#list.children].forEach((row, number) => row.setAttribute('aria-selected', String(number === at)));
        const row = this.#list.children[at];
        if (row) this.#input.setAttribute('aria-activedescendant', row.id);
        else this.#input.removeAttribute('aria-activedescendant');
        row?.scrollIntoView({ block: 'nearest' });
    }

    #pick(number) {
        const person = this.#people[number];
        if (!person.has_account) {
            this.#note.classList.remove('visually-hidden');
            this.#note.textContent = words.cannot(person.name);
            return;
        }
        this.#input.value = shownAs(person);
        this.#chosen = person;
        this.#note.textContent = '';
        this.#close();
        this.#picked(person);
    }

    #close() {
        clearTimeout(this.#timer);
        this.#asking?.abort();
        this.#list.hidden = true;
        this.#input.setAttribute('aria-expanded', 'false');
        this.#input.removeAttribute('aria-activedescendant');
        this.#at = -1;
    }
}

function shownAs(person) {
    return person.name === person.address ? person.address : `${person.name} <${person.address}>`;
}

/** Text is set as text: names are written by others. */
function part(kind, text) {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = text;
    return span;
}
