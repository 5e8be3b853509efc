// The XMPP connection of a visit: WebSocket, SASL ANONYMOUS with an optional token, stream management, iqs.
// docs/protocol.md sections 4 and 13.
import { Strophe } from 'strophe.js';

export const NS = {
    MEET: 'urn:chatd:meet:0', MUC: 'http://jabber.org/protocol/muc', USER: 'http://jabber.org/protocol/muc#user',
    DATA: 'jabber:x:data', REGISTER: 'jabber:iq:register', DELAY: 'urn:xmpp:delay', SID: 'urn:xmpp:sid:0',
    STANZAS: 'urn:ietf:params:xml:ns:xmpp-stanzas', OCCUPANT: 'urn:xmpp:occupant-id:0', HINTS: 'urn:xmpp:hints',
    MAM: 'urn:xmpp:mam:2', RSM: 'http://jabber.org/protocol/rsm', FORWARD: 'urn:xmpp:forward:0', CORRECT: 'urn:xmpp:message-correct:0',
    RETRACT: 'urn:xmpp:message-retract:1', MODERATE: 'urn:xmpp:message-moderate:1', FALLBACK: 'urn:xmpp:fallback:0',
};
// A restart of the server takes some seconds, and a meeting should go on then: no long pauses in the first minute.
const PAUSES_MS = [200, 500, 800, ...Array(25).fill(1_500), 4_000, 8_000, 15_000];
const SPREAD = 0.3; // of a pause, so that not everybody comes back in the same moment
const FIRST_MS = 15_000; // within which the first connection has to stand
const ANSWER_MS = 20_000;
const ATTEMPT_MS = 10_000; // within which any later one has to stand
const LOOK_MS = 1_000;
const SILENT_MS = 3_000; // so long without a word, and it is asked whether the server is there
const QUIET_MS = 3_000; // without an answer to that: the person is told
const DEAD_MS = 6_000; // the line is given up and made anew

/** An error the server answered with; `condition` as in RFC 6120 8.3.3, `inner` names of our own conditions. */
export class Refused extends Error {
    constructor(condition, inner = [], text = '') {
        super(text || condition);
        this.condition = condition;
        this.inner = inner;
    }
}

/** Takes the condition out of a stanza of type error. */
export function refusal(stanza) {
    const children = [...(find(stanza, 'error')?.children ?? [])];
    const standard = children.filter((one) => one.namespaceURI === NS.STANZAS);
    return new Refused(
        standard.find((one) => one.localName !== 'text')?.localName ?? 'undefined-condition',
        children.filter((one) => one.namespaceURI === NS.MEET).map((one) => one.localName),
        standard.find((one) => one.localName === 'text')?.textContent,
    );
}

/** The first child of this name (and namespace), or undefined. */
export function find(parent, name, space) {
    return [...parent.children].find((one) => one.localName === name && (!space || one.namespaceURI === space));
}

/** Builds an element: make('x', NS.MUC, {attribute}, child, 'text', …). */
export function make(name, space, attributes = {}, ...children) {
    const element = document.implementation.createDocument(space, name).documentElement;
    // Strophe writes attributes only, and the browser no namespace twice that is declared like this.
    element.setAttributeNS('http://www.w3.org/2000/xmlns/', 'xmlns', space);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    for (const child of children) element.append(typeof child === 'string' ? child : element.ownerDocument.adoptNode(child));
    return element;
}

class Memory {
    #kept = new Map();
    load(key) { return this.#kept.get(key) ?? null; }
    save(key, value) { this.#kept.set(key, structuredClone(value)); }
    clear(key) { this.#kept.delete(key); }
}

/**
 * One visit. Events by the callbacks of `on`: stanza(element) for what is no answer, state('up'|'quiet'|'down'),
 * renewed() when a cut could not be healed and the visit is a new one, refused() for the token.
 */
export class Link {
    #connection;
    #domain;
    #on;
    #given;
    #asked = new Map();
    #first = null;
    #tries = 0;
    #timer = 0;
    #ids = 0;
    #isClosed = false;
    #wasUp = false;
    #heard = 0;
    #askedAt = 0;
    #isQuiet = false;

    constructor(address, domain, given, on) {
        this.#domain = domain;
        this.#given = given;
        this.#on = on;
        const link = this;
        class Anonymous extends Strophe.SASLMechanism {
            constructor() { super('ANONYMOUS', true, 20); }
            test() { return true; }
            onChallenge() { return link.#given; }
        }
        this.#connection = new Strophe.Connection(address, {
            mechanisms: [Anonymous], enableStreamManagement: true, streamManagement: { storage: new Memory() },
        });
        this.#connection.xmlInput = (element) => this.#read(element);
        const { sm } = this.#connection;
        sm.onFailed = (_, resumeFailed) => {
            if (!resumeFailed) return;
            // What was not delivered would arrive before we are in the room again: whoever uses us sends it then.
            sm._pendingResend = [];
        };
        addEventListener('online', this.#hurry);
    }

    /** Resolves when the visit stands; rejects with Refused ('not-authorized', …) or Error('unreachable'). */
    open() {
        return new Promise((resolve, reject) => {
            const late = setTimeout(() => this.#fail(new Error('unreachable')), FIRST_MS);
            this.#first = {
                resolve: () => { clearTimeout(late); this.#first = null; resolve(); },
                reject: (error) => { clearTimeout(late); this.#first = null; this.close(); reject(error); },
            };
            this.#connect();
        });
    }

    /** The token under which to come back. */
    set given(token) { this.#given = token; }

    get jid() { return this.#connection.jid; }

    #connect() {
        clearTimeout(this.#timer);
        // Where packets vanish the browser tries for minutes, at growing pauses.
        if (!this.#first) this.#timer = setTimeout(() => this.#connection._doDisconnect(), ATTEMPT_MS);
        this.#connection.connect(this.#domain, '', (status, condition) => this.#status(status, condition));
    }

    #fail(error) { this.#first?.reject(error); }

    #status(status, condition) {
        const { Status } = Strophe;
        if (this.#isClosed) return;
        if (status === Status.CONNECTED) this.#up();
        else if (status === Status.AUTHFAIL) {
            if (this.#first) this.#fail(new Refused(condition || 'not-authorized'));
            else if (condition === 'not-authorized') this.#on.refused();
        } else if (status === Status.DISCONNECTED) this.#down();
    }

    #up() {
        this.#tries = 0;
        this.#heard = Date.now();
        const isResumed = this.#connection.restored;
        const isNew = this.#wasUp && !isResumed;
        this.#wasUp = true;
        clearTimeout(this.#timer);
        this.#isQuiet = false;
        this.#timer = setInterval(() => this.#look(), LOOK_MS);
        this.#first?.resolve();
        if (isNew) {
            for (const { reject } of this.#asked.values()) reject(new Error('unreachable'));
            this.#asked.clear();
            this.#on.renewed();
        }
        this.#on.state('up');
    }

    #down() {
        clearInterval(this.#timer);
        if (this.#first) { this.#fail(new Error('unreachable')); return; }
        this.#on.state('down');
        const pause = PAUSES_MS[Math.min(this.#tries++, PAUSES_MS.length - 1)];
        this.#timer = setTimeout(() => this.#connect(), pause * (1 + SPREAD * Math.random()));
    }

    #hurry = () => {
        if (!this.#isClosed && this.#tries) { this.#tries = 0; this.#connect(); }
    };

    /** A line may be cut without a word: nothing comes any more, and nobody says so. */
    #look() {
        const now = Date.now();
        if (now - this.#heard < SILENT_MS) return;
        if (this.#heard >= this.#askedAt) {
            this.#askedAt = now;
            this.#connection.sm.requestAck();
        } else if (now - this.#askedAt >= DEAD_MS) this.#connection._doDisconnect();
        else if (now - this.#askedAt >= QUIET_MS && !this.#isQuiet) {
            this.#isQuiet = true;
            this.#on.state('quiet');
        }
    }

    #read(element) {
        this.#heard = Date.now();
        if (this.#isQuiet) {
            this.#isQuiet = false;
            this.#on.state('up');
        }
        for (const one of element.localName === 'wrapper' ? element.children : [element]) {
            if (one.localName === 'iq') this.#answered(one);
            else if (['message', 'presence'].includes(one.localName)) this.#on.stanza(one);
        }
    }

    #answered(iq) {
        const type = iq.getAttribute('type');
        const waiting = this.#asked.get(iq.getAttribute('id'));
        if (waiting && ['result', 'error'].includes(type)) {
            if (type === 'result') waiting.resolve(iq.firstElementChild);
            else waiting.reject(refusal(iq));
        } else if (['get', 'set'].includes(type)) {
            const isPing = iq.firstElementChild?.namespaceURI === 'urn:xmpp:ping';
            const reply = make('iq', 'jabber:client', { type: isPing ? 'result' : 'error', id: iq.getAttribute('id') });
            if (iq.getAttribute('from')) reply.setAttribute('to', iq.getAttribute('from'));
            if (!isPing) {
                reply.append(make('error', 'jabber:client', { type: 'cancel' }, make('service-unavailable', NS.STANZAS)));
            }
            this.send(reply);
        }
    }

    /** Sends a stanza; while the line is cut it goes out after the cut is healed. */
    send(stanza) {
        this.#connection.send(stanza);
        this.#connection.flush();
        if (stanza.localName === 'message') this.#connection.sm.requestAck();
    }

    /** Asks by iq: the child of the answer (null for an empty one); rejects with Refused. */
    ask(type, to, child) {
        const id = `q${(this.#ids += 1)}`;
        return new Promise((resolve, reject) => {
            const late = setTimeout(() => end(reject)(new Error('unreachable')), ANSWER_MS);
            const end = (then) => (value) => {
                clearTimeout(late);
                this.#asked.delete(id);
                then(value);
            };
            this.#asked.set(id, { resolve: end(resolve), reject: end(reject) });
            this.send(make('iq', 'jabber:client', { type, to, id }, child));
        });
    }

    /** Ends the visit. */
    close() {
        if (this.#isClosed) return;
        this.#isClosed = true;
        clearTimeout(this.#timer);
        removeEventListener('online', this.#hurry);
        this.#connection.disconnect();
    }
}
