// The window in which a meeting runs inside this page: one at a time. It knows nothing of Converse.js. The meeting page is
// in a frame, made once and never moved in the document (which would load it anew); all else is done by style.
// What both say to each other: docs/protocol.md section 17.
import { icon, make } from './elements.js';
import { WORDS } from './meetingstrings.js';
import { randomUUID } from './insecure.js';
import { fitted, placeable } from './placing.js';
import { ask } from './question.js';

const words = WORDS.window;
const ALLOWED = 'camera; microphone; display-capture; fullscreen; picture-in-picture; autoplay; clipboard-write';
const LEAVE_MS = 1_000; // so long the page in the frame may take to say good-bye
const READY_MS = 300; // and to show itself small
const SMALL = { width: 320, height: 232 };
const EDGES = ['n', 's', 'w', 'e', 'nw', 'ne', 'sw', 'se'];
const NOTHING = { phase: 'loading', people: 0, speaker: '', waiting: 0, since: '' };
const HERE = ['in', 'joining', 'waiting'];
const phone = matchMedia('(max-width: 767px)');

/** How long since, as on a clock. */
function clock(since) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(since)) / 1000));
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
    const two = (number) => String(number).padStart(2, '0');
    return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

/** Fires `change` whenever something shown elsewhere may be other than before, `moved` when a tab has taken over. */
class MeetingWindow extends EventTarget {
    #element = null;
    #parts = {};
    #meeting = null; // {id, name, ticket, person, fragment}
    #state = NOTHING;
    #size = 'normal';
    #rects = { normal: null, small: null };
    #opener = null;
    #timer = 0;
    #left = () => {};
    #shown = () => {};
    #isMoving = false;
    #turn = 0;

    /** The page around this one comes and goes, or has no camera to give: a meeting is rather for a tab of its own. */
    prefersTab = false;

    constructor() {
        super();
        addEventListener('message', (event) => this.#heard(event));
        addEventListener('resize', () => this.#place());
        phone.addEventListener('change', () => this.#draw());
        addEventListener('beforeunload', (event) => {
            if (this.isIn) event.preventDefault();
        });
    }

    /** The id of the meeting in the window, '' without one. */
    get id() { return this.#meeting?.id ?? ''; }

    get name() { return this.#state.name || this.#meeting?.name || WORDS.unnamed; }

    /** How many are in it, where one is in it oneself; else 0. */
    get people() { return this.#state.phase === 'in' ? this.#state.people : 0; }

    /** Is somebody in the meeting, or on the way in? Then nothing may end it without a question. */
    get isIn() { return Boolean(this.#element) && HERE.includes(this.#state.phase); }

    /**
     * Opens a meeting; the one that is open is shown again, and for another one the person is asked.
     * @param {{id: string, name: string, person: string, fragment: string, ticket: Promise<string>}} meeting
     */
    async open(meeting) {
        if (this.id === meeting.id && !['left', 'problem'].includes(this.#state.phase)) return this.show();
        const { text, ...second } = WORDS.ask.second;
        if (this.isIn && !(await ask({ ...second, text: text(this.name, meeting.name || WORDS.unnamed) }))) return undefined;
        const turn = (this.#turn += 1);
        await this.close();
        let ticket = '';
        try {
            ticket = await meeting.ticket;
        } catch { /* then the page asks for a name, if the site takes guests */ }
        if (turn !== this.#turn) return undefined; // another one was opened meanwhile
        if (this.prefersTab && await ask({ ...(isSecureContext ? WORDS.ask.tab : WORDS.ask.plain), isAdvised: true })) {
            if (window.open(this.#address({}, { ...meeting, ticket }), '_blank')) return undefined;
        }
        if (turn !== this.#turn) return undefined;
        this.#meeting = { ...meeting, ticket };
        this.#state = NOTHING;
        this.#size = 'normal';
        this.#opener = document.activeElement;
        this.#build();
        this.#parts.frame.contentWindow.location.replace(this.#address());
        this.#draw();
        this.#focusFrame();
        this.#changed();
        return undefined;
    }

    /** Out of the small state, and to the front. */
    show() {
        if (this.#size === 'small') this.#resize('normal');
        this.#focusFrame();
    }

    /** Closes the window, after asking where one is in the meeting; tells whether it is closed. */
    async askAndClose(question = WORDS.ask.leave) {
        if (this.isIn && !(await ask({ ...question, text: question.text(this.name) }))) return false;
        await this.close();
        return true;
    }

    /** Leaves the meeting and closes the window. */
    async close() {
        if (!this.#element) return;
        if (this.isIn) {
            await new Promise((resolve) => {
                this.#left = resolve;
                setTimeout(resolve, LEAVE_MS);
                this.#tell({ do: 'leave' });
            });
        }
        this.#remove();
    }

    /** Resolves when no meeting is under way (any more). */
    async whenFree() {
        while (this.isIn) await new Promise((resolve) => { this.addEventListener('change', resolve, { once: true }); });
    }

    #remove() {
        if (!this.#element) return;
        const hadFocus = this.#element.contains(document.activeElement) || document.activeElement === document.body;
        clearInterval(this.#timer);
        this.#element.remove();
        this.#element = this.#meeting = null;
        this.#isMoving = false;
        this.#behind(false);
        const place = this.#opener?.isConnected ? this.#opener : document.querySelector('textarea.chat-textarea');
        if (hadFocus) place?.focus();
        this.#changed();
    }

    /** Where the page in the frame, or the tab, is. What stands behind # never reaches the server. */
    #address(more = {}, meeting = this.#meeting) {
        const { id, ticket, person, fragment } = meeting;
        const handed = new URLSearchParams(fragment ?? '');
        for (const [key, value] of Object.entries(ticket ? { ticket, name: person, ...more } : {})) handed.set(key, value);
        return `${location.origin}/meet/${encodeURIComponent(id)}${handed.size ? `#${handed}` : ''}`;
    }

    // ---- what it looks like

    #build() {
        const button = (name, picture, label, onclick) => {
            const made = make('button', { type: 'button', class: 'meetingwindow__button', 'data-do': name, 'aria-label': label, title: label, onclick }, icon(picture));
            this.#parts[name] = made;
            return made;
        };
        const part = (name, element) => (this.#parts[name] = element);
        const bar = make('header', { class: 'meetingwindow__bar' },
            button('move', 'move', words.move),
            make('span', { id: 'meetingwindow-hint', hidden: true }, words.moveHint),
            make('div', { class: 'meetingwindow__words' },
                part('name', make('strong', { class: 'meetingwindow__name' })), part('state', make('span', { class: 'meetingwindow__state' }))),
            button('microphone', 'microphone', words.mute, () => this.#tell({ do: 'microphone', on: !this.#state.microphone })),
            button('enlarge', 'enlarge', words.enlarge, () => this.show()),
            button('small', 'minimise', words.minimise, () => this.#resize('small')),
            button('full', 'maximise', words.maximise, () => this.#resize(this.#size === 'full' ? 'normal' : 'full')),
            button('tab', 'tab', words.tab, () => this.#toTab()),
            button('close', 'close', words.close, () => this.askAndClose()));
        const edges = EDGES.map((edge) => make('div', { class: 'meetingwindow__edge', 'data-edge': edge }));
        this.#parts.move.setAttribute('aria-describedby', 'meetingwindow-hint');
        this.#element = make('section', { class: 'meetingwindow', role: 'dialog', onkeydown: (event) => this.#key(event) }, bar,
            part('problem', make('p', { class: 'meetingwindow__problem', role: 'alert' })),
            part('frame', make('iframe', { allow: ALLOWED, class: 'meetingwindow__frame' })), ...edges);
        document.body.append(this.#element);
        bar.addEventListener('dblclick', (event) => {
            if (event.target.closest('button')) return;
            if (this.#size === 'small') this.show();
            else this.#resize(this.#size === 'full' ? 'normal' : 'full');
        });
        placeable(this.#element, bar, this.#parts.move, edges, {
            may: () => !phone.matches && this.#size !== 'full',
            mayResize: () => this.#size === 'normal',
            get: () => this.#rect(),
            set: (rect) => {
                this.#rects[this.#size] = fitted(rect, this.#size === 'small');
                this.#place();
            },
        });
        this.#timer = setInterval(() => this.#drawState(), 1_000);
    }

    #rect() {
        const { innerWidth, innerHeight } = globalThis;
        // Beside the contacts and the chats, where there is room.
        const boxes = [...document.querySelectorAll('.conversejs .box-flyout, #launcher')].map((one) => one.getBoundingClientRect());
        const free = Math.min(innerWidth, ...boxes.filter((one) => one.width).map((one) => one.left));
        if (this.#size === 'small') {
            // In a page of Webmail the corner on the left is where it has its menus and its "Send".
            const isFramed = document.documentElement.classList.contains('framed');
            const left = isFramed ? free - SMALL.width - 16 : 16;
            return { left, top: innerHeight - SMALL.height - 16, ...this.#rects.small, ...SMALL };
        }
        const width = Math.min(1000, Math.max(480, free - 48));
        return this.#rects.normal ?? { left: 24, top: 72, width, height: Math.min(680, innerHeight - 96) };
    }

    #place() {
        if (!this.#element) return;
        const isFree = !phone.matches && this.#size !== 'full';
        const rect = isFree ? fitted(this.#rect(), this.#size === 'small') : {};
        for (const side of ['left', 'top', 'width', 'height']) this.#element.style[side] = isFree ? `${rect[side]}px` : '';
    }

    /**
     * Smaller after the page in the frame is ready for it, larger before it shows all again: so its pictures are never
     * squeezed out of sight, which would stop them.
     */
    async #resize(size) {
        const isSmall = size === 'small';
        if (isSmall) {
            await new Promise((resolve) => {
                this.#shown = resolve;
                setTimeout(resolve, READY_MS);
                this.#tell({ view: 'small' });
            });
            if (!this.#element) return;
        }
        this.#size = size;
        this.#draw();
        if (isSmall) this.#parts.enlarge.focus();
        else requestAnimationFrame(() => this.#tell({ view: 'whole' }));
        this.#changed();
    }

    #draw() {
        if (!this.#element) return;
        const isSmall = this.#size === 'small';
        const isFull = this.#size === 'full';
        this.#element.dataset.size = this.#size;
        this.#element.setAttribute('aria-label', words.label(this.name));
        this.#parts.frame.title = words.label(this.name);
        this.#parts.name.textContent = this.name;
        this.#label('full', isFull ? words.restore : words.maximise, isFull ? 'restore' : 'maximise');
        this.#label('microphone', this.#state.microphone ? words.mute : words.unmute, this.#state.microphone ? 'microphone' : 'microphoneOff');
        this.#label('close', this.isIn ? words.leave : words.close, 'close');
        const hidden = {
            move: phone.matches || isFull, microphone: !isSmall || this.#state.phase !== 'in', enlarge: !isSmall, small: isSmall,
            full: isSmall || phone.matches, tab: isSmall,
        };
        for (const [name, isHidden] of Object.entries(hidden)) this.#parts[name].hidden = isHidden;
        this.#parts.microphone.disabled = !this.#state.microphone && !this.#state.mayMicrophone;
        this.#parts.frame.tabIndex = isSmall ? -1 : 0;
        this.#behind(isFull || (phone.matches && !isSmall));
        document.documentElement.toggleAttribute('data-meeting-strip', isSmall && phone.matches);
        this.#drawState();
        this.#place();
    }

    #label(name, label, picture) {
        const button = this.#parts[name];
        if (button.title === label && button.dataset.icon === picture) return;
        Object.assign(button, { title: label, ariaLabel: label });
        button.dataset.icon = picture;
        button.replaceChildren(icon(picture));
    }

    /** Where the window covers everything, nothing behind it can be reached. */
    #behind(isCovered) {
        for (const one of document.querySelectorAll('body > #panel, body > converse-root')) one.inert = isCovered;
        if (!this.#element) document.documentElement.removeAttribute('data-meeting-strip');
    }

    #drawState() {
        const { phase, since, people, speaker, waiting, recording, media, link } = this.#state;
        const parts = [];
        if (this.#isMoving) parts.push(words.moving);
        else if (phase === 'in') {
            if (link !== 'up' || ['reconnecting', 'failed'].includes(media)) parts.push(words.reconnecting);
            else parts.push(speaker ? words.speaks(speaker) : words.people(people));
            if (waiting) parts.push(words.knocking(waiting));
            if (since) parts.push(clock(since)); // where there is little room it is what may be missing
        } else parts.push(phase === 'waiting' ? words.waiting : phase === 'left' || phase === 'problem' ? words.over : words.outside);
        const isRecorded = phase === 'in' && recording && recording !== 'off';
        const text = parts.join(' · ');
        const { state } = this.#parts;
        if (state.textContent !== text + (isRecorded ? words.recording : '')) {
            state.replaceChildren(...(isRecorded ? [make('b', { class: 'meetingwindow__recording' }, words.recording)] : []), text);
        }
    }

    #say(problem) {
        this.#parts.problem.textContent = problem;
    }

    // ---- what the keyboard and the page in the frame say

    #key(event) {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        if (this.#size === 'full') this.#resize('normal');
        else if (this.#size === 'normal' && !phone.matches) (this.#opener?.isConnected ? this.#opener : null)?.focus();
    }

    #focusFrame() {
        this.#parts.frame.focus();
    }

    #tell(what) {
        this.#parts.frame?.contentWindow?.postMessage({ chatd: 'window', ...what }, location.origin);
    }

    #heard({ origin, source, data }) {
        if (origin !== location.origin || !this.#element || source !== this.#parts.frame.contentWindow) return;
        if (data?.chatd === 'moved') this.#moved();
        if (data?.chatd === 'shown') this.#shown();
        if (data?.chatd !== 'meeting') return;
        const before = this.#state;
        this.#state = data;
        if (data.phase === 'left') {
            this.#left();
            // Left by its own button: the window is done. Put out, ended: the page says why.
            if (before.phase === 'in' && !data.problem) return this.#remove();
        }
        if (before.phase === 'loading') this.#tell({ view: this.#size === 'small' ? 'small' : 'whole' });
        this.#draw();
        this.#changed();
        return undefined;
    }

    #changed() {
        this.dispatchEvent(new Event('change'));
    }

    // ---- on in another tab

    #toTab() {
        const isIn = this.#state.phase === 'in' && this.#meeting.ticket;
        const key = randomUUID();
        if (isIn) this.#tell({ do: 'hand over', key });
        // In the same turn as the click, or the browser takes it for an unasked pop-up.
        const tab = window.open(this.#address(isIn ? { take: key } : {}), '_blank');
        this.#say(tab ? '' : words.blocked);
        if (!tab) return;
        this.#isMoving = Boolean(isIn);
        this.#drawState();
        if (!isIn) this.close();
    }

    #moved() {
        const { name } = this;
        this.#remove();
        this.dispatchEvent(new CustomEvent('moved', { detail: name }));
    }
}

export const meetingWindow = new MeetingWindow();
