// Search in the history of a chat: a field and what was found, in the place of the messages; choosing one shows it among the others.
import { Archive, resultOf } from './archive.js';
import { icon, make } from './elements.js';
import { snippet } from './snippet.js';
import { TEXT } from './strings.js';
import { LOCALE } from './words.js';

const words = TEXT.search;
const LETTERS_LEAST = 2;
const PAUSE_MS = 400; // after the last key
const PAGE = 30;
const PATIENCE_MS = 10_000;
const GLASS = 'M10.500 3a7.500 7.500 0 0 1 6.160 11.780l4.600 4.600-1.900 1.900-4.600-4.600A7.500 7.500 0 1 1 10.500 3zm0 2.700a4.800 4.800 0 1 0 0 9.600 4.800 4.800 0 0 0 0-9.600z';
const SHOWN = 50; // messages drawn on each side of the one that was chosen

/** Converse draws the icons of such buttons from symbols in the page, and has none for this. */
function addSymbol() {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('class', 'd-none');
    const symbol = svg.appendChild(document.createElementNS(svg.namespaceURI, 'symbol'));
    Object.entries({ id: 'icon-chatd-search', viewBox: '2 2 19.500 19.500' }).forEach(([key, value]) => symbol.setAttribute(key, value));
    symbol.appendChild(document.createElementNS(svg.namespaceURI, 'path')).setAttribute('d', GLASS);
    document.body.append(svg);
}

/** The button in the head of chats and groupchats whose archive can be searched. */
export function searchButton(converse, _converse) {
    const { api } = _converse;
    const open = new WeakMap(); // of a chat's body its search
    addSymbol();
    api.listen.on('getHeadingButtons', async (heading, buttons) => {
        const { model } = heading;
        const archive = new Archive(converse, _converse, model);
        if (!['chatbox', 'chatroom'].includes(model.get('type')) || !(await archive.isSearchable())) return buttons;
        const handler = (event) => {
            const body = event.target.closest('.box-flyout').querySelector('.chat-body');
            let search = open.get(body);
            if (!search) open.set(body, search = new Search(_converse, model, archive, body));
            search.toggle(event.target.closest('button'));
        };
        const button = {
            name: 'search', a_class: 'chatd-search-button', icon_class: 'fa-chatd-search', i18n_text: words.open, i18n_title: words.open,
            standalone: true, handler,
        };
        return [button, ...buttons]; // beside the menu
    });
}

/** The search of one chat that is on screen. */
class Search {
    #_converse;
    #model;
    #archive;
    #body;
    #button = null;
    #timer = 0;
    #typed = '';
    #asked = ''; // what the list is about
    #isAsking = false;
    #turn = 0; // which message was chosen last
    #first = '';
    #element;
    #field;
    #note;
    #list;
    #further;

    constructor(_converse, model, archive, body) {
        this.#_converse = _converse;
        this.#model = model;
        this.#archive = archive;
        this.#body = body;
        this.#field = make('input', {
            type: 'search', class: 'form-control', 'aria-label': words.label, placeholder: words.label, autocomplete: 'off',
            spellcheck: 'false', maxlength: 200, oninput: () => this.#later(),
        });
        this.#note = make('p', { class: 'chatd-search__note', role: 'status' }, words.hint);
        this.#list = make('ol', { class: 'chatd-search__list' });
        this.#further = make('button', { type: 'button', class: 'btn btn-secondary chatd-search__further', hidden: true,
            onclick: () => this.#ask(true) }, words.further);
        const close = make('button', { type: 'button', class: 'btn chatd-search__close', title: words.close, 'aria-label': words.close,
            onclick: () => this.close() }, icon('close', 18));
        const form = make('form', { class: 'chatd-search__head', onsubmit: (event) => { event.preventDefault(); this.#now(); } }, this.#field, close);
        this.#element = make('section', { class: 'chatd-search', role: 'search', 'aria-label': words.label, onkeydown: (event) => this.#key(event) },
            form, this.#note, make('div', { class: 'chatd-search__found' }, this.#list, this.#further));
    }

    toggle(button) {
        this.#button = button;
        if (this.#element.isConnected) this.close();
        else this.#open();
    }

    #open() {
        this.#body.append(this.#element);
        this.#others(true);
        this.#field.focus();
        this.#field.select();
    }

    close() {
        clearTimeout(this.#timer);
        this.#element.remove();
        this.#others(false);
        const button = this.#button?.isConnected ? this.#button : this.#body.parentNode.querySelector('.chatd-search-button');
        button?.focus();
    }

    /** What lies below is out of the keyboard's and the screen reader's way meanwhile. */
    #others(areInert) {
        for (const other of this.#body.children) if (other !== this.#element) other.inert = areInert;
    }

    #key(event) {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (event.key === 'Escape') {
            event.preventDefault();
            event.stopPropagation();
            this.close();
        } else if (step) {
            const stops = [this.#field, ...this.#list.querySelectorAll('button')];
            const at = stops.indexOf(document.activeElement);
            const next = stops[at + step];
            if (at < 0 || !next) return;
            event.preventDefault();
            next.focus();
        }
    }

    #later() {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#now(), PAUSE_MS);
    }

    #now() {
        clearTimeout(this.#timer);
        const typed = this.#field.value.trim();
        if (typed === this.#typed && typed === this.#asked) return;
        this.#typed = typed;
        if (typed.length >= LETTERS_LEAST) {
            this.#ask(false);
            return;
        }
        this.#empty();
        this.#note.textContent = words.hint;
    }

    /** Asks the archive; `isFurther`: for what is older than all that was found. One question at a time, the newest last. */
    async #ask(isFurther) {
        if (this.#isAsking) return;
        this.#isAsking = true;
        const typed = isFurther ? this.#asked : this.#typed;
        this.#note.textContent = words.busy;
        this.#element.setAttribute('aria-busy', 'true');
        try {
            const page = await this.#archive.page({ words: typed, before: isFurther ? this.#first : '', max: PAGE });
            if (typed === (isFurther ? this.#asked : this.#typed)) this.#found(page, typed, isFurther);
        } catch (error) {
            if (typed === (isFurther ? this.#asked : this.#typed)) {
                if (!isFurther) this.#empty();
                this.#note.textContent = error?.querySelector?.('resource-constraint') ? words.soon : words.failed;
            }
        }
        this.#element.removeAttribute('aria-busy');
        this.#isAsking = false;
        // Something else was typed meanwhile.
        if (this.#typed !== typed && this.#typed.length >= LETTERS_LEAST && this.#element.isConnected) this.#ask(false);
    }

    #found(page, typed, isFurther) {
        if (!isFurther) this.#list.replaceChildren();
        this.#asked = typed;
        this.#first = page.first;
        this.#list.append(...page.stanzas.reverse().map((stanza) => this.#row(resultOf(stanza), typed)));
        const count = this.#list.childElementCount;
        this.#further.hidden = page.complete || !page.first;
        this.#note.textContent = count ? words.count(count, !page.complete) : page.complete ? words.none : words.noneYet;
    }

    #empty() {
        this.#asked = '';
        this.#list.replaceChildren();
        this.#further.hidden = true;
    }

    #row({ id, stamp, message }, typed) {
        const body = [...message.children].find((child) => child.localName === 'body')?.textContent ?? '';
        const time = new Date(stamp);
        const isToday = time.toDateString() === new Date().toDateString();
        const shown = isToday ? time.toLocaleTimeString(LOCALE, { timeStyle: 'short' })
            : time.toLocaleString(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });
        const instead = [...message.children].find((child) => child.localName === 'replace')?.getAttribute('id');
        return make('li', {}, make('button', { type: 'button', class: 'chatd-search__one', 'data-id': id, onclick: () => this.#show(id, instead ?? message.getAttribute('id')) },
            make('span', { class: 'chatd-search__who' }, make('strong', {}, this.#nameOf(message)), make('time', { datetime: stamp }, shown)),
            make('span', { class: 'chatd-search__text' }, ...snippet(body, typed))));
    }

    #nameOf(message) {
        const from = message.getAttribute('from') ?? '';
        if (this.#model.get('type') === 'chatroom') return from.slice(from.indexOf('/') + 1);
        const isOwn = from.split('/')[0] === this.#_converse.session.get('bare_jid');
        return isOwn ? words.you : this.#model.getDisplayName();
    }

    /** Shows a message among the others, wherever in the history it is. */
    async #show(id, msgid) {
        const find = () => this.#model.messages.find((one) => this.#archive.idOf(one) === id)
            ?? this.#model.messages.find((one) => one.get('msgid') === msgid && one.get('sender'));
        const turn = (this.#turn += 1);
        const isLate = () => turn !== this.#turn || !this.#element.isConnected;
        if (!find()) {
            this.#note.textContent = words.busy;
            const isLoaded = await this.#archive.loadAround(id).then(() => true, () => false);
            if (isLate()) return;
            if (!isLoaded) {
                this.#note.textContent = words.failed;
                return;
            }
        }
        const message = find();
        if (!message) {
            this.#note.textContent = words.gone;
            return;
        }
        this.close();
        await reveal(this.#body, this.#model, message);
    }
}

/** Scrolls to a message of a chat, says which one it is, and gives it the focus, so that it is read out. */
async function reveal(body, model, message) {
    const content = body.querySelector('converse-chat-content, converse-muc-chat-content');
    model.ui.set({ scrolled: true }); // new messages leave the place alone
    const end = performance.now() + PATIENCE_MS;
    let element;
    while (!element && performance.now() < end) {
        const at = model.messages.indexOf(message);
        Object.assign(content, { window_top: Math.max(0, at - SHOWN), window_bottom: Math.min(model.messages.length - 1, at + SHOWN) });
        content.requestUpdate();
        await content.updateComplete;
        await new Promise((resolve) => { setTimeout(resolve, 50); });
        element = [...content.querySelectorAll('converse-chat-message')].find((one) => one.model === message)?.querySelector('.chat-msg');
    }
    if (!element) return;
    element.scrollIntoView({ block: 'center' });
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
    // Where nothing had to be scrolled Converse does not notice that one is at the end.
    const box = content.querySelector('.chat-content__messages');
    if (Math.floor(box.scrollTop) === 0 && content.window_bottom >= model.messages.length - 1) model.ui.set({ scrolled: false });
    element.classList.add('chatd-found');
    element.addEventListener('blur', () => element.classList.remove('chatd-found'), { once: true });
}
