// The dialogs of a groupchat: about it, its settings, destroying it. Who is in it and may do what: roompeople.js.
import { isAddress } from './address.js';
import { buttons } from './contacts.js';
import { roomAddress } from './rooms.js';
import { TEXT } from './strings.js';

const words = TEXT.rooms;
const FORMS = 'jabber:x:data';
const PREFIX = 'muc#roomconfig_';

/** The settings that people look for, in the order in which they are shown; all others come last, folded. */
const GROUPS = {
    about: ['roomname', 'roomdesc'],
    entry: ['publicroom', 'membersonly', 'passwordprotectedroom', 'roomsecret', 'maxusers'],
    rights: ['moderatedroom', 'changesubject', 'allowinvites', 'allowpm', 'whois'],
    kept: ['persistentroom', 'enablearchiving'],
};

/** Why the server refused, in its own words. */
export function reasonOf(error) {
    return error?.querySelector?.('error > text')?.textContent || words.configure.failed;
}

/** A dialog has its cross; a second button to close it only takes room. */
export function oneCloseButton(converse, _converse) {
    _converse.exports.BaseModal.prototype.renderModalFooter = () => '';
}

/** A question has its buttons where all our dialogs have them. */
export function questions(converse, _converse) {
    const { html } = converse.env;
    const question = _converse.api.elements.registry['converse-confirm-modal'].prototype;
    const renderModal = question.renderModal;
    question.renderModal = function () {
        if (this.state.get('fields')?.length) return renderModal.call(this);
        return html`<form class="chatd-form confirm" @submit=${(event) => this.onConfirmation(event)}>
            ${(this.state.get('messages') ?? []).map((text) => html`<p>${text}</p>`)}
            <div class="chatd-form__buttons">
                <button type="button" class="btn btn-secondary" data-bs-dismiss="modal">${TEXT.contact.cancel}</button>
                <button type="submit" class="btn btn-primary">${TEXT.contact.confirm}</button>
            </div>
        </form>`;
    };
}

/** What a groupchat is like, in sentences. */
export function roomDetails(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Details extends api.elements.registry['converse-muc-details-modal'] {
        getModalTitle() {
            return words.details.title;
        }
        renderModal() {
            const { model } = this;
            const { subject, description } = model.toJSON();
            const about = description || model.config?.get('description');
            const inside = model.occupants.filter((one) => one.get('presence') !== 'offline').length;
            const features = Object.entries(words.details.features).filter(([name]) => model.features.get(name));
            return html`<div class="chatd-details">
                <div class="chatd-details__head">
                    <converse-avatar .model=${model} class="avatar" name=${model.getDisplayName()} height="56" width="56"
                        nonce=${model.vcard?.get('vcard_updated')}></converse-avatar>
                    <div><strong>${model.getDisplayName()}</strong><span>${model.get('jid')}</span></div>
                </div>
                ${about ? html`<p>${about}</p>` : ''}
                ${subject?.text
                    ? html`<p><strong>${words.details.topic}:</strong> ${subject.text}
                        ${subject.author ? html`<small>${words.details.topicBy(subject.author)}</small>` : ''}</p>`
                    : ''}
                ${inside ? html`<p>${words.details.inside(inside)}</p>` : ''}
                <ul>${features.map(([name, text]) => html`<li data-feature=${name}>${text}</li>`)}</ul>
            </div>`;
        }
    }
    api.elements.define('converse-muc-details-modal', Details);
}

/** A field of the form of settings, out of its XML. */
function fieldOf(element) {
    const values = (parent) => [...parent.children].filter((part) => part.localName === 'value')
        .map((part) => part.textContent);
    const name = element.getAttribute('var');
    return {
        name,
        id: `chatd-${name.replace(/\W/g, '-')}`,
        key: name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name,
        type: element.getAttribute('type') ?? 'text-single',
        label: element.getAttribute('label') ?? name,
        values: values(element),
        choices: [...element.querySelectorAll('option')].map((option) => ({
            label: option.getAttribute('label'), value: values(option)[0] ?? '',
        })),
    };
}

/** The settings, grouped; what may be chosen several at a time is a list of boxes to tick. */
export function configureRoom(converse, _converse) {
    const { api } = _converse;
    const { html, u } = converse.env;
    class Configure extends api.elements.registry['converse-muc-config-modal'] {
        getModalTitle() {
            return words.configure.title(this.model.getDisplayName());
        }
        /** Asked for anew each time; what is known from the last time may be wrong by now. */
        getConfig() {
            this.model.session.set('config_stanza', '');
            return super.getConfig();
        }
        get fields() {
            const stanza = this.model.session.get('config_stanza');
            return stanza ? [...u.toStanza(stanza).querySelectorAll('x > field')].map(fieldOf) : [];
        }
        renderModal() {
            const { fields } = this;
            if (!fields.length) return html`<p class="chatd-form" role="status">${words.configure.busy}</p>`;
            const shown = fields.filter(({ type }) => type !== 'hidden' && type !== 'fixed');
            const known = Object.values(GROUPS).flat();
            const rest = shown.filter(({ key }) => !known.includes(key));
            return html`<form class="chatd-form chatd-settings" autocomplete="off" novalidate
                              @submit=${(event) => this.submitConfigForm(event)}>
                ${Object.entries(GROUPS).map(([group, keys]) => html`<fieldset>
                    <legend>${words.configure.groups[group]}</legend>
                    ${group === 'about' && this.model.features.get('vcard-temp')
                        ? html`<converse-image-picker .model=${this.model} width="64" height="64"></converse-image-picker>`
                        : ''}
                    ${keys.map((key) => shown.find((field) => field.key === key)).filter(Boolean).map(
                        (field) => this.renderField(field))}
                </fieldset>`)}
                ${rest.length
                    ? html`<details><summary>${words.configure.groups.more}</summary>
                          ${rest.map((field) => this.renderField(field))}</details>`
                    : ''}
                <div class="chatd-form__buttons chatd-form__buttons--staying">
                    ${this.problem ? html`<p class="chatd-form__problem" role="alert">${this.problem}</p>` : ''}
                    <button type="button" class="btn btn-secondary" @click=${() => this.close()}>
                        ${TEXT.contact.cancel}
                    </button>
                    <button type="submit" class="btn btn-primary">${words.configure.submit}</button>
                </div>
            </form>`;
        }
        renderField({ id, name, type, label, values, choices, key }) {
            const labelled = (input, hint) => html`<div class="chatd-form__field" data-setting=${key}>
                <label class="form-label" for=${id}>${label}</label>${input}
                ${hint ? html`<p class="chatd-form__hint">${hint}</p>` : ''}</div>`;
            if (type === 'boolean') {
                return html`<div class="form-check" data-setting=${key}>
                    <input class="form-check-input" type="checkbox" id=${id} name=${name} value="1"
                           ?checked=${['1', 'true'].includes(values[0])} />
                    <label class="form-check-label" for=${id}>${label}</label></div>`;
            }
            if (type === 'list-multi') {
                return html`<fieldset class="chatd-form__field" data-setting=${key}>
                    <legend class="form-label">${label}</legend>
                    ${choices.map((choice, number) => html`<div class="form-check form-check-inline">
                        <input class="form-check-input" type="checkbox" id="${id}-${number}" name=${name}
                               value=${choice.value} ?checked=${values.includes(choice.value)} />
                        <label class="form-check-label" for="${id}-${number}">${choice.label}</label></div>`)}
                </fieldset>`;
            }
            if (type === 'list-single') {
                return labelled(html`<select class="form-select" id=${id} name=${name}>
                    ${choices.map(({ value, label: text }) => html`
                        <option value=${value} ?selected=${values[0] === value}>${text}</option>`)}</select>`);
            }
            if (type.endsWith('-multi')) {
                const hint = type === 'jid-multi' ? words.configure.addresses : '';
                return labelled(html`<textarea class="form-control" id=${id} name=${name} rows="3" spellcheck="false"
                    .value=${values.join('\n')}></textarea>`, hint);
            }
            return labelled(html`<input class="form-control" id=${id} name=${name} type="text" autocomplete="off"
                .value=${values[0] ?? ''} />`);
        }
        /** The filled in form as the elements that `sendConfiguration` takes. */
        read(form) {
            const data = new FormData(form);
            const page = document.implementation.createDocument(FORMS, 'x', null);
            return this.fields.filter(({ type }) => type !== 'fixed').map(({ name, type, values }) => {
                const field = page.createElementNS(FORMS, 'field');
                field.setAttribute('var', name);
                let given = data.getAll(name).map(String);
                if (type === 'hidden') given = values;
                else if (type === 'boolean') given = [given.length ? '1' : '0'];
                else if (type === 'text-multi' || type === 'jid-multi') {
                    given = given.flatMap((text) => text.split('\n')).map((line) => line.trim()).filter(Boolean);
                }
                for (const text of given) {
                    field.appendChild(page.createElementNS(FORMS, 'value')).textContent = text;
                }
                return field;
            });
        }
        async submitConfigForm(event) {
            event.preventDefault();
            try {
                await this.model.sendConfiguration(this.read(event.target));
            } catch (error) {
                this.problem = reasonOf(error);
                this.requestUpdate();
                return;
            }
            const data = new FormData(event.target);
            // Who has set the password gets in again with it.
            if (data.has(`${PREFIX}passwordprotectedroom`)) this.model.save({ password: data.get(`${PREFIX}roomsecret`) });
            await this.setAvatar(event);
            await this.model.refreshDiscoInfo();
            api.toast.show('configured', { type: 'success', body: words.configure.done });
            this.modal.hide();
        }
    }
    api.elements.define('converse-muc-config-modal', Configure);
}

/** Destroying asks once, in plain words, and does not want the address typed. */
export function destroyRoom(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Destroy extends _converse.exports.BaseModal {
        getModalTitle() {
            return words.destroy.title(this.model.getDisplayName());
        }
        renderModal() {
            return html`<form class="chatd-form" @submit=${(event) => this.submit(event)} novalidate>
                <p>${words.destroy.text}</p>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-destroy-reason">${words.destroy.reason}</label>
                    <input id="chatd-destroy-reason" name="reason" type="text" class="form-control" autocomplete="off" />
                </div>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-destroy-other">${words.destroy.other}</label>
                    <input id="chatd-destroy-other" name="other" type="text" class="form-control" autocomplete="off"
                           spellcheck="false" aria-describedby="chatd-destroy-hint" />
                    <p id="chatd-destroy-hint" class="chatd-form__hint">${words.destroy.otherHint}</p>
                </div>
                ${buttons(html, this, words.destroy.submit, 'btn-danger chatd-danger')}
            </form>`;
        }
        async submit(event) {
            event.preventDefault();
            const data = new FormData(event.target);
            const typed = String(data.get('other') ?? '').trim();
            const other = typed ? roomAddress(typed, api.settings.get('muc_domain')) : '';
            if (typed && !isAddress(other)) return this.alert(words.join.invalid, 'danger', false);
            const name = this.model.getDisplayName();
            try {
                await this.model.sendDestroyIQ(String(data.get('reason') ?? '').trim(), other);
            } catch (error) {
                this.alert(reasonOf(error), 'danger', false);
                return;
            }
            await this.model.close();
            api.toast.show('destroyed', { type: 'success', body: words.destroy.done(name) });
            this.modal.hide();
        }
    }
    api.elements.define('chatd-destroy-room', Destroy);
    api.listen.on('getHeadingButtons', (view, buttons) => buttons.map((button) => (
        button.name !== 'destroy' ? button : { ...button, handler: (event) => {
            event?.preventDefault();
            api.modal.show('chatd-destroy-room', { model: view.model }, event);
        } })));
}

/** An entry of the menu to say what a groupchat is about, which Converse has a command for only. */
export function topicOfRoom(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Topic extends _converse.exports.BaseModal {
        initialize() {
            super.initialize();
            this.addEventListener('shown.bs.modal', () => this.querySelector('textarea')?.focus());
        }
        getModalTitle() {
            return words.topic.title(this.model.getDisplayName());
        }
        renderModal() {
            return html`<form class="chatd-form" @submit=${(event) => this.submit(event)} novalidate>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-topic">${words.topic.label}</label>
                    <textarea id="chatd-topic" name="topic" class="form-control" rows="3" maxlength="4000"
                              .value=${this.model.get('subject')?.text ?? ''}></textarea>
                </div>
                ${buttons(html, this, words.topic.submit)}
            </form>`;
        }
        submit(event) {
            event.preventDefault();
            this.model.setSubject(String(new FormData(event.target).get('topic') ?? '').trim());
            this.modal.hide();
        }
    }
    api.elements.define('chatd-room-topic', Topic);
    api.listen.on('getHeadingButtons', (view, buttons) => {
        const { model } = view;
        const role = model.getOwnRole?.();
        const isForAll = ['1', 'true'].includes(String(model.config?.get('changesubject')));
        if (role !== 'moderator' && !(role === 'participant' && isForAll)) return buttons;
        const entry = {
            name: 'topic', a_class: 'chatd-topic-button', icon_class: 'fa-pencil-alt', i18n_text: words.topic.entry,
            i18n_title: words.topic.hint,
            handler: (event) => {
                event?.preventDefault();
                api.modal.show('chatd-room-topic', { model }, event);
            },
        };
        const place = buttons.findIndex(({ name }) => name === 'nickname');
        return [...buttons.slice(0, place), entry, ...buttons.slice(place)];
    });
}
