// Why one is not inside a groupchat, and what one can do about it.
import { TEXT } from './strings.js';

const words = TEXT.rooms;

/** The condition that an error stanza names (RFC 6120 8.3.3). */
function conditionOf(stanza, namespace) {
    const error = stanza.querySelector('error');
    return [...(error?.children ?? [])].find((part) => part.namespaceURI === namespace && part.localName !== 'text')
        ?.localName;
}

/**
 * COMPAT(Converse 14.0.0): it passes over errors of the type wait (a full groupchat, XEP-0045 7.2.9), and over the
 * presence that says that a groupchat was destroyed (10.9). And it does not remember a password that was right.
 */
export function refusals(converse, _converse) {
    const { api } = _converse;
    const { Strophe } = converse.env;
    const { ROOMSTATUS } = converse;
    const room = _converse.exports.MUC.prototype;
    const { onErrorPresence, handleDisconnection } = room;
    room.onErrorPresence = function (stanza) {
        const condition = conditionOf(stanza, Strophe.NS.STANZAS);
        this.session.save({ refusal: condition });
        if (condition === 'not-authorized') this.save({ password: null });
        if (stanza.querySelector('error')?.getAttribute('type') === 'wait') {
            const text = stanza.querySelector('error > text')?.textContent;
            this.setDisconnectionState(words.refused[condition]?.title ?? text, text);
            return;
        }
        onErrorPresence.call(this, stanza);
    };
    api.listen.on('parseMUCPresence', (stanza, attrs) => {
        const destroyed = stanza.querySelector('x > destroy');
        return destroyed
            ? { ...attrs, destroyed: {
                  other: destroyed.getAttribute('jid') ?? '',
                  reason: destroyed.querySelector('reason')?.textContent ?? '',
              } }
            : attrs;
    });
    room.handleDisconnection = function (attrs) {
        if (attrs.is_self && attrs.destroyed) {
            this.save({ moved_jid: attrs.destroyed.other, destroyed_reason: attrs.destroyed.reason });
            this.session.save({ connection_status: ROOMSTATUS.DESTROYED });
            return;
        }
        this.session.save({ refusal: attrs.codes.find((code) => code in words.refused) });
        handleDisconnection.call(this, attrs);
    };
}

/** In the place of the messages: what happened, and a button where there is something to do. */
export function outsideViews(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;

    class Disconnected extends api.elements.registry['converse-muc-disconnected'] {
        async ask() {
            const failed = await this.model.registerNickname();
            this.answer = failed ? words.askFailed : words.askedMember;
            this.requestUpdate();
        }
        render() {
            const { session } = this.model;
            const message = session.get('disconnection_message');
            if (!message) return '';
            const refusal = words.refused[session.get('refusal')] ?? { title: message, showsReason: true, mayRetry: true };
            const actor = session.get('disconnection_actor');
            const reason = refusal.showsReason ? session.get('disconnection_reason') : '';
            return html`<div class="chatd-outside" role="status">
                <h3 class="chatd-outside__title">${refusal.title}${actor ? ` ${words.by(actor)}` : ''}</h3>
                ${reason ? html`<p>${words.reason(reason)}</p>` : ''}
                ${this.answer ? html`<p>${this.answer}</p>` : refusal.text ? html`<p>${refusal.text}</p>` : ''}
                ${refusal.mayAsk && !this.answer
                    ? html`<button type="button" class="btn btn-primary" @click=${() => this.ask()}>${words.askMember}</button>`
                    : ''}
                ${refusal.mayRetry || refusal.mayAsk
                    ? html`<button type="button" class="btn btn-secondary" @click=${() => this.model.rejoin()}>
                          ${words.retry}</button>`
                    : ''}
            </div>`;
        }
    }
    api.elements.define('converse-muc-disconnected', Disconnected);

    class Destroyed extends api.elements.registry['converse-muc-destroyed'] {
        async goOn(event, address) {
            event.preventDefault();
            await this.model.close();
            api.rooms.open(address, { nick: this.model.get('nick') }, true);
        }
        render() {
            const reason = this.model.get('destroyed_reason');
            const other = this.model.get('moved_jid');
            return html`<div class="chatd-outside" role="status">
                <h3 class="chatd-outside__title">${words.gone.title}</h3>
                ${reason ? html`<p>${words.gone.reason(reason)}</p>` : ''}
                ${other
                    ? html`<p>${words.gone.moved}</p>
                          <button type="button" class="btn btn-primary chatd-outside__other"
                                  @click=${(event) => this.goOn(event, other)}>${other}</button>`
                    : ''}
            </div>`;
        }
    }
    api.elements.define('converse-muc-destroyed', Destroyed);

    class Password extends api.elements.registry['converse-muc-password-form'] {
        firstUpdated() {
            this.querySelector('input')?.focus();
        }
        submitPassword(event) {
            event.preventDefault();
            const password = String(new FormData(event.target).get('password') ?? '');
            this.model.save({ password });
            this.model.session.save({ password_tried: true });
            this.model.join(this.model.get('nick'), password);
        }
        render() {
            const isWrong = this.model.session.get('password_tried');
            return html`<form class="chatd-outside" @submit=${(event) => this.submitPassword(event)}>
                <h3 class="chatd-outside__title">${words.password.title}</h3>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-room-password">${words.password.label}</label>
                    <input id="chatd-room-password" name="password" type="password" class="form-control" required
                           autocomplete="off" aria-describedby=${isWrong ? 'chatd-room-password-wrong' : ''} />
                    ${isWrong ? html`<p id="chatd-room-password-wrong" class="chatd-form__problem" role="alert">
                        ${words.password.wrong}</p>` : ''}
                </div>
                <button type="submit" class="btn btn-primary">${words.password.submit}</button>
            </form>`;
        }
    }
    api.elements.define('converse-muc-password-form', Password);

    class Nickname extends api.elements.registry['converse-muc-nickname-form'] {
        firstUpdated() {
            this.querySelector('input')?.focus();
        }
        render() {
            const isInside = this.model?.isEntered();
            const problem = this.model?.get('nickname_validation_message');
            return html`<form class=${isInside ? 'chatd-form' : 'chatd-outside'} novalidate
                              @submit=${(event) => this.submitNickname(event)}>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-nick">${words.nick.label}</label>
                    <input id="chatd-nick" name="nick" type="text" class="form-control" autocomplete="off"
                           .value=${this.model?.get('nick') ?? ''} aria-describedby=${problem ? 'chatd-nick-problem' : ''} />
                    ${problem ? html`<p id="chatd-nick-problem" class="chatd-form__problem" role="alert">${problem}</p>` : ''}
                </div>
                <div class="chatd-form__buttons">
                    ${isInside
                        ? html`<button type="button" class="btn btn-secondary" @click=${() => this.closeModal()}>
                              ${TEXT.contact.cancel}</button>`
                        : ''}
                    <button type="submit" class="btn btn-primary">${isInside ? words.nick.submit : words.nick.enter}</button>
                </div>
            </form>`;
        }
    }
    api.elements.define('converse-muc-nickname-form', Nickname);
}

/** COMPAT(Converse 14.0.0): it counts "1 Participants". */
export function oneParticipant(converse, _converse) {
    const { api } = _converse;
    const { __ } = converse.env.i18n;
    class Occupants extends api.elements.registry['converse-muc-occupants'] {
        render() {
            const result = super.render();
            if (this.model?.occupants.length === 1 && result?.values) {
                result.values = result.values.map((value) => (value === __('Participants') ? __('Participant') : value));
            }
            return result;
        }
    }
    api.elements.define('converse-muc-occupants', Occupants);
}

/** What Converse.js says in the chat of what kind of groupchat this is: once, and in plain words. */
export function plainInfo(converse, _converse) {
    const room = _converse.exports.MUC.prototype;
    const { createInfoMessageFromPresence } = room;
    // Whoever comes back, perhaps after a restart, knows what was said on entering first.
    room.createInfoMessageFromPresence = function (code, attrs) {
        const told = this.get('told') ?? [];
        if (code === '332' || told.includes(code)) return;
        if (attrs.is_self && ['100', '170'].includes(code)) this.save({ told: [...told, code] });
        createInfoMessageFromPresence.call(this, code, attrs);
    };
    if (converse.env.i18n.getLocale() !== 'en') return;
    _converse.api.listen.on('pluginsInitialized', () => {
        Object.assign(_converse.labels.muc.STATUS_CODE_MESSAGES, words.info);
    });
}
