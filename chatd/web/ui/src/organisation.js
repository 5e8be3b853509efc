// Contacts that the organisation's groups keep in the list (docs/protocol.md): they can be renamed, but not taken out.
import { TEXT } from './strings.js';

const NAMESPACE = 'urn:chatd:directory:0';

/** Keeps, with each contact, the groups that the organisation has put it into: Converse reads over them. */
export function organisationGroups(converse, _converse) {
    const { prototype } = _converse.exports.RosterContacts;
    const { updateContact } = prototype;
    prototype.updateContact = function (item) {
        updateContact.call(this, item);
        const contact = this.get(item.getAttribute('jid'));
        const count = Number(item.getAttributeNS(NAMESPACE, 'organisation'));
        const groups = [...item.children].filter(({ localName }) => localName === 'group').slice(0, count).map((group) => group.textContent.trim());
        if (contact && groups.join('\n') !== organisationsOf(contact).join('\n')) contact.save({ organisation: groups });
    };
}

/** The groups that the organisation has put somebody into; with any, nobody can take them out of the contacts. */
export function organisationsOf(contact) {
    return contact?.get('organisation') ?? [];
}

/** Why somebody cannot be removed. */
export function keptSentence(contact) {
    return TEXT.contact.kept(contact.getDisplayName(), organisationsOf(contact).join(', '));
}
