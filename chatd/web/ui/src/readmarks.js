// How far one has read is shared by all of a person's devices (XEP-0490): read here, it is read there.
import { Archive, resultOf } from './archive.js';

const NODE = 'urn:xmpp:mds:displayed:0';
const SID = 'urn:xmpp:sid:0';
const PAUSE_MS = 1_000; // so that quick reading is told once
const RECENT = 200; // messages of all chats that are looked through at log-in

/** Tells what is read here, and takes what was read elsewhere. */
export function readMarks(converse, _converse) {
    const { api } = _converse;
    const { stx, Strophe } = converse.env;
    const told = new Map(); // of a chat the id of the last message that is known to be read
    const timers = new Map();
    const ownerOf = (chat) => (chat.get('type') === 'chatroom' ? chat.get('jid') : _converse.session.get('bare_jid'));
    const idOf = (chat, message) => message.get(`stanza_id ${ownerOf(chat)}`);
    const isTheirs = (message) => message.get('sender') === 'them' && message.get('body') && !message.get('retracted');

    function lastRead(chat) {
        return chat.messages.models.filter((message) => isTheirs(message) && idOf(chat, message)).at(-1);
    }

    async function tell(chat) {
        timers.delete(chat);
        const message = chat.get('num_unread') || chat.isHidden() || !document.hasFocus() ? null : lastRead(chat);
        const id = message && idOf(chat, message);
        const jid = chat.get('jid');
        if (!id || told.get(jid) === id || !api.connection.connected()) return;
        told.set(jid, id);
        const option = (name, value) => stx`<field var="pubsub#${name}"><value>${value}</value></field>`;
        try {
            await api.sendIQ(stx`<iq type="set" xmlns="jabber:client"><pubsub xmlns="http://jabber.org/protocol/pubsub">
                <publish node="${NODE}"><item id="${jid}"><displayed xmlns="${NODE}">
                    <stanza-id xmlns="${SID}" by="${ownerOf(chat)}" id="${id}"/></displayed></item></publish>
                <publish-options><x xmlns="jabber:x:data" type="submit">
                    <field var="FORM_TYPE" type="hidden"><value>http://jabber.org/protocol/pubsub#publish-options</value></field>
                    ${option('persist_items', 'true')}${option('max_items', 'max')}
                    ${option('send_last_published_item', 'never')}${option('access_model', 'whitelist')}
                </x></publish-options></pubsub></iq>`);
        } catch {
            told.delete(jid); // told with the next message that is read
        }
    }

    function soon(chat) {
        if (!timers.has(chat)) timers.set(chat, setTimeout(() => tell(chat), PAUSE_MS));
    }

    /** What was read elsewhere: what came later is all that is unread. */
    function take(jid, id) {
        const chat = _converse.state.chatboxes?.get(jid);
        told.set(jid, id);
        if (!chat?.get('num_unread')) return;
        const at = chat.messages.models.findIndex((message) => idOf(chat, message) === id);
        if (at < 0) return;
        const later = chat.messages.models.slice(at + 1).filter(isTheirs).length;
        if (!later) chat.clearUnreadMsgCounter();
        else if (later < chat.get('num_unread')) chat.save({ num_unread: later });
    }

    /** The marks among these items: address of the chat -> id of the message. */
    function marksIn(items) {
        const marks = new Map();
        for (const item of items?.children ?? []) {
            const jid = item.getAttribute('id');
            const stanzaId = item.getElementsByTagNameNS(SID, 'stanza-id')[0];
            // Ids of another archive mean nothing here.
            const isOurs = [_converse.session.get('bare_jid'), jid].includes(stanzaId?.getAttribute('by'));
            if (isOurs && stanzaId.getAttribute('id')) marks.set(jid, stanzaId.getAttribute('id'));
        }
        return marks;
    }

    function listen() {
        const own = _converse.session.get('bare_jid');
        api.connection.get().addHandler((message) => {
            const from = message.getAttribute('from') ?? own;
            const items = [...message.children].find((child) => child.localName === 'event')?.children[0];
            if (from === own && items?.getAttribute('node') === NODE) marksIn(items).forEach((id, jid) => take(jid, id));
            return true;
        }, 'http://jabber.org/protocol/pubsub#event', 'message');
        catchUp();
    }

    /** What was written and read while nobody was here: Converse counts nothing that it has from the archive. */
    async function catchUp() {
        await Promise.all(['chatBoxesFetched', 'rosterContactsFetched'].map((event) => api.waitUntil(event)));
        let marks;
        let stanzas;
        try {
            const answer = await api.sendIQ(stx`<iq type="get" xmlns="jabber:client">
                <pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="${NODE}"/></pubsub></iq>`);
            marks = marksIn(answer.getElementsByTagName('items')[0]);
            marks.forEach((id, jid) => take(jid, id));
            if (marks.size) ({ stanzas } = await new Archive(converse, _converse).page({ before: '', max: RECENT }));
        } catch {
            return; // nothing was ever read, or the connection is gone again
        }
        for (const [jid, talk] of talksOf(stanzas ?? [])) {
            if (!marks.has(jid)) continue;
            const at = talk.findIndex(({ id }) => id === marks.get(jid));
            const later = talk.slice(at + 1);
            const hasNew = later.slice(later.findLastIndex(({ isMine }) => isMine) + 1).some(({ isSaid }) => isSaid);
            const isCounted = _converse.state.chatboxes.get(jid)?.get('num_unread');
            if (hasNew || isCounted) await recount(jid, marks.get(jid), talk.slice(Math.max(at, 0)));
        }
    }

    /** Messages of the archive by the address of the other one, oldest first. */
    function talksOf(stanzas) {
        const talks = new Map();
        const bare = (jid) => Strophe.getBareJidFromJid(jid ?? '')?.toLowerCase();
        for (const stanza of stanzas) {
            const { id, message } = resultOf(stanza);
            const isMine = bare(message.getAttribute('from')) === _converse.session.get('bare_jid');
            const jid = bare(message.getAttribute(isMine ? 'to' : 'from'));
            const names = [...message.children].map((child) => child.localName);
            const isSaid = names.includes('body') && !['replace', 'retract', 'reactions'].some((name) => names.includes(name));
            talks.set(jid, [...(talks.get(jid) ?? []), { id, stanza, isMine, isSaid }]);
        }
        return talks;
    }

    /** Counts what came after the mark, or after what one has said oneself, unless somebody is looking at the chat. */
    async function recount(jid, mark, talk) {
        const chat = _converse.state.chatboxes.get(jid) ?? await api.chats.get(jid, { hidden: true }, true);
        if (!chat?.isHidden()) return;
        // Once the chat has them, their copies that may be on the way are not counted again.
        await _converse.exports.handleMAMResult(chat, { messages: talk.map(({ stanza }) => stanza) }, {}, {}, false);
        await chat.msg_chain;
        const messages = chat.messages.models;
        const at = messages.findLastIndex((message) => idOf(chat, message) === mark || message.get('sender') === 'me');
        const unread = messages.slice(at + 1).filter(isTheirs);
        if (!unread.length) chat.clearUnreadMsgCounter();
        else if (chat.isHidden()) chat.save({ num_unread: unread.length, first_unread_id: unread[0].get('id') });
    }

    api.listen.on('addClientFeatures', () => api.disco.own.features.add(`${NODE}+notify`));
    api.listen.on('connected', listen);
    api.listen.on('reconnected', listen);
    api.listen.on('chatBoxesInitialized', () => {
        _converse.state.chatboxes.on('change:num_unread change:hidden', soon);
    });
    for (const event of ['chatBoxInitialized', 'chatRoomInitialized']) {
        api.listen.on(event, (chat) => chat.messages.on('add', () => soon(chat)));
    }
    addEventListener('focus', () => _converse.state.chatboxes?.models.filter((chat) => chat.messages).forEach(soon));
}
