// Meetings in the panel: the camera button of each chat, their part of the contacts' box, links that open in the window.
// One function per feature, as in plugin.js. The dialogs are in meetingdialogs.js, the cards in meetingcards.js.
import { icon } from './elements.js';
import { MeetingService } from './meetingservice.js';
import { WORDS } from './meetingstrings.js';
import { meetingWindow } from './meetingwindow.js';

let service;

/** The service of whoever is logged in. */
export function meetings() {
    return service;
}

/** Asks the server what it offers, and says when a tab has taken over a meeting. */
export function meetingService(converse, _converse) {
    service = new MeetingService(converse, _converse);
    meetingWindow.addEventListener('moved', ({ detail }) => {
        _converse.api.toast.show('meeting-moved', { type: 'success', body: WORDS.window.moved(detail) });
    });
}

/** Shows a meeting in the window, as the person who is logged in here. */
export function openMeeting(_converse, { id, name = '', fragment = '' }) {
    const person = _converse.state.profile.getDisplayName();
    const isAddress = person === _converse.session.get('bare_jid');
    const ticket = service.ticket();
    ticket.catch(() => {}); // the window asks again
    return meetingWindow.open({ id, name, fragment, ticket, person: isAddress ? person.split('@')[0] : person });
}

/** The camera button of chats and groupchats. Absent where there are no meetings, or none can be made. */
export function cameraButton(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    api.listen.on('getToolbarButtons', (toolbar, buttons) => {
        if (!service.hasMedia || !service.mayCreate) return buttons;
        const start = (event) => api.modal.show('chatd-start-meeting', { chat: toolbar.model }, event);
        return [...buttons, html`<button type="button" class="btn chatd-camera" title=${WORDS.button}
            aria-label=${WORDS.button} @click=${start}>${icon('camera', 22)}</button>`];
    });
    service.addEventListener('change', () => {
        for (const toolbar of document.querySelectorAll('converse-chat-toolbar')) toolbar.requestUpdate?.();
    });
}

/** Below the groupchats: the meeting one is in, and the menu that starts one or lists one's own. */
export function meetingsSection(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;
    class RoomsList extends api.elements.registry['converse-rooms-list'] {
        initialize() {
            super.initialize();
            this.draw = () => this.requestUpdate();
            for (const source of [service, meetingWindow]) source.addEventListener('change', this.draw);
        }
        disconnectedCallback() {
            super.disconnectedCallback();
            for (const source of [service, meetingWindow]) source.removeEventListener('change', this.draw);
        }
        updated(changed) {
            super.updated?.(changed);
            const menu = this.querySelector('.chatd-meetings converse-dropdown');
            if (menu) menu.items = this.meetingItems();
        }
        meetingItems() {
            const item = (name, dialog, picture, text) => html`<a class="dropdown-item ${name}" role="button"
                @click=${(event) => api.modal.show(dialog, {}, event)}>${icon(picture, 16)} ${text}</a>`;
            return [
                ...(service.mayCreate ? [item('start-meeting', 'chatd-start-meeting', 'camera', WORDS.button)] : []),
                item('list-meetings', 'chatd-meetings-modal', 'list', WORDS.list.title),
            ];
        }
        render() {
            if (!service.hasMedia) return super.render();
            const { id, name } = meetingWindow;
            return html`${super.render()}<div class="chatd-meetings">
                <div class="d-flex controlbox-padded">
                    <span class="w-100 controlbox-heading" role="heading" aria-level="3">${WORDS.section}</span>
                    <converse-dropdown class="btn-group dropstart" .items=${this.meetingItems()}></converse-dropdown>
                </div>
                ${id ? html`<button type="button" class="chatd-meetings__now" aria-label=${WORDS.started.label(name)}
                        @click=${() => meetingWindow.show()}>${icon('camera')}<span>${name}</span></button>`
                    : html`<p class="chatd-none">${WORDS.none}</p>`}
            </div>`;
        }
    }
    api.elements.define('converse-rooms-list', RoomsList);
}

/** A link to a meeting of this server opens in the window; with Ctrl, Shift or the middle button in a tab, as ever. */
export function meetingLinks(converse, _converse) {
    document.addEventListener('click', (event) => {
        const link = event.target.closest?.('.conversejs a[href]');
        const meeting = link && service.hasMedia ? service.of(link.href) : null;
        if (!meeting || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        openMeeting(_converse, meeting);
    });
}

/** Logging out, by whatever button, asks first where one is in a meeting. */
export function logOutOfMeetings(converse, { api }) {
    const logout = api.user.logout;
    api.user.logout = async () => ((await meetingWindow.askAndClose(WORDS.ask.logOut)) ? logout() : undefined);
}
