// Contacts in the panel: what an empty list says, and the dialog that adds somebody.
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
 * The dialog in plain words, with labels that belong to their fields. Converse's own asks for an "XMPP Address",
 * closes before the server has answered and has a field that no label belongs to.
 */
export function addContact(converse, _converse) {
    const { api } = _converse;
    const { html, u } = converse.env;
    const { add: words } = TEXT.contact;
    class AddContact extends _converse.exports.AddContactModal {
        getModalTitle() {
            return words.title;
        }
        renderModal() {
            const groups = new Set((_converse.state.roster ?? []).map((contact) => contact.get('groups') ?? []).flat());
            return html`<form class="chatd-form" @submit=${(event) => this.addContactFromForm(event)} novalidate>
                ${this.contact
                    ? html`<input type="hidden" name="jid" .value=${this.contact.get('jid')} />`
                    : html`<div class="chatd-form__field">
                          <label class="form-label" for="chatd-add-jid">${words.address}</label>
                          <input id="chatd-add-jid" name="jid" type="text" inputmode="email" class="form-control"
                                 autocomplete="off" autocapitalize="none" spellcheck="false"
                                 placeholder="name@example.org" .value=${this.state.get('jid') ?? ''} />
                      </div>`}
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-add-name">${words.name}</label>
                    <input id="chatd-add-name" name="name" type="text" class="form-control" autocomplete="off"
                           .value=${this.state.get('nickname') ?? ''} />
                </div>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-add-groups">${words.groups}</label>
                    <input id="chatd-add-groups" name="groups" type="text" class="form-control" autocomplete="off"
                           list="chatd-add-known" aria-describedby="chatd-add-hint" />
                    <datalist id="chatd-add-known">
                        ${[...groups].sort().map((group) => html`<option value=${group}></option>`)}
                    </datalist>
                    <p id="chatd-add-hint" class="chatd-form__hint">${words.groupsHint}</p>
                </div>
                <div class="chatd-form__buttons">
                    <button type="button" class="btn btn-secondary" @click=${() => this.close()}>${words.cancel}</button>
                    <button type="submit" class="btn btn-primary">${words.submit}</button>
                </div>
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        validateSubmission(jid) {
            const wrong = !jid
                ? words.missing
                : !u.isValidJID(jid)
                  ? words.invalid
                  : jid === _converse.session.get('bare_jid')
                    ? words.yourself
                    : !this.contact && _converse.state.roster.get(jid)
                      ? words.known
                      : '';
            this.alert(wrong || null, 'danger', false);
            if (wrong) this.querySelector('input[name=jid]')?.focus();
            return !wrong;
        }
        async afterSubmission(jid, name, groups) {
            try {
                await api.contacts.add({ jid, name, groups });
            } catch {
                this.alert(words.failed, 'danger', false);
                return;
            }
            this.alert(null);
            api.toast.show('contact-added', { type: 'success', body: words.done(name || jid) });
            this.modal.hide();
            api.chats.open(jid, {}, true);
        }
        async addContactFromForm(event) {
            event.preventDefault();
            const data = new FormData(event.target);
            const jid = u.maybeAppendDomain(String(data.get('jid') ?? '').trim().toLowerCase());
            const groups = String(data.get('groups') ?? '').split(',').map((group) => group.trim()).filter(Boolean);
            if (this.validateSubmission(jid)) {
                await this.afterSubmission(jid, String(data.get('name') ?? '').trim(), groups);
            }
        }
    }
    api.elements.define('converse-add-contact-modal', AddContact);
}
