// What can be done with a contact: name and groups, removing, blocking with or without a report; and the list of those blocked.
import { buttons, nameAndGroups, readNameAndGroups } from './contacts.js';
import { WORDS as MEETINGS } from './meetingstrings.js';
import { keptSentence, organisationsOf } from './organisation.js';
import { isSender } from './recordingcards.js';
import { TEXT } from './strings.js';

const words = TEXT.contact;
const REPORTING = 'urn:xmpp:reporting:1';
const MESSAGES_MOST = 10; // that go along with a report

/**
 * What all dialogs here do when their form is submitted, once at a time: `change` asks the server and gives what is said
 * when it is done; where the server refuses, the dialog stays open and says so, in the words of `refusal`.
 */
async function submit(api, dialog, event, change, refusal = () => words.notDone) {
    event.preventDefault();
    if (dialog.isBusy) return;
    dialog.isBusy = true;
    try {
        const body = await change(event.target);
        api.toast.show(dialog.localName, { type: 'success', body });
        dialog.modal.hide();
    } catch (error) {
        dialog.isBusy = false;
        dialog.alert(refusal(error), 'danger', false);
    }
}

/** The entries of the menu beside each contact, and what the dialog about somebody offers. */
export function contactMenu(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;

    class Contact extends api.elements.registry['converse-roster-contact'] {
        updated(changed) {
            super.updated?.(changed);
            const menu = this.querySelector('converse-dropdown');
            if (!menu || menu.items.isOurs || this.model.get('jid') === _converse.session.get('bare_jid')) return;
            if (isSender(_converse, this.model.get('jid'))) {
                menu.items = menu.items.slice(-1); // it can be taken out of the list
                menu.items.isOurs = true;
                return;
            }
            const isSaved = Boolean(this.model.get('subscription')) && !this.model.get('requesting');
            const isRemovable = isSaved && !organisationsOf(this.model).length;
            const entry = (name, icon, text, dialog) => html`<a class="dropdown-item ${name}" role="button"
                @click=${(event) => api.modal.show(dialog, { contact: this.model, jid: this.model.get('jid') }, event)}>
                <converse-icon class="fa ${icon}" size="1em"></converse-icon> ${text}</a>`;
            const blocking = isBlocked(_converse, this.model.get('jid'))
                ? html`<a class="dropdown-item chatd-unblock" role="button" @click=${() => unblock(_converse, this.model.get('jid'))}>
                    <converse-icon class="fa fa-check" size="1em"></converse-icon> ${words.menu.unblock}</a>`
                : entry('chatd-block', 'fa-minus-circle', words.menu.block, 'chatd-block-modal');
            menu.items = [
                ...(isSaved ? [entry('chatd-edit', 'fa-pencil-alt', words.menu.edit, 'chatd-edit-contact-modal')] : []),
                ...(isSaved ? menu.items.slice(0, -1) : menu.items),
                ...(isRemovable ? [entry('remove-xmpp-contact', 'fa-trash-alt', words.menu.remove, 'chatd-remove-contact-modal')] : []),
                blocking,
            ];
            menu.items.isOurs = true;
        }
    }
    api.elements.define('converse-roster-contact', Contact);

    class Details extends api.elements.registry['converse-user-details-modal'] {
        renderModal() {
            const contact = this.getContact();
            if (isSender(_converse, this.model.get('jid'))) return html`<p class="chatd-form">${MEETINGS.recordings.noAnswer}</p>`;
            return html`${super.renderModal()}${kept(html, contact)}`;
        }
        removeContact(event) {
            event?.preventDefault();
            const contact = this.getContact();
            this.addEventListener('hidden.bs.modal', () => setTimeout(
                () => api.modal.show('chatd-remove-contact-modal', { contact })), { once: true });
            this.modal.hide();
        }
    }
    api.elements.define('converse-user-details-modal', Details);
}

/** Says of a contact that the organisation keeps it; the theme hides Converse's button that removes, then. */
function kept(html, contact) {
    return organisationsOf(contact).length ? html`<p class="chatd-kept">${keptSentence(contact)}</p>` : '';
}

/** Renaming and regrouping, with the groups one has as suggestions. */
export function editContact(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Edit extends _converse.exports.BaseModal {
        initialize() {
            super.initialize();
            this.addEventListener('shown.bs.modal', () => this.querySelector('#chatd-edit-name')?.focus());
        }
        getModalTitle() {
            return words.edit.title(this.contact.getDisplayName());
        }
        renderModal() {
            const { contact } = this;
            return html`<form class="chatd-form" @submit=${(event) => submit(api, this, event, (form) => this.change(form))} novalidate>
                ${kept(html, contact)}
                ${nameAndGroups(html, _converse.state.roster, 'chatd-edit', contact.get('nickname') ?? '', this.ownGroups)}
                ${buttons(html, this, words.edit.submit)}
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        /** Those of the organisation are not one's own to change. */
        get ownGroups() {
            const organisations = organisationsOf(this.contact);
            return (this.contact.get('groups') ?? []).filter((group) => !organisations.includes(group));
        }
        async change(form) {
            const { contact, ownGroups } = this;
            const { name, groups: read } = readNameAndGroups(form);
            // Other clients allow commas in the name of a group; who leaves the field alone keeps it.
            const groups = form.elements.groups.value === ownGroups.join(', ') ? ownGroups : read;
            await _converse.state.roster.sendContactAddIQ({ jid: contact.get('jid'), name, groups });
            contact.save({ nickname: name, groups: [...new Set([...organisationsOf(contact), ...groups])] });
            return words.edit.done(name || contact.getDisplayName());
        }
    }
    api.elements.define('chatd-edit-contact-modal', Edit);
}

/**
 * Takes somebody out of the contacts, which the server tells the other side (RFC 6121, 2.5.2); throws what it refuses with.
 * Converse's own way takes a refusal for success, and forgets only here who has no subscription.
 */
async function takeOut(contact) {
    await contact.sendRosterRemoveStanza();
    if (contact.collection) contact.destroy();
}

/** Takes somebody out of the contacts, on both sides. */
export function removeContact(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Remove extends _converse.exports.BaseModal {
        getModalTitle() {
            return words.remove.title(this.contact.getDisplayName());
        }
        renderModal() {
            return html`<form class="chatd-form" @submit=${(event) => submit(api, this, event, () => this.change(), this.refusal)}>
                <p>${words.remove.text}</p>
                ${buttons(html, this, words.remove.submit, 'btn-danger chatd-danger')}
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        /** Somebody may have come into a group of the organisation just now. */
        refusal(error) {
            return error?.querySelector?.('not-allowed') ? words.remove.refused : words.notDone;
        }
        async change() {
            const { contact } = this;
            const name = contact.getDisplayName();
            await takeOut(contact);
            (await api.chats.get(contact.get('jid')))?.close();
            return words.remove.done(name);
        }
    }
    api.elements.define('chatd-remove-contact-modal', Remove);
}

function isBlocked(_converse, jid) {
    return Boolean(_converse.state.blocklist?.get(jid));
}

function nameOf(_converse, jid) {
    return _converse.state.roster?.get(jid)?.getDisplayName() ?? jid;
}

async function unblock(_converse, jid) {
    const { api } = _converse;
    try {
        await api.blocklist.remove(jid);
        api.toast.show('unblocked', { type: 'success', body: words.blocked.done(nameOf(_converse, jid)) });
    } catch {
        api.toast.show('unblocked', { type: 'danger', body: words.failed });
    }
}

/** Blocking somebody, who may be reported with it (XEP-0377). */
export function blockContact(converse, _converse) {
    const { api } = _converse;
    const { html, stx } = converse.env;
    class Block extends _converse.exports.BaseModal {
        async initialize() {
            super.initialize();
            this.mayReport = await api.disco.supports(REPORTING, _converse.session.get('domain'));
            this.requestUpdate();
        }
        getModalTitle() {
            return words.block.title(nameOf(_converse, this.jid));
        }
        renderModalFooter() {
            return '';
        }
        box(name, text, isChecked = false) {
            return html`<div class="form-check">
                <input id="chatd-block-${name}" name=${name} type="checkbox" class="form-check-input" .checked=${isChecked}
                       @change=${() => this.requestUpdate()} />
                <label class="form-check-label" for="chatd-block-${name}">${text}</label>
            </div>`;
        }
        renderModal() {
            const isReport = Boolean(this.querySelector('#chatd-block-report')?.checked);
            const contact = _converse.state.roster.get(this.jid);
            const isRemovable = contact?.get('subscription') && !organisationsOf(contact).length;
            return html`<form class="chatd-form" @submit=${(event) => submit(api, this, event, (form) => this.change(form))} novalidate>
                <p>${words.block.text}</p>
                ${isRemovable ? this.box('remove', words.block.remove) : ''}
                ${this.mayReport ? this.box('report', words.block.report) : ''}
                <div class="chatd-report" ?hidden=${!isReport}>
                    <fieldset>
                        <legend class="form-label">${words.block.why}</legend>
                        ${Object.entries(words.block.reasons).map(([reason, text], number) => html`<div class="form-check">
                            <input id="chatd-reason-${reason}" name="reason" type="radio" class="form-check-input" value=${reason} ?checked=${!number} />
                            <label class="form-check-label" for="chatd-reason-${reason}">${text}</label>
                        </div>`)}
                    </fieldset>
                    <div class="chatd-form__field">
                        <label class="form-label" for="chatd-report-says">${words.block.says}</label>
                        <textarea id="chatd-report-says" name="says" class="form-control" maxlength="2000" rows="3"></textarea>
                    </div>
                    ${this.box('messages', words.block.messages, true)}
                </div>
                ${buttons(html, this, isReport ? words.block.submitReport : words.block.submit, 'btn-danger chatd-danger')}
            </form>`;
        }
        /** Archive ids of what this person wrote last, as far as the chat has it. */
        async messageIds() {
            const own = _converse.session.get('bare_jid');
            const chat = await api.chats.get(this.jid);
            return (chat?.messages.filter((one) => one.get('sender') === 'them') ?? [])
                .map((one) => one.get(`stanza_id ${own}`)).filter(Boolean).slice(-MESSAGES_MOST);
        }
        async report(data) {
            const own = _converse.session.get('bare_jid');
            const ids = data.has('messages') ? await this.messageIds() : [];
            const says = String(data.get('says') ?? '').trim();
            return stx`<report xmlns="${REPORTING}" reason="urn:xmpp:reporting:${data.get('reason')}">
                ${ids.map((id) => stx`<stanza-id xmlns="urn:xmpp:sid:0" by="${own}" id="${id}"/>`)}
                ${says ? stx`<text>${says}</text>` : ''}</report>`;
        }
        async change(form) {
            const data = new FormData(form);
            const name = nameOf(_converse, this.jid);
            const isReport = data.has('report');
            // Who presses again because the last step failed does not report twice.
            if (!this.isDone) await api.sendIQ(stx`<iq type="set" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking"><item jid="${this.jid}">
                ${isReport ? await this.report(data) : ''}</item></block></iq>`);
            this.isDone = true;
            if (!isBlocked(_converse, this.jid)) await api.blocklist.add(this.jid, false);
            const contact = _converse.state.roster.get(this.jid);
            if (data.has('remove') && contact) {
                await takeOut(contact);
                (await api.chats.get(this.jid))?.close();
            }
            return isReport ? words.block.reported(name) : words.block.done(name);
        }
    }
    api.elements.define('chatd-block-modal', Block);
}

/** Whom one has blocked, each with the button that ends it. */
export function blockedPeople(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Blocked extends api.elements.registry['converse-blocklist-modal'] {
        getModalTitle() {
            return words.blocked.title;
        }
        renderModalFooter() {
            return '';
        }
        renderModal() {
            const jids = (this.blocklist?.map((one) => one.get('jid')) ?? []).sort();
            if (!jids.length) return html`<p class="chatd-form">${words.blocked.none}</p>`;
            return html`<ul class="chatd-blocked">${jids.map((jid) => html`<li>
                <span><strong>${nameOf(_converse, jid)}</strong>${nameOf(_converse, jid) === jid ? '' : html`<span>${jid}</span>`}</span>
                <button type="button" class="btn btn-secondary" aria-label=${words.blocked.label(nameOf(_converse, jid))}
                    @click=${() => this.end(jid)}>${words.blocked.unblock}</button></li>`)}</ul>`;
        }
        async end(jid) {
            await unblock(_converse, jid);
            await this.updateComplete;
            (this.querySelector('.chatd-blocked button') ?? this.querySelector('.modal-header button'))?.focus();
        }
    }
    api.elements.define('converse-blocklist-modal', Blocked);
}

/** In the chat: the menu's entries, and that somebody is blocked, in the place of the field to write in. */
export function blockedInChat(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    api.listen.on('getHeadingButtons', (heading, given) => {
        const { model } = heading;
        if (model.get('type') !== 'chatbox') return given;
        const jid = model.get('jid');
        const others = given.filter(({ name }) => name !== 'block' && name !== 'unblock');
        const isOurs = jid === _converse.session.get('bare_jid');
        if (isOurs || !_converse.state.blocklist) return others;
        const entry = isBlocked(_converse, jid)
            ? { name: 'unblock', icon_class: 'fa-check', i18n_text: words.menu.unblock, handler: () => unblock(_converse, jid) }
            : { name: 'block', icon_class: 'fa-minus-circle', i18n_text: words.menu.block, handler: (event) => api.modal.show('chatd-block-modal', { jid }, event) };
        const handler = (event) => {
            event.preventDefault();
            entry.handler(event);
        };
        return [...others, { ...entry, handler, a_class: `chatd-${entry.name}`, i18n_title: entry.i18n_text, standalone: false }];
    });

    class Alert extends api.elements.registry['converse-contact-approval-alert'] {
        render() {
            const jid = this.contact.get('jid');
            if (!isBlocked(_converse, jid)) return super.render();
            return html`<div class="chatd-waiting chatd-blocked-chat" role="status"><p>${words.block.is(this.contact.getDisplayName())}</p>
                <button type="button" class="btn btn-secondary" @click=${() => unblock(_converse, jid)}>${words.menu.unblock}</button></div>`;
        }
    }
    api.elements.define('converse-contact-approval-alert', Alert);

    const redraw = () => {
        const shown = 'converse-chat-heading, converse-contact-approval-alert, converse-roster-contact, converse-chat';
        for (const element of document.querySelectorAll(shown)) element.requestUpdate();
    };
    api.listen.on('blocklistInitialized', (list) => {
        list.on('add remove', redraw);
        redraw(); // contacts and chats may have been drawn before the list came
    });
}
