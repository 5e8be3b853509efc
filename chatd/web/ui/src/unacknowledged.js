// Messages of which the server has not said that it has them: sent again where their session cannot be resumed (XEP-0198).
const SM = 'urn:xmpp:sm:3';
const CHAT_STATES = 'http://jabber.org/protocol/chatstates';

/** COMPAT(Converse 14.0.0): a session that is not resumed is forgotten, and with it whatever was on the way. */
export function sendAgain(converse, _converse) {
    const { api } = _converse;
    const { Strophe, u } = converse.env;
    const rooms = new Map(); // by address: what waits until one has joined again
    let waiting = [];
    let handled = 0; // so many stanzas of the former session the server had after all

    const isWorth = (stanza) => stanza.nodeName === 'message'
        && (stanza.querySelector('body') || [...stanza.children].every((child) => child.namespaceURI !== CHAT_STATES));

    function send(stanza) {
        stanza.removeAttribute('from'); // the address of the former session, for which the server ends this one
        api.send(stanza);
    }

    /** Called as the list of stanzas changes: acknowledged, or forgotten with the session? */
    function changed(session) {
        if (session.get('smacks_enabled') !== false || session.get('unacked_stanzas')?.length) return;
        const known = Math.max(0, handled - (session.previous('num_stanzas_handled_by_server') ?? 0));
        const lost = (session.previous('unacked_stanzas') ?? []).slice(known).map((xml) => u.toStanza(xml));
        waiting.push(...lost.filter(isWorth));
    }

    function bound() {
        handled = 0;
        for (const stanza of waiting.splice(0)) {
            const to = Strophe.getBareJidFromJid(stanza.getAttribute('to') ?? '');
            if (stanza.getAttribute('type') !== 'groupchat') send(stanza);
            else rooms.set(to, [...(rooms.get(to) ?? []), stanza]);
        }
    }

    api.listen.on('connectionInitialized', () => {
        const connection = api.connection.get();
        const input = connection.xmlInput;
        connection.xmlInput = (element) => {
            if (element.localName === 'failed' && element.namespaceURI === SM) handled = Number(element.getAttribute('h')) || 0;
            input.call(connection, element);
        };
    });
    api.listen.on('userSessionInitialized', () => {
        const { session } = _converse;
        session.off('change:unacked_stanzas', changed);
        session.on('change:unacked_stanzas', changed);
    });
    api.listen.on('connected', bound);
    api.listen.on('reconnected', bound);
    api.listen.on('enteredNewRoom', (room) => {
        const jid = room.get('jid');
        (rooms.get(jid) ?? []).forEach(send);
        rooms.delete(jid);
    });
    api.listen.on('clearSession', () => {
        waiting = [];
        rooms.clear();
    });
}
