// The dialogs of meetings: starting one, a link for later. The list of one's own is in meetinglist.js.
import { buttons } from './contacts.js';
import { icon } from './elements.js';
import { meetings, openMeeting } from './meetings.js';
import { WORDS } from './meetingstrings.js';

const NAME_MOST = 100;
const COPIED_MS = 2_500;

/** Copies a link and says so in the button's own words; `says` sets them for a while. */
export async function copyLink(link, says) {
    try {
        await navigator.clipboard.writeText(link);
        says(WORDS.copied);
        setTimeout(() => says(''), COPIED_MS);
    } catch {
        says(WORDS.copyFailed);
    }
}

/** "Start Meeting": from a chat (`chat` is its model), into which the link is then sent, or from the menu. */
export function startMeeting(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    const words = WORDS.start;

    class StartMeeting extends _converse.exports.BaseModal {
        initialize() {
            super.initialize();
            this.addEventListener('shown.bs.modal', () => this.querySelector('#chatd-meeting-name')?.focus());
        }
        getModalTitle() {
            return this.made ? WORDS.later.title : words.title;
        }
        renderModal() {
            return this.made ? this.renderMade() : this.renderForm();
        }
        renderModalFooter() {
            return '';
        }
        renderForm() {
            const isBusy = Boolean(this.isBusy);
            return html`<form class="chatd-form" @submit=${(event) => this.submit(event)} aria-busy=${isBusy} novalidate>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-meeting-name">${words.name}</label>
                    <input id="chatd-meeting-name" name="name" type="text" class="form-control" autocomplete="off" maxlength=${NAME_MOST}
                           placeholder=${words.example} aria-describedby="chatd-meeting-hint" />
                    <p id="chatd-meeting-hint" class="chatd-form__hint">${this.chat ? words.inChat : words.alone}</p>
                </div>
                <details class="chatd-options">
                    <summary>${words.options}</summary>
                    <div class="chatd-form__field">
                        <label class="form-label" for="chatd-meeting-password">${words.password}</label>
                        <input id="chatd-meeting-password" name="password" type="text" class="form-control" autocomplete="off"
                               autocapitalize="none" spellcheck="false" maxlength=${NAME_MOST} aria-describedby="chatd-meeting-password-hint" />
                        <p id="chatd-meeting-password-hint" class="chatd-form__hint">${words.passwordHint}</p>
                    </div>
                    <div class="form-check">
                        <input id="chatd-meeting-lobby" name="lobby" type="checkbox" class="form-check-input" />
                        <label class="form-check-label" for="chatd-meeting-lobby">${words.lobby}</label>
                    </div>
                    <div class="form-check">
                        <input id="chatd-meeting-e2ee" name="e2ee" type="checkbox" class="form-check-input" />
                        <label class="form-check-label" for="chatd-meeting-e2ee">${words.e2ee}</label>
                    </div>
                </details>
                ${this.chat ? this.renderButtons(isBusy) : html`${this.renderButtons(isBusy)}
                    <button type="submit" name="later" class="btn btn-link chatd-later" ?disabled=${isBusy}>${icon('link', 18)} ${words.later}</button>`}
            </form>`;
        }
        renderButtons(isBusy) {
            return buttons(html, this, isBusy ? words.busy : words.submit);
        }
        renderMade() {
            const { name, link } = this.made;
            const later = WORDS.later;
            return html`<div class="chatd-form">
                <p>${later.text(name)}</p>
                <div class="chatd-link">
                    <input id="chatd-meeting-link" type="text" class="form-control" readonly aria-label=${later.link} .value=${link}
                           @focus=${(event) => event.target.select()} />
                    <button type="button" class="btn btn-secondary chatd-copy" @click=${() => this.copy()}>${WORDS.copy}</button>
                </div>
                <p class="chatd-form__hint" role="status">${this.state.get('copied') ?? ''}</p>
                <div class="chatd-form__buttons">
                    <button type="button" class="btn btn-secondary" @click=${() => this.join()}>${later.join}</button>
                    <button type="button" class="btn btn-primary" @click=${() => this.close()}>${later.done}</button>
                </div>
            </div>`;
        }
        copy() {
            copyLink(this.made.link, (text) => this.state.set('copied', text));
        }
        async submit(event) {
            event.preventDefault();
            if (this.isBusy) return;
            const data = new FormData(event.target);
            const text = (key) => String(data.get(key) ?? '').trim();
            const isLater = event.submitter?.name === 'later';
            this.setBusy(true);
            this.state.set('alert', undefined);
            try {
                this.made = await meetings().create({ name: text('name'), password: text('password'), lobby: data.has('lobby'), e2ee: data.has('e2ee') });
            } catch (error) {
                this.setBusy(false);
                this.alert(error.message, 'danger', false);
                this.querySelector('#chatd-meeting-name')?.focus();
                return;
            }
            this.setBusy(false);
            if (isLater) this.updateComplete.then(() => this.querySelector('#chatd-meeting-link')?.focus());
            else this.join();
        }
        setBusy(isBusy) {
            this.isBusy = isBusy;
            this.requestUpdate();
        }
        /** Sends the link into the chat and opens the meeting, when the dialog is gone, or it would take the focus back. */
        join() {
            const { chat, made } = this;
            chat?.sendMessage({ body: WORDS.start.message(made.name, made.link) });
            this.addEventListener('hidden.bs.modal', () => setTimeout(() => openMeeting(_converse, made)), { once: true });
            this.modal.hide();
        }
    }
    api.elements.define('chatd-start-meeting', StartMeeting);
}
