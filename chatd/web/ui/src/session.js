// One person's chat session: loads Converse.js, logs in over WebSocket or else BOSH, and says in a word how it goes.
import { panelPlugin } from './plugin.js';
import { settingsFor } from './settings.js';
import { sendAgain } from './unacknowledged.js';

const SILENCE_MS = 8_000; // without a sign of life from the server a way in counts as closed
const CLEARED_AWAY_MS = 250;
const FAILED_TRIES_BEFORE_OTHER_WAY = 3;
const BOSH_RETRIES = 2; // of one request, after 1 and 8 s; the third would wait 27 s, when the server is long there again
const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const STREAM_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams';

// SASL failure (RFC 6120 6.5) and stream error (4.9.3) conditions -> reason, a key of TEXT.failed.
const REASONS = {
    'not-authorized': 'credentials',
    'invalid-authzid': 'credentials',
    'malformed-request': 'credentials',
    'account-disabled': 'disabled',
    'credentials-expired': 'disabled',
    'temporary-auth-failure': 'temporary',
    'policy-violation': 'throttled',
    'resource-constraint': 'throttled',
    'host-unknown': 'domain',
    'host-gone': 'domain',
    'encryption-required': 'insecure',
    'mechanism-too-weak': 'insecure',
    'conflict': 'replaced',
};

/** A log-in that did not work; `reason` is a key of TEXT.failed. */
export class LogInError extends Error {
    constructor(reason) {
        super(reason);
        this.reason = reason;
    }
}

export class Session {
    #config;
    #assets;
    #report;
    #more;
    #loading;
    #converse;
    #api;
    #attempt = null; // {resolve, reject} while the first connection is made
    #condition = ''; // the last error condition the server sent
    #failedTries = 0;
    #alive = () => {}; // called for whatever the server sends
    #refusals = 0; // wrong passwords since the page was opened
    #isOpen = false;

    /**
     * @param {{domains: string[], websocket: string, bosh: string}} config what the server says of itself
     * @param {string} assets address of the folder that holds Converse.js
     * @param {(state: 'reconnecting'|'reconnected'|'ended'|'left', reason?: string) => void} report
     * @param {{settings?: (converse: object) => object, extend?: (converse: object, _converse: object) => void}} more what
     *     differs: settings of Converse, and what is done with its inner parts when the panel's plugin starts
     */
    constructor(config, assets, report, more = {}) {
        this.#config = config;
        this.#assets = assets;
        this.#report = report;
        this.#more = more;
    }

    /** Loads and sets up Converse.js, once. */
    load() {
        this.#loading ??= this.#load().catch((error) => {
            this.#loading = null;
            throw error;
        });
        return this.#loading;
    }

    async #load() {
        const { default: converse } = await import(`${this.#assets}/converse.min.js`);
        if (!this.#api) {
            converse.plugins.add('chatd', panelPlugin(converse, (_converse) => this.#listen(converse, _converse)));
            await converse.initialize({ ...settingsFor(this.#config, this.#assets), ...this.#more.settings?.(converse) });
        }
    }

    /** Takes hold of Converse's inner parts while it initialises. */
    #listen(converse, _converse) {
        const { api } = _converse;
        this.#converse = _converse;
        this.#api = api;
        this.#more.extend?.(converse, _converse);
        sendAgain(converse, _converse);
        _converse.state.config.set('trusted', false);
        api.listen.on('connectionInitialized', () => {
            const connection = api.connection.get();
            connection.maxRetries = BOSH_RETRIES;
            this.#watch(connection);
        });
        api.listen.on('afterResourceBinding', () => this.#withoutAcknowledgements());
        api.listen.on('connfeedback', (feedback) => {
            // Kept keys that no longer fit are refused on our side: no server has given a condition then.
            const isRefused = feedback.get('connection_status') === converse.env.Strophe.Status.AUTHFAIL;
            if (isRefused) this.#condition ||= 'not-authorized';
            // COMPAT(Strophe in Converse 14.0.0): after the last try of a request by BOSH it stops without an end.
            if (feedback.get('message') === 'giving-up') api.connection.get()?._doDisconnect('giving-up');
        });
        api.listen.on('connected', () => this.#connected());
        api.listen.on('reconnected', () => {
            this.#failedTries = 0;
            this.#report('reconnected');
        });
        api.listen.on('will-reconnect', () => this.#willReconnect());
        api.listen.on('disconnected', () => this.#disconnected());
        api.listen.on('logout', () => this.#report('left'));
    }

    /** Notes why the server refuses: Converse passes on only its own sentence for it. */
    #watch(connection) {
        const input = connection.xmlInput;
        connection.xmlInput = (element) => {
            for (const space of [SASL, STREAM_ERRORS]) {
                const found = [...element.getElementsByTagNameNS(space, '*')].filter((e) => e.localName in REASONS);
                if (found.length) this.#condition = found[0].localName;
            }
            this.#alive();
            input.call(connection, element);
        };
    }

    /**
     * Logs in: resolves when messages can flow, rejects with LogInError.
     * @param {string} jid the address; with its resource (`fullAddress`) a reload goes on with the very same session
     * @param {string|object} secret the password, or the keys that `keys` gave earlier
     */
    async logIn(jid, secret) {
        try {
            await this.load();
        } catch {
            throw new LogInError('unloadable');
        }
        const ways = [this.#config.websocket, this.#config.bosh].filter(Boolean);
        for (const way of ways) {
            try {
                await this.#tryBy(way, jid, secret);
                return;
            } catch (error) {
                // Only a way that is closed is worth trying another: a wrong password stays wrong.
                if (error.reason !== 'unreachable') throw error;
                // Converse clears a failed connection away twice, the second time a moment later.
                await new Promise((resolve) => setTimeout(resolve, CLEARED_AWAY_MS));
            }
        }
        throw new LogInError('unreachable');
    }

    async #tryBy(way, jid, secret) {
        const { settings } = this.#api;
        const isWebSocket = way === this.#config.websocket;
        settings.set('websocket_url', isWebSocket ? new URL(way, location.href).href.replace(/^http/, 'ws') : '');
        settings.set('bosh_service_url', isWebSocket ? '' : new URL(way, location.href).href);
        settings.set('auto_reconnect', false);
        this.#condition = '';
        let timer;
        const done = new Promise((resolve, reject) => {
            this.#attempt = { resolve, reject };
            this.#alive = () => {
                clearTimeout(timer);
                timer = setTimeout(() => {
                    reject(new LogInError('unreachable'));
                    this.#api.connection.destroy();
                }, SILENCE_MS);
            };
        });
        this.#alive();
        try {
            await this.#api.user.login(jid, secret);
            await done;
        } finally {
            clearTimeout(timer);
            this.#alive = () => {};
            this.#attempt = null;
        }
    }

    #connected() {
        const { settings } = this.#api;
        const { websocket, bosh } = this.#config;
        settings.set('auto_reconnect', true);
        // From here on both ways are known, so that a network that lets only one through is no end.
        if (websocket) settings.set('websocket_url', new URL(websocket, location.href).href.replace(/^http/, 'ws'));
        if (bosh) settings.set('bosh_service_url', new URL(bosh, location.href).href);
        this.#failedTries = 0;
        this.#isOpen = true;
        this.#attempt?.resolve();
    }

    #willReconnect() {
        this.#report('reconnecting');
        // Converse means to change the way by itself, but by then has overwritten the status it decides by.
        this.#failedTries += 1;
        if (this.#failedTries % FAILED_TRIES_BEFORE_OTHER_WAY === 0) this.#api.connection.get()?.switchTransport();
    }

    /**
     * COMPAT(Converse 14.0.0): after a change from the web socket to BOSH, where there is no stream management, it goes
     * on asking for acknowledgements, which ends the stream, again and again. What was not acknowledged is sent anew
     * (unacknowledged.js).
     */
    #withoutAcknowledgements() {
        const { session } = this.#converse;
        if (!this.#api.connection.isType('bosh') || !session.get('smacks_enabled')) return;
        session.save({
            smacks_enabled: false, smacks_stream_id: null, num_stanzas_handled: 0, num_stanzas_handled_by_server: 0,
            num_stanzas_since_last_ack: 0, unacked_stanzas: [],
        });
    }

    #disconnected() {
        let reason = REASONS[this.#condition] ?? 'unreachable';
        if (reason === 'credentials') this.#refusals += 1;
        // The server has one condition for "not now", whatever the cause: after wrong passwords it means "too many".
        if (reason === 'temporary' && this.#refusals) reason = 'throttled';
        if (this.#attempt) this.#attempt.reject(new LogInError(reason));
        else if (this.#isOpen) this.#report('ended', ['unreachable', 'credentials'].includes(reason) ? 'expired' : reason);
        this.#isOpen = false; // a failed log-in may say it twice
    }

    /** The bare address of who is logged in. */
    get address() {
        return this.#converse.session.get('bare_jid');
    }

    /** The same with the resource of this session. */
    get fullAddress() {
        return this.#api.user.jid();
    }

    /**
     * What a reload of this tab can log in with instead of the password, or null: SCRAM keys (RFC 5802), which
     * serve for this account on this server only.
     */
    get keys() {
        return this.#api.connection.get()?.scram_keys ?? null;
    }

    /** Is somebody logged in, if perhaps without a connection at the moment? */
    get isOpen() {
        return this.#isOpen;
    }

    /** Tries again at once, instead of after the usual pause. */
    hurry() {
        const connection = this.#api?.connection.get();
        if (connection?.reconnecting) connection.debouncedReconnect.flush();
    }

    /** Ends the session on the server; `report('left')` follows. */
    logOut() {
        return this.#api.user.logout();
    }
}
