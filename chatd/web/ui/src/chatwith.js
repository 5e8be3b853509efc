// "Chat with …", as the page around the panel asks for it: the chat itself where somebody is a contact, else what adds them.
import { completeAddress, isAddress, namedAddress } from './address.js';

const PATIENCE_MS = 5_000;

/**
 * @param {object} _converse Converse's inner parts, logged in
 * @param {string} address a mail address, perhaps as `Name <address>`
 * @param {string} name
 */
export async function chatWith(_converse, address, name) {
    const { api } = _converse;
    const own = _converse.session.get('bare_jid');
    const both = namedAddress(address) ?? { name: '', jid: completeAddress(address, '') };
    if (!isAddress(both.jid) || both.jid === own) {
        api.controlbox.open();
        return;
    }
    await api.waitUntil('rosterContactsFetched');
    if (await api.contacts.get(both.jid)) {
        _converse.exports.minimize.maximize(await api.chats.open(both.jid, {}, true));
        return;
    }
    api.modal.show('converse-add-contact-modal');
    const field = await found('#chatd-add-jid');
    if (!field) return;
    // The dialog takes people of other domains with a name only.
    const isOwn = both.jid.endsWith(`@${own.split('@').pop()}`);
    const label = (name.trim() || both.name || both.jid.split('@')[0]).replace(/[<>]/g, ' ').trim();
    field.value = isOwn ? both.jid : `${label} <${both.jid}>`;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    const shown = document.getElementById('chatd-add-name');
    if (shown && !shown.value) shown.value = name.trim() || both.name;
}

/** The element when it is to be seen; null where that takes too long. */
async function found(selector) {
    const end = performance.now() + PATIENCE_MS;
    while (performance.now() < end) {
        const element = document.querySelector(selector);
        if (element?.getClientRects().length) return element;
        await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    return null;
}
