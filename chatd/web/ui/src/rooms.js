// Groupchats in the panel: the menu of their list and the dialogs that make, join, find and invite, in plain words.
import { completeAddress, isAddress } from './address.js';
import { buttons } from './contacts.js';
import { TEXT } from './strings.js';

const words = TEXT.rooms;
const MANY_ROOMS = 8; // from so many on there is a filter

/** The service for groupchats of a domain. */
export function roomsServiceOf(domain) {
    return `conference.${domain}`;
}

/**
 * The address of the groupchat that somebody types: a name becomes one at `service`, an address stays. Letters of all
 * alphabets are kept; what an address cannot hold (RFC 7622 3.3) becomes a dash. Empty where nothing is left.
 */
export function roomAddress(typed, service) {
    const text = typed.trim().normalize('NFKC').toLowerCase();
    if (text.includes('@')) return text;
    const local = text.replace(/[^\p{L}\p{M}\p{N}!-~]|["&'/:<>]/gu, '-').replace(/-+/g, '-').replace(/^-|-$/g, '');
    return local && `${local}@${service}`;
}

/** Each person's groupchats are at the service of their own domain. */
export function ownRoomsService(converse, _converse) {
    const { api } = _converse;
    const choose = () => api.settings.set('muc_domain', roomsServiceOf(_converse.session.get('domain')));
    api.listen.on('connected', choose);
    api.listen.on('reconnected', choose);
}

/**
 * Groupchats one is in are the same in all of one's browsers and clients (XEP-0402): entered in one, they are entered in
 * the others, there minimised, so that nothing jumps into view; left in one, they are left in all. One that was ended, or
 * that one was banned from, is not entered again by itself.
 * COMPAT(Converse 14.0.0): it asks to be told of the former kind of bookmarks only, and opens the window of each.
 */
export function sharedRooms(converse, _converse) {
    const { api } = _converse;
    api.listen.on('addClientFeatures', () => api.disco.own.features.add('urn:xmpp:bookmarks:1+notify'));
    _converse.exports.Bookmarks.prototype.openBookmarkedRoom = async function (bookmark) {
        const { jid, nick, password, autojoin } = bookmark.attributes;
        if (autojoin && !_converse.state.chatboxes.get(jid)) {
            await api.rooms.create(jid, { nick, password, hidden: true });
        }
        return bookmark;
    };
    const isOver = [converse.ROOMSTATUS.DESTROYED, converse.ROOMSTATUS.BANNED];
    api.listen.on('chatRoomInitialized', (room) => {
        room.session.on('change:connection_status', () => {
            if (!isOver.includes(room.session.get('connection_status'))) return;
            // Silently: what the window says about it stays to be read.
            api.bookmarks.set({ jid: room.get('jid'), autojoin: false }, false, { silent: true });
        });
    });
}

/** The list's menu without a list of bookmarks, which are the groupchats in it, and in plain words. */
export function roomsMenu(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class RoomsList extends api.elements.registry['converse-rooms-list'] {
        updated(changed) {
            super.updated?.(changed);
            const menu = this.querySelector('converse-dropdown');
            if (menu) menu.items = this.menuItems();
        }
        render() {
            const list = super.render();
            return this.getRoomsToShow().length ? list : html`${list}<p class="chatd-none">${words.none}</p>`;
        }
        menuItems() {
            const item = (name, dialog, icon, text) => html`<a class="dropdown-item ${name}" role="button"
                @click=${(event) => api.modal.show(dialog, { model: this.model }, event)}>
                <converse-icon class="fa ${icon}" size="1em"></converse-icon> ${text}</a>`;
            return [
                item('show-add-muc-modal', 'converse-add-muc-modal', 'fa-plus', words.join.title),
                item('show-list-muc-modal', 'converse-muc-list-modal', 'fa-list-ul', words.list.title),
            ];
        }
    }
    api.elements.define('converse-rooms-list', RoomsList);
}

/**
 * Making and joining: who comes first makes the groupchat. COMPAT(Converse 14.0.0): its own dialog has no field for
 * the name where `muc_search_service`, which is another site, is empty.
 */
export function joinRoom(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class JoinRoom extends api.elements.registry['converse-add-muc-modal'] {
        getModalTitle() {
            return words.join.title;
        }
        renderModal() {
            return html`<form class="chatd-form" @submit=${(event) => this.openChatRoom(event)} novalidate>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-room-name">${words.join.name}</label>
                    <input id="chatd-room-name" name="chatroom" type="text" class="form-control" autocomplete="off"
                           spellcheck="false" aria-describedby="chatd-room-hint" />
                    <p id="chatd-room-hint" class="chatd-form__hint">${words.join.nameHint}</p>
                </div>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-room-nick">${words.join.nick}</label>
                    <input id="chatd-room-nick" name="nickname" type="text" class="form-control" autocomplete="off"
                           .value=${_converse.exports.getDefaultMUCNickname() ?? ''} />
                </div>
                ${buttons(html, this, words.join.submit)}
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        refuse(text, field) {
            this.alert(text, 'danger', false);
            this.querySelector(`input[name=${field}]`)?.focus();
        }
        openChatRoom(event) {
            event.preventDefault();
            const data = new FormData(event.target);
            const name = String(data.get('chatroom') ?? '').trim();
            const nick = String(data.get('nickname') ?? '').trim();
            const jid = roomAddress(name, api.settings.get('muc_domain'));
            if (!isAddress(jid)) return this.refuse(name ? words.join.invalid : words.join.missing, 'chatroom');
            if (!nick) return this.refuse(words.join.nickMissing, 'nickname');
            this.alert(null);
            const isName = !name.includes('@');
            const made = isName ? { name, auto_configure: true, roomconfig: { roomname: name } } : {};
            // The chat opens when the dialog is gone, or the dialog would take the focus back.
            const open = () => setTimeout(() => api.rooms.open(jid, { nick, ...made }, true));
            this.addEventListener('hidden.bs.modal', open, { once: true });
            this.modal.hide();
        }
    }
    api.elements.define('converse-add-muc-modal', JoinRoom);
}

/** The public groupchats of the service, each a button. */
export function findRooms(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class FindRooms extends api.elements.registry['converse-muc-list-modal'] {
        initialize() {
            this.loading_items = true;
            this.model.set({ muc_domain: api.settings.get('muc_domain') }, { silent: true });
            super.initialize();
        }
        getModalTitle() {
            return words.list.title;
        }
        renderModal() {
            if (this.loading_items) return html`<p class="chatd-form" role="status">${words.list.busy}</p>`;
            if (!this.items.length) {
                return html`<div class="chatd-form">
                    <p>${words.list.empty}</p>
                    <button type="button" class="btn btn-primary" @click=${() => this.make()}>${words.list.make}</button>
                </div>`;
            }
            const name = (item) => item.name || item.jid;
            const wanted = this.wanted ?? '';
            const shown = this.items.filter((item) => name(item).toLowerCase().includes(wanted))
                .sort((a, b) => name(a).localeCompare(name(b)));
            return html`
                ${this.items.length > MANY_ROOMS
                    ? html`<input type="search" class="form-control" aria-label=${words.list.filter}
                          placeholder=${words.list.filter} @input=${(event) => this.filter(event.target.value)} />`
                    : ''}
                ${shown.length ? '' : html`<p class="chatd-form" role="status">${words.list.none}</p>`}
                <ul class="chatd-rooms">${shown.map((item) => html`<li>
                    <button type="button" class="chatd-rooms__open" data-room-jid=${item.jid}
                            data-room-name=${name(item)} @click=${(event) => this.openRoom(event)}
                    >${name(item)}</button></li>`)}</ul>`;
        }
        filter(text) {
            this.wanted = text.trim().toLowerCase();
            this.requestUpdate();
        }
        make() {
            const next = () => setTimeout(() => api.modal.show('converse-add-muc-modal', { model: this.model }));
            this.addEventListener('hidden.bs.modal', next, { once: true });
            this.modal.hide();
        }
    }
    api.elements.define('converse-muc-list-modal', FindRooms);
}

/** Asking somebody into a groupchat (XEP-0249), with fields that have labels. */
export function inviteToRoom(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class Invite extends api.elements.registry['converse-muc-invite-modal'] {
        initialize() {
            super.initialize();
            this.addEventListener('shown.bs.modal', () => this.querySelector('input[name=invitee_jids]')?.focus());
        }
        getModalTitle() {
            return words.invite.title;
        }
        renderModal() {
            return html`<form class="chatd-form" @submit=${(event) => this.submitInviteForm(event)} novalidate>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-invite-jid">${TEXT.contact.add.address}</label>
                    <input id="chatd-invite-jid" name="invitee_jids" type="text" inputmode="email" class="form-control"
                           autocomplete="off" autocapitalize="none" spellcheck="false" list="chatd-invite-known"
                           placeholder=${TEXT.login.example} />
                    <datalist id="chatd-invite-known">
                        ${(_converse.state.roster ?? []).map((contact) => html`
                            <option value=${contact.get('jid')}>${contact.getDisplayName()}</option>`)}
                    </datalist>
                </div>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-invite-reason">${words.invite.reason}</label>
                    <input id="chatd-invite-reason" name="reason" type="text" class="form-control" autocomplete="off" />
                </div>
                ${buttons(html, this, words.invite.submit)}
            </form>`;
        }
        renderModalFooter() {
            return '';
        }
        submitInviteForm(event) {
            event.preventDefault();
            const data = new FormData(event.target);
            const typed = String(data.get('invitee_jids') ?? '');
            const jid = completeAddress(typed, api.settings.get('default_domain'));
            if (!isAddress(jid)) {
                this.alert(typed.trim() ? TEXT.contact.add.invalid : TEXT.contact.add.missing, 'danger', false);
                this.querySelector('input[name=invitee_jids]')?.focus();
                return;
            }
            this.muc.directInvite(jid, String(data.get('reason') ?? '').trim());
            api.toast.show('invited', { type: 'success', body: words.invite.done(jid) });
            this.modal.hide();
        }
    }
    api.elements.define('converse-muc-invite-modal', Invite);
}

/**
 * Being asked into a groupchat, directly (XEP-0249) or through it (XEP-0045 7.8.2), where the room speaks for somebody.
 * Into one that is open already, but could not be entered, one goes at once: that was asked for.
 */
export function takeInvitations(converse, _converse) {
    const { api } = _converse;
    const { Strophe } = converse.env;
    _converse.exports.onDirectMUCInvitation = async (message) => {
        const direct = [...message.children].find((part) => part.namespaceURI === 'jabber:x:conference');
        const invite = message.querySelector('x > invite');
        const jid = direct?.getAttribute('jid');
        if (!jid) return;
        const password = direct.getAttribute('password') ?? message.querySelector('x > password')?.textContent;
        const room = _converse.state.chatboxes.get(jid);
        if (room) {
            if (password) room.save({ password });
            if (room.session.get('connection_status') === converse.ROOMSTATUS.DISCONNECTED) room.rejoin();
            return;
        }
        const from = invite?.getAttribute('from') ?? message.getAttribute('from');
        const bare = Strophe.getBareJidFromJid(from);
        const name = bare === jid ? Strophe.getResourceFromJid(from)
            : _converse.state.roster?.get(bare)?.getDisplayName() ?? bare;
        const reason = direct.getAttribute('reason') || invite?.querySelector('reason')?.textContent;
        const text = words.invited.text(name || jid, jid);
        if (!(await api.confirm(words.invited.title, reason ? [text, words.reason(reason)] : [text]))) return;
        api.rooms.open(jid, { nick: _converse.exports.getDefaultMUCNickname(), ...(password ? { password } : {}) }, true);
    };
}
