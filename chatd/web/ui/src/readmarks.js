// How far one has read is shared by all of a person's devices (XEP-0490): read here, it is read there.
import { Archive, resultOf } from './archive.js';

const NODE = 'urn:xmpp:mds:displayed:0';
const SID = 'urn:xmpp:sid:0';
const PAUSE_MS = 1_000; // so that quick reading is told once
const RECENT = 200; // messages of all chats that are looked through at log-in
const FAR_CHATS = 50; // whose last read message is further back: so many are asked for, those with new messages first
const CAUGHT_UP = 'chatd-caught-up'; // [whose archive, id of its last message] when all that is unread was known
const FAR_MOST = 100; // messages fetched of such a chat; Converse shows 99+ for as many unread ones

/** Tells what is read here, and takes what was read elsewhere. */
export function readMarks(converse, _converse) {
    const { api } = _converse;
    const { stx, Strophe } = converse.env;
    const told = new Map(); // of a chat the id of the last message that is known to be read
    const timers = new Map();
    let catches = 0;
    const ownerOf = (chat) => (chat.get('type') === 'chatroom' ? chat.get('jid') : _converse.session.get('bare_jid'));
    const idOf = (chat, message) => message.get(`stanza_id ${ownerOf(chat)}`);
    /** What Converse counts: in a groupchat all messages, and beside them those that mention the person. */
    const counterOf = (chat) => (chat.get('type') === 'chatroom' ? 'num_unread_general' : 'num_unread');
    const unreadOf = (chat) => chat?.get(counterOf(chat)) || chat?.get('num_unread') || 0;
    const isTheirs = (message) => message.get('sender') === 'them' && message.get('body') && !message.get('retracted');

    function lastRead(chat) {
        return chat.messages.models.filter((message) => isTheirs(message) && idOf(chat, message)).at(-1);
    }

    async function tell(chat) {
        timers.delete(chat);
        const message = unreadOf(chat) || chat.isHidden() || !document.hasFocus() ? null : lastRead(chat);
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
        if (!unreadOf(chat)) return;
        const at = chat.messages.models.findIndex((message) => idOf(chat, message) === id);
        if (at < 0) return;
        const later = chat.messages.models.slice(at + 1).filter(isTheirs);
        if (!later.length) {
            chat.clearUnreadMsgCounter();
            return;
        }
        const counts = { [counterOf(chat)]: later.length };
        if (chat.get('type') === 'chatroom') counts.num_unread = later.filter((message) => chat.isUserMentioned(message)).length;
        for (const name of Object.keys(counts)) counts[name] = Math.min(counts[name], chat.get(name));
        chat.save(counts);
    }

    /** The marks among these items: address of the chat -> id of the message, in one's own archive or, unless only that is wanted, a room's. */
    function marksIn(items, isOwnOnly = false) {
        const marks = new Map();
        for (const item of items?.children ?? []) {
            const jid = item.getAttribute('id');
            const stanzaId = item.getElementsByTagNameNS(SID, 'stanza-id')[0];
            // Ids of another archive mean nothing here.
            const owners = isOwnOnly ? [] : [jid];
            const isOurs = [...owners, _converse.session.get('bare_jid')].includes(stanzaId?.getAttribute('by'));
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
        const mine = ++catches;
        await Promise.all(['chatBoxesFetched', 'rosterContactsFetched'].map((event) => api.waitUntil(event)));
        const archive = new Archive(converse, _converse);
        let marks;
        let recent;
        try {
            const answer = await api.sendIQ(stx`<iq type="get" xmlns="jabber:client">
                <pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="${NODE}"/></pubsub></iq>`);
            const items = answer.getElementsByTagName('items')[0];
            marksIn(items).forEach((id, jid) => take(jid, id));
            marks = marksIn(items, true);
            if (!marks.size) return;
            recent = await archive.page({ before: '', max: RECENT });
        } catch {
            return; // nothing was ever read, or the connection is gone again
        }
        const talks = talksOf(recent.stanzas);
        const fresh = newIn(recent.stanzas);
        const far = [];
        for (const [jid, mark] of marks) {
            const talk = talks.get(jid) ?? [];
            const at = talk.findIndex(({ id }) => id === mark);
            if (at < 0 && !recent.complete && !talk.some(({ isMine }) => isMine)) {
                const isNew = !fresh || talk.some(({ id }) => fresh.has(id)) || unreadOf(_converse.state.chatboxes.get(jid));
                if (isNew) far.push(jid);
            } else if (talk.length) await recountIfNew(jid, mark, talk.slice(Math.max(at, 0)));
        }
        far.reverse().sort((one, other) => talks.has(other) - talks.has(one));
        for (const jid of far.slice(0, FAR_CHATS)) {
            const mark = marks.get(jid);
            await catchUpFar(archive, jid, mark).catch(() => recountIfNew(jid, mark, talks.get(jid) ?? []));
        }
        if (mine === catches && api.connection.connected()) caughtUp(recent.stanzas);
    }

    /** The ids of those that came since the last time in this tab; null where that is too long ago, and for the first time. */
    function newIn(stanzas) {
        const [own, last] = JSON.parse(sessionStorage.getItem(CAUGHT_UP) ?? '[]');
        const ids = stanzas.map((stanza) => resultOf(stanza).id);
        return own === _converse.session.get('bare_jid') && ids.includes(last) ? new Set(ids.slice(ids.indexOf(last) + 1)) : null;
    }

    function caughtUp(stanzas) {
        if (!stanzas.length) return;
        sessionStorage.setItem(CAUGHT_UP, JSON.stringify([_converse.session.get('bare_jid'), resultOf(stanzas.at(-1)).id]));
    }

    /** The same for a chat that was last read before all the recent messages; rejects where the archive has forgotten that. */
    async function catchUpFar(archive, jid, mark) {
        const next = await archive.page({ with: jid, after: mark, max: FAR_MOST });
        const talk = talksOf(next.stanzas).get(jid) ?? [];
        if (next.complete) {
            await recountIfNew(jid, mark, talk);
            return;
        }
        // More than is worth fetching: what was said since the person's own last words, or 99+.
        const last = talksOf((await archive.page({ with: jid, before: '', max: FAR_MOST })).stanzas).get(jid) ?? [];
        const mine = last.findLastIndex(({ isMine }) => isMine);
        const count = mine < 0 ? FAR_MOST : last.slice(mine + 1).filter(({ isSaid }) => isSaid).length;
        const chat = count ? await chatWith(jid) : null;
        if (chat?.isHidden()) chat.save({ num_unread: count });
    }

    function chatWith(jid) {
        return _converse.state.chatboxes.get(jid) ?? api.chats.get(jid, { hidden: true }, true);
    }

    async function recountIfNew(jid, mark, talk) {
        const later = talk.slice(talk.findLastIndex(({ id, isMine }) => id === mark || isMine) + 1);
        if (later.some(({ isSaid }) => isSaid) || unreadOf(_converse.state.chatboxes.get(jid))) await recount(jid, mark, talk);
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
        const chat = await chatWith(jid);
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
    api.listen.on('clearSession', () => sessionStorage.removeItem(CAUGHT_UP));
    api.listen.on('connected', listen);
    api.listen.on('reconnected', listen);
    api.listen.on('chatBoxesInitialized', () => {
        _converse.state.chatboxes.on('change:num_unread change:num_unread_general change:hidden', soon);
    });
    for (const event of ['chatBoxInitialized', 'chatRoomInitialized']) {
        api.listen.on(event, (chat) => chat.messages.on('add', () => soon(chat)));
    }
    addEventListener('focus', () => _converse.state.chatboxes?.models.filter((chat) => chat.messages).forEach(soon));
}
