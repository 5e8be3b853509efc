// Contacts in the panel: what an empty list says, and the dialog that adds somebody.
import { completeAddress, isAddress, namedAddress, shownAddress } from './address.js';
import { Directory, Suggestions } from './directory.js';
import { TEXT } from './strings.js';

/** A contact list without contacts says what to do. */
export function emptyRoster(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    let isFetched = false;
    api.listen.on('rosterContactsFetched', () => {
        isFetched = true;
    });
    class Roster extends _converse.exports.RosterView {
        render() {
            const isEmpty = isFetched && _converse.state.roster?.length === 0;
            return isEmpty ? html`${super.render()}${this.renderEmpty()}` : super.render();
        }
        renderEmpty() {
            return html`<div class="chatd-empty">
                <p class="chatd-empty__title">${TEXT.roster.emptyTitle}</p>
                <p>${TEXT.roster.emptyText}</p>
                <button type="button" class="btn btn-primary" @click=${(event) => this.showAddContactModal(event)}>
                    ${TEXT.roster.add}
                </button>
            </div>`;
        }
    }
    api.elements.define('converse-roster', Roster);
}

/**
 * COMPAT(Converse 14.0.0): after a connection that could not be resumed the contacts still listen to presences that
 * have been thrown away, and all of them stay offline. Ties each to its new one.
 */
export function presenceAfterReconnect(converse, _converse) {
    const { api } = _converse;
    api.listen.on('presencesInitialized', async (isReconnecting) => {
        if (!isReconnecting || api.connection.get().hasResumed()) return;
        for (const contact of _converse.state.roster ?? []) {
            contact.stopListening(contact.presence);
            await contact.setPresence();
            contact.listenTo(contact.presence, 'change:show change:presence', () => {
                api.trigger('contactPresenceChanged', contact);
                contact.trigger('presence:change');
            });
            contact.trigger('presence:change');
        }
    });
}

/** Has this contact been asked and not answered yet? */
function isWaiting(contact) {
    return contact?.get('ask') === 'subscribe' && !['to', 'both'].includes(contact.get('subscription'));
}

/** Until somebody has accepted, the chat says from when on it is possible. */
export function notYetAccepted(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Alert extends api.elements.registry['converse-contact-approval-alert'] {
        render() {
            if (!isWaiting(this.contact)) return super.render();
            return html`<div class="chatd-waiting" role="status">${TEXT.contact.waiting(this.contact.getDisplayName())}</div>`;
        }
    }
    api.elements.define('converse-contact-approval-alert', Alert);
}

const GROUPS_SHOWN = 12;

/** The fields that adding, accepting and changing have in common. */
export function nameAndGroups(html, roster, prefix, name, chosen = []) {
    const words = TEXT.contact;
    const groups = [...new Set((roster ?? []).map((contact) => contact.get('groups') ?? []).flat())].sort();
    const field = (event) => event.target.closest('.chatd-form__field').querySelector('input');
    return html`<div class="chatd-form__field">
            <label class="form-label" for="${prefix}-name">${words.name}</label>
            <input id="${prefix}-name" name="name" type="text" class="form-control" autocomplete="off" .value=${name} />
        </div>
        <div class="chatd-form__field">
            <label class="form-label" for="${prefix}-groups">${words.groups}</label>
            <input id="${prefix}-groups" name="groups" type="text" class="form-control" autocomplete="off"
                   aria-describedby="${prefix}-hint" .value=${chosen.join(', ')} @input=${(event) => markChosen(field(event))} />
            <p id="${prefix}-hint" class="chatd-form__hint">${words.groupsHint}</p>
            ${groups.length
                ? html`<div class="chatd-chips" role="group" aria-label=${words.groupsKnown}>
                      ${groups.slice(0, GROUPS_SHOWN).map(
                          (group) => html`<button type="button" class="chatd-chip" aria-pressed=${chosen.includes(group)} data-group=${group}
                              @click=${(event) => toggleGroup(field(event), group)}>${group}</button>`,
                      )}
                  </div>`
                : ''}
        </div>`;
}

function listed(text) {
    return [...new Set(text.split(',').map((group) => group.trim()))].filter(Boolean);
}

/** Puts a known group into the list in the field, or takes it out. */
function toggleGroup(field, group) {
    const chosen = listed(field.value);
    field.value = (chosen.includes(group) ? chosen.filter((one) => one !== group) : [...chosen, group]).join(', ');
    markChosen(field);
}

function markChosen(field) {
    const chosen = listed(field.value);
    for (const chip of field.closest('.chatd-form__field').querySelectorAll('.chatd-chip')) {
        chip.setAttribute('aria-pressed', String(chosen.includes(chip.dataset.group)));
    }
}

/** What stands in those fields. */
export function readNameAndGroups(form) {
    const data = new FormData(form);
    return { name: String(data.get('name') ?? '').trim(), groups: listed(String(data.get('groups') ?? '')) };
}

/** Both buttons at the foot of a dialog. */
export function buttons(html, dialog, submit, kind = 'btn-primary') {
    return html`<div class="chatd-form__buttons">
        <button type="button" class="btn btn-secondary" @click=${() => dialog.close()}>${TEXT.contact.cancel}</button>
        <button type="submit" class="btn ${kind}">${submit}</button>
    </div>`;
}

/** Opens a chat and puts the cursor into it. */
async function openChat(api, jid) {
    await api.chats.open(jid, {}, true);
    const field = `converse-chat[jid="${CSS.escape(jid)}"] textarea, [data-jid="${CSS.escape(jid)}"] textarea`;
    const deadline = performance.now() + 2000;
    const focus = () => {
        const found = document.querySelector(field);
        if (found) found.focus();
        else if (performance.now() < deadline) requestAnimationFrame(focus);
    };
    focus();
}

/**
 * Adding somebody, in plain words, with labels that belong to their fields. Converse's own dialog asks for an "XMPP
 * Address", closes before the server has answered and has a field that no label belongs to.
 */
export function addContact(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    const { add: words } = TEXT.contact;
    const directory = new Directory(converse, _converse);
    class AddContact extends _converse.exports.AddContactModal {
        getModalTitle() {
            return words.title;
        }
        renderModal() {
            return html`<form class="chatd-form" @submit=${(event) => this.addContactFromForm(event)} novalidate>
                ${this.contact
                    ? html`<input type="hidden" name="jid" .value=${this.contact.get('jid')} />`
                    : html`<div class="chatd-form__field">
                          <label class="form-label" for="chatd-add-jid">
                              ${this.suggestions ? TEXT.contact.directory.label : words.address}
                          </label>
                          <input id="chatd-add-jid" name="jid" type="text" inputmode="email" class="form-control"
                                 autocomplete="off" autocapitalize="none" spellcheck="false"
                                 placeholder=${words.example} .value=${this.state.get('jid') ?? ''} />
                      </div>`}
                ${nameAndGroups(html, _converse.state.roster, 'chatd-add', this.state.get('nickname') ?? '')}
                ${buttons(html, this, words.submit)}
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        /** Where there is a directory to search, people are suggested. */
        async updated(changed) {
            super.updated?.(changed);
            if (this.isAsked || this.contact || !this.querySelector('#chatd-add-jid')) return;
            this.isAsked = true;
            const isThere = await directory.isThere();
            const input = this.querySelector('#chatd-add-jid');
            if (!isThere || !input) return;
            this.suggestions = new Suggestions(input, directory, (person) => this.picked(person));
            this.requestUpdate();
        }
        /** The name that others know a person by goes along, unless one was typed. */
        picked(person) {
            const name = this.querySelector('#chatd-add-name');
            if (!name.value.trim() || name.dataset.suggested === name.value) {
                name.value = person.name;
                name.dataset.suggested = person.name;
            }
            name.focus();
        }
        validateSubmission(jid) {
            let wrong = '';
            if (!isAddress(jid)) wrong = words.invalid;
            else if (jid === _converse.session.get('bare_jid')) wrong = words.yourself;
            else if (!this.contact && _converse.state.roster.get(jid)) wrong = words.known;
            this.alert(wrong || null, 'danger', false);
            if (wrong) this.querySelector('input[name=jid]')?.focus();
            return !wrong;
        }
        async afterSubmission(jid, name, groups) {
            try {
                await api.contacts.add({ jid, name, groups });
            } catch (error) {
                // Somebody of the organisation who has no account yet.
                const isNobody = Boolean(error?.querySelector?.('item-not-found'));
                const why = isNobody ? TEXT.contact.directory.cannot(name || jid) : TEXT.contact.failed;
                this.alert(why, 'danger', false);
                return;
            }
            this.alert(null);
            api.toast.show('contact-added', { type: 'success', body: words.done(name || jid) });
            // The chat opens when the dialog is gone, or the dialog would take the focus back.
            this.addEventListener('hidden.bs.modal', () => setTimeout(() => openChat(api, jid)), { once: true });
            this.modal.hide();
        }
        /**
         * Whom the text in the field means: who was picked or stands first, `Name <name@elsewhere.example>`, or an
         * address of one's own domain. Anything else is nobody: `jid` is empty then.
         */
        meant(typed) {
            if (this.contact) return { jid: typed, name: '' };
            const picked = this.suggestions?.chosen(typed) ?? (typed.includes('@') ? undefined : this.suggestions?.first);
            if (picked) {
                this.querySelector('#chatd-add-jid').value = picked.jid;
                this.picked(picked);
                return { jid: picked.jid, name: picked.name };
            }
            const named = namedAddress(typed);
            if (named) return named;
            const own = _converse.session.get('bare_jid').split('@').pop();
            // With a directory a bare name is a search that found nobody.
            const jid = typed.includes('@') || !this.suggestions ? completeAddress(typed, own) : '';
            return { jid: jid.endsWith(`@${own}`) ? jid : '', name: '' };
        }
        async addContactFromForm(event) {
            event.preventDefault();
            const { jid, name: known } = this.meant(String(new FormData(event.target).get('jid') ?? '').trim());
            const { name, groups } = readNameAndGroups(event.target);
            if (this.validateSubmission(jid)) await this.afterSubmission(jid, name || known, groups);
        }
    }
    api.elements.define('converse-add-contact-modal', AddContact);
}

/** Accepting somebody who asked: the same fields and words. Converse 14.0.0's own dialog fails (`subscribe` is gone). */
export function acceptContact(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    const { accept: words } = TEXT.contact;
    class AcceptContact extends _converse.exports.AcceptContactRequestModal {
        getModalTitle() {
            return words.title;
        }
        renderModal() {
            const name = this.contact.vcard?.get('fullname') ?? this.contact.get('nickname') ?? '';
            return html`<form class="chatd-form" @submit=${(event) => this.acceptContactRequest(event)}>
                <p>${words.text(shownAddress(this.contact.get('jid')))}</p>
                ${nameAndGroups(html, _converse.state.roster, 'chatd-accept', name)}
                ${buttons(html, this, words.submit)}
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        async acceptContactRequest(event) {
            event.preventDefault();
            const { name, groups } = readNameAndGroups(event.target);
            const jid = this.contact.get('jid');
            try {
                await _converse.state.roster.sendContactAddIQ({ jid, name, groups });
            } catch {
                this.alert(TEXT.contact.failed, 'danger', false);
                return;
            }
            this.contact.authorize().subscribeToPresence();
            this.contact.save({ nickname: name, groups });
            api.toast.show('accepted', { type: 'success', body: words.done(name || jid) });
            this.modal.hide();
        }
    }
    api.elements.define('converse-accept-contact-request-modal', AcceptContact);
}
