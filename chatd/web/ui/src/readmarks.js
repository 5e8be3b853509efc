// How far one has read is shared by all of a person's devices (XEP-0490): read here, it is read there.

const NODE = 'urn:xmpp:mds:displayed:0';
const SID = 'urn:xmpp:sid:0';
const PAUSE_MS = 1_000; // so that quick reading is told once

/** Tells what is read here, and takes what was read elsewhere. */
export function readMarks(converse, _converse) {
    const { api } = _converse;
    const { stx } = converse.env;
    const told = new Map(); // of a chat the id of the last message that is known to be read
    const timers = new Map();
    const ownerOf = (chat) => (chat.get('type') === 'chatroom' ? chat.get('jid') : _converse.session.get('bare_jid'));
    const idOf = (chat, message) => message.get(`stanza_id ${ownerOf(chat)}`);
    const isTheirs = (message) => message.get('sender') === 'them' && message.get('body');

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

    function listen() {
        const own = _converse.session.get('bare_jid');
        api.connection.get().addHandler((message) => {
            const from = message.getAttribute('from') ?? own;
            const items = [...message.children].find((child) => child.localName === 'event')?.children[0];
            if (from === own && items?.getAttribute('node') === NODE) {
                for (const item of items.children) {
                    const id = item.getElementsByTagNameNS(SID, 'stanza-id')[0]?.getAttribute('id');
                    if (id) take(item.getAttribute('id'), id);
                }
            }
            return true;
        }, 'http://jabber.org/protocol/pubsub#event', 'message');
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
