// The chatd plugin of Converse.js: what the panel adds to it. One function per feature, called in `initialize`.
// Everything is taken from `converse.env` and `_converse.exports`; Converse's own files are not imported.
import * as access from './access.js';
import { blockContact, blockedInChat, blockedPeople, contactMenu, editContact, removeContact } from './contactmenu.js';
import { acceptContact, addContact, emptyRoster, notYetAccepted, presenceAfterReconnect } from './contacts.js';
import { daysInWords } from './days.js';
import { fileCards } from './filecards.js';
import { dropFiles, fileProgress, ownUpload, sendFiles } from './files.js';
import { idleByTheClock } from './idle.js';
import { meetingCards } from './meetingcards.js';
import { startMeeting } from './meetingdialogs.js';
import { meetingList } from './meetinglist.js';
import { cameraButton, logOutOfMeetings, meetingLinks, meetingService, meetingsSection } from './meetings.js';
import { mentions, noticesButton, noticesOfHiddenChats, unreadInTitle } from './notices.js';
import { organisationGroups } from './organisation.js';
import { readMarks } from './readmarks.js';
import { recordingCards } from './recordingcards.js';
import { roomRequests } from './roomasks.js';
import { configureRoom, destroyRoom, oneCloseButton, questions, roomDetails, topicOfRoom } from './roomdialogs.js';
import { roomPeople } from './roompeople.js';
import {
    findRooms, inviteToRoom, joinRoom, ownRoomsService, roomsMenu, sharedRooms, takeInvitations,
} from './rooms.js';
import { oneParticipant, outsideViews, plainInfo, refusals } from './roomstates.js';
import { searchButton } from './search.js';
import { TEXT } from './strings.js';

const FEATURES = [
    emptyRoster, organisationGroups, addContact, acceptContact, notYetAccepted, presenceAfterReconnect, unreadInTitle, noticesButton, noOwnLogIn,
    nothingForeign, idleByTheClock, emojiWithoutPep, keysOfDialogs, iconsOfTheScheme, daysInWords,
    ownRoomsService, sharedRooms, roomsMenu, joinRoom, findRooms, inviteToRoom, takeInvitations, oneCloseButton, questions,
    roomDetails, configureRoom, destroyRoom, roomPeople, refusals, outsideViews, roomRequests, oneParticipant, plainInfo,
    topicOfRoom, meetingService, cameraButton, meetingsSection, meetingLinks, meetingCards, startMeeting, meetingList, recordingCards,
    logOutOfMeetings,
    sendFiles, ownUpload, fileProgress, dropFiles, fileCards, searchButton,
    noticesOfHiddenChats, mentions, contactMenu, editContact, removeContact, blockContact, blockedPeople, blockedInChat, readMarks,
];

/**
 * @param {object} converse the library
 * @param {(_converse: object) => void} started called with Converse's inner parts when the plugin starts
 */
export function panelPlugin(converse, started) {
    return {
        dependencies: [
            'converse-modal', 'converse-rosterview', 'converse-chatview', 'converse-controlbox', 'converse-muc-views',
            'converse-roomslist', 'converse-bookmarks',
        ],
        initialize() {
            const { _converse } = this;
            started(_converse);
            for (const feature of FEATURES) feature(converse, _converse);
            for (const repair of Object.values(access)) repair();
        },
    };
}

/** Between two tries to connect again Converse would show its own log-in form. */
function noOwnLogIn(converse, { api }) {
    class Waiting extends HTMLElement {
        connectedCallback() {
            this.textContent = TEXT.loginForm;
        }
    }
    api.elements.define('converse-login-form', Waiting);
}

/** Converse's footer loads pictures from another site; its logo is not ours. */
function nothingForeign(converse, { api }) {
    for (const name of ['converse-footer', 'converse-brand-logo']) {
        api.elements.define(name, class extends HTMLElement {});
    }
}

/**
 * Converse keeps the emoji one likes in a PEP node (XEP-0163) without asking whether the server has PEP, and complains
 * at each log-in where it has not. There, this request is answered here: nothing is stored; and storing it is done
 * by the browser alone.
 */
function emojiWithoutPep(converse, _converse) {
    const { api } = _converse;
    const { Strophe, stx } = converse.env;
    const sendIQ = api.sendIQ;
    api.sendIQ = async (iq, ...more) => {
        const element = iq.tree?.() ?? iq;
        if (!element.querySelector?.(`[node="${Strophe.NS.REACTIONS_POPULAR}"]`)) return sendIQ(iq, ...more);
        const account = _converse.session.get('bare_jid');
        if (await api.disco.getIdentity('pubsub', 'pep', account)) return sendIQ(iq, ...more);
        if (element.getAttribute('type') === 'set') return stx`<iq type="result" xmlns="jabber:client"/>`.tree();
        throw stx`<iq type="error" xmlns="jabber:client"><error type="cancel">
            <item-not-found xmlns="${Strophe.NS.STANZAS}"/></error></iq>`.tree();
    };
}

/**
 * COMPAT(Converse 14.0.0): a dialog that is gone goes on listening to the window's keys; Enter then means its
 * "Confirm" and nothing else in the page.
 */
function keysOfDialogs(converse, _converse) {
    const dialog = _converse.exports.BaseModal.prototype;
    const disconnected = dialog.disconnectedCallback;
    dialog.disconnectedCallback = function () {
        window.removeEventListener('keydown', this.onKeyDown);
        disconnected.call(this);
    };
}

/** COMPAT(Converse 14.0.0): icons ask for their colour once, and stayed dark when the system went dark. */
function iconsOfTheScheme(converse, { api }) {
    class Icon extends api.elements.registry['converse-icon'] {
        getStyles() {
            const size = this.size ? `width: ${this.size}; height: ${this.size};` : '';
            return `${size} ${this.color ? `fill: ${this.color};` : ''} ${this.css}`;
        }
    }
    api.elements.define('converse-icon', Icon);
}
