// The archive of a chat or groupchat (XEP-0313): pages of it as they are, searched for words (XEP-0431), and put into the chat.

const FULLTEXT = 'urn:xmpp:fulltext:0';
const PATIENCE_MS = 30_000;
const AROUND = 25; // messages fetched on each side of one
let serial = 0;

/** One chat's part of an archive, the person's own or the room's; without a chat all of the person's own. */
export class Archive {
    #env;
    #_converse;
    #model;
    #isRoom;

    constructor(converse, _converse, model) {
        this.#env = converse.env;
        this.#_converse = _converse;
        this.#model = model;
        this.#isRoom = model?.get('type') === 'chatroom';
    }

    /** Whose archive it is. */
    get owner() {
        return this.#isRoom ? this.#model.get('jid') : this.#_converse.session.get('bare_jid');
    }

    /** Can it be searched? */
    isSearchable() {
        return this.#_converse.api.disco.supports(FULLTEXT, this.owner);
    }

    /**
     * One page, oldest message first.
     * @param {{words?: string, with?: string, before?: string, after?: string, max: number}} asked `before: ''` is the last page;
     *     `with`: of one chat, where the archive is of all
     * @returns {Promise<{stanzas: Element[], first: string, complete: boolean}>} rejects with the server's answer, or null for none
     */
    async page({ words = '', with: other = this.#isRoom ? '' : this.#model?.get('jid'), before, after, max }) {
        const { stx, Strophe } = this.#env;
        const { api } = this.#_converse;
        const { owner } = this;
        serial += 1;
        const queryid = `chatd-${serial}-${Date.now()}`;
        const field = (name, value) => stx`<field var="${name}"><value>${value}</value></field>`;
        const stanzas = [];
        const connection = api.connection.get();
        const handler = connection.addHandler((stanza) => {
            const result = stanza.getElementsByTagNameNS(Strophe.NS.MAM, 'result')[0];
            const from = stanza.getAttribute('from') ?? owner;
            // Anybody can send something that looks like a result.
            if (from === owner && result?.parentNode === stanza && result.getAttribute('queryid') === queryid) stanzas.push(stanza);
            return true;
        }, Strophe.NS.MAM, 'message');
        try {
            const answer = await api.sendIQ(stx`<iq type="set" to="${owner}" xmlns="jabber:client">
                <query xmlns="${Strophe.NS.MAM}" queryid="${queryid}">
                    <x xmlns="jabber:x:data" type="submit">
                        <field var="FORM_TYPE" type="hidden"><value>${Strophe.NS.MAM}</value></field>
                        ${other ? field('with', other) : ''}
                        ${words ? field(`{${FULLTEXT}}fulltext`, words) : ''}
                    </x>
                    <set xmlns="${Strophe.NS.RSM}"><max>${max}</max>
                        ${before === undefined ? '' : stx`<before>${before}</before>`}
                        ${after === undefined ? '' : stx`<after>${after}</after>`}
                    </set>
                </query></iq>`, PATIENCE_MS);
            const fin = answer.getElementsByTagNameNS(Strophe.NS.MAM, 'fin')[0];
            return {
                stanzas, first: fin?.getElementsByTagName('first')[0]?.textContent ?? '',
                complete: fin?.getAttribute('complete') === 'true',
            };
        } finally {
            connection.deleteHandler(handler);
        }
    }

    /** The id that the archive has for a message which the chat holds. */
    idOf(message) {
        return message.get(`stanza_id ${this.owner}`);
    }

    /**
     * Puts a message into the chat with some on each side of it. What is missing between those and what the chat had is fetched by
     * Converse when somebody scrolls there.
     */
    async loadAround(id) {
        const model = this.#model;
        const { handleMAMResult, MAMPlaceholderMessage } = this.#_converse.exports;
        const older = await this.page({ before: id, max: AROUND });
        const last = older.stanzas.length ? resultOf(older.stanzas.at(-1)).id : undefined;
        const newer = await this.page({ after: last, max: AROUND });
        const stanzas = [...older.stanzas, ...newer.stanzas];
        const ids = new Set(stanzas.map((stanza) => resultOf(stanza).id));
        const known = model.messages.filter((message) => ids.has(this.idOf(message)));
        const top = model.messages.models.filter((message) => message instanceof MAMPlaceholderMessage && !message.get('start'));
        await handleMAMResult(model, { messages: stanzas }, {}, {}, false);
        await model.msg_chain;
        const newest = stanzas.length ? resultOf(stanzas.at(-1)).stamp : '';
        for (const placeholder of top) {
            // It stood for all that was older than what the chat had.
            if (known.length || newer.complete) placeholder.destroy();
            else placeholder.set({ start: newest });
        }
        if (!older.complete && older.stanzas.length) {
            const { id: before, stamp } = resultOf(older.stanzas[0]);
            const time = new Date(new Date(stamp).getTime() - 1).toISOString();
            model.messages.add(new MAMPlaceholderMessage({ before, time, template_hook: 'getMessageTemplate' }));
        }
    }
}

/** What a result is about: {id, stamp, message}. */
export function resultOf(stanza) {
    const result = [...stanza.children].find((child) => child.localName === 'result');
    const forwarded = result.children[0];
    const part = (name) => [...forwarded.children].find((child) => child.localName === name);
    return { id: result.getAttribute('id'), stamp: part('delay')?.getAttribute('stamp') ?? '', message: part('message') };
}
