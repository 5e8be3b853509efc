// Contacts in the panel: what an empty list says, and the dialog that adds somebody.
import { completeAddress, isAddress } from './address.js';
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

/** The fields that adding and accepting have in common. */
function nameAndGroups(html, roster, prefix, name) {
    const words = TEXT.contact;
    const groups = new Set((roster ?? []).map((contact) => contact.get('groups') ?? []).flat());
    return html`<div class="chatd-form__field">
            <label class="form-label" for="${prefix}-name">${words.name}</label>
            <input id="${prefix}-name" name="name" type="text" class="form-control" autocomplete="off" .value=${name} />
        </div>
        <div class="chatd-form__field">
            <label class="form-label" for="${prefix}-groups">${words.groups}</label>
            <input id="${prefix}-groups" name="groups" type="text" class="form-control" autocomplete="off"
                   list="${prefix}-known" aria-describedby="${prefix}-hint" />
            <datalist id="${prefix}-known">
                ${[...groups].sort().map((group) => html`<option value=${group}></option>`)}
            </datalist>
            <p id="${prefix}-hint" class="chatd-form__hint">${words.groupsHint}</p>
        </div>`;
}

/** What stands in those fields. */
function readNameAndGroups(form) {
    const data = new FormData(form);
    const groups = String(data.get('groups') ?? '').split(',').map((group) => group.trim());
    return { name: String(data.get('name') ?? '').trim(), groups: groups.filter(Boolean) };
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
                                 placeholder=${TEXT.login.example} .value=${this.state.get('jid') ?? ''} />
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
            if (!jid) wrong = words.missing;
            else if (!isAddress(jid)) wrong = words.invalid;
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
        async addContactFromForm(event) {
            event.preventDefault();
            let typed = new FormData(event.target).get('jid');
            const first = String(typed).includes('@') ? undefined : this.suggestions?.first;
            if (first) {
                typed = first.jid;
                this.querySelector('#chatd-add-jid').value = typed;
                this.picked(first);
            }
            const jid = completeAddress(String(typed ?? ''), api.settings.get('default_domain'));
            const { name, groups } = readNameAndGroups(event.target);
            if (this.validateSubmission(jid)) await this.afterSubmission(jid, name, groups);
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
                <p>${words.text(this.contact.get('jid'))}</p>
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
