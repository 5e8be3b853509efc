// What draws attention: the number of unread messages in the page's title; sounds and the desktop's notifications, which
// are off until the person switches them on here.
import { TEXT } from './strings.js';

const canNotify = 'Notification' in globalThis;
const askPermission = canNotify ? Notification.requestPermission.bind(Notification) : null;
const KEPT = 'chatd.notices'; // a choice of this browser, nothing of the person's
const words = TEXT.notices;

/** Unread messages of all chats stand in the page's title. */
export function unreadInTitle(converse, _converse) {
    const title = document.title;
    _converse.api.listen.on('chatBoxesInitialized', () => {
        const { chatboxes } = _converse.state;
        const show = () => {
            const count = chatboxes.models.reduce((sum, box) => sum + (box.get('num_unread') ?? 0), 0);
            document.title = count ? `(${count < 100 ? count : '99+'}) ${title}` : title;
        };
        chatboxes.on('change:num_unread add remove reset', show);
    });
}

/**
 * COMPAT(Converse 14.0.0): whether a message is for a chat that nobody looks at is asked with the message in the place of the
 * address, so that only a page in the background ever made a sound or a notification.
 */
export function noticesOfHiddenChats(converse, _converse) {
    _converse.api.listen.on('chatBoxesInitialized', () => {
        const { chatboxes } = _converse.state;
        const { get } = chatboxes;
        chatboxes.get = (what) => get.call(chatboxes, what?.msgid && what.from ? what.from.split('/')[0] : what);
    });
}

let isOn = false;

/** Are sounds and notifications on in this browser? */
export function areNoticesOn() {
    return isOn;
}

/** Keeps the choice, where the browser lets a page keep anything. */
function choose(isChosen) {
    isOn = isChosen;
    try {
        localStorage.setItem(KEPT, isOn ? 'on' : 'off');
    } catch {
        // For this page only, then.
    }
}

function recall() {
    try {
        isOn = localStorage.getItem(KEPT) === 'on';
    } catch {
        isOn = false;
    }
}

/** The button in the page's bar that switches both; where the browser forbids notifications there are sounds alone. */
export function noticesButton(converse, { api }) {
    const button = document.getElementById('notices');
    if (!button) return;
    // COMPAT(Converse 14.0.0): asks at each log-in, before anybody has wished for notifications.
    if (canNotify) Notification.requestPermission = async () => Notification.permission;
    const show = () => {
        button.setAttribute('aria-pressed', String(areNoticesOn()));
        button.title = areNoticesOn() ? words.on : words.off;
        api.settings.set('play_sounds', areNoticesOn());
        api.settings.set('show_desktop_notifications', areNoticesOn());
    };
    button.addEventListener('click', async () => {
        choose(!isOn);
        show();
        if (!areNoticesOn() || !canNotify) return;
        const answer = Notification.permission === 'default' ? await askPermission() : Notification.permission;
        if (answer === 'denied') api.toast.show('notices', { type: 'info', body: words.denied });
    });
    recall();
    show();
}

/** COMPAT(Converse 14.0.0): takes a nickname for a regular expression, so that one such as "*anna" stops whatever asks. */
export function mentions(converse, _converse) {
    const { MUC } = _converse.exports;
    const isMentioned = MUC.prototype.isUserMentioned;
    MUC.prototype.isUserMentioned = function isUserMentioned(message) {
        const nick = this.get('nick') ?? '';
        if (message.get('references').length || /^\w+$/.test(nick)) return isMentioned.call(this, message);
        const literal = nick.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
        return Boolean(nick) && new RegExp(`(?<![\\p{L}\\p{N}_])${literal}(?![\\p{L}\\p{N}_])`, 'u').test(message.get('body'));
    };
}
