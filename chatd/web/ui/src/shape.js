// Which parts of this page are to be seen, where it lies over another one: everything else is cut away by embed.js.

const PARTS = [
    '#launcher', '#state:not(:empty)', '.meetingwindow', '#minimized-chats > button', '.minimized-chats-flyout', '.conversejs .box-flyout',
    '.conversejs .dropdown-menu.show', '.conversejs converse-toast .toast', 'converse-emoji-picker', '.suggestion-box__results',
].join(', ');
const COVERS = '.modal.show, .modal-backdrop, dialog[open], .meetingwindow.is-moving, .meetingwindow[data-size="full"], [popover]:popover-open';
const ROOM = 16; // for shadows
const SETTLE_MS = 30;
const RELEASE_MS = 120;

function partsNow() {
    if (document.querySelector(COVERS)) return 'all';
    const found = [];
    for (const part of document.querySelectorAll(PARTS)) {
        const { left, top, right, bottom } = part.getBoundingClientRect();
        if (right <= left || bottom <= top || getComputedStyle(part).visibility === 'hidden') continue;
        const x = Math.max(0, Math.floor(left - ROOM));
        const y = Math.max(0, Math.floor(top - ROOM));
        found.push([x, y, Math.min(innerWidth, Math.ceil(right + ROOM)) - x, Math.min(innerHeight, Math.ceil(bottom + ROOM)) - y]);
    }
    return found.filter(([, , width, height]) => width > 0 && height > 0).slice(0, 64);
}

/** Calls `changed` with [x, y, width, height] of each part, or "all", whenever they are others. */
export function watchShape(changed) {
    let last = '';
    let timer = 0;
    let isHeld = false;
    let release = 0;
    const look = () => {
        timer = 0;
        // What is dragged may go anywhere.
        const now = isHeld ? 'all' : partsNow();
        if (JSON.stringify(now) === last) return;
        last = JSON.stringify(now);
        changed(now);
    };
    // Not once a frame: a browser draws no frames of a page that nothing is seen of.
    const soon = () => { timer ||= setTimeout(look, SETTLE_MS); };
    new MutationObserver(soon).observe(document.documentElement, { subtree: true, childList: true, attributes: true, characterData: true });
    for (const name of ['resize', 'load', 'transitionend', 'animationend', 'scroll', 'toggle']) addEventListener(name, soon, true);
    // At once, so that nothing that opens is seen in parts; what a click has brought stands a moment later.
    const hold = (value) => {
        if (isHeld === value) return;
        clearTimeout(release);
        if (value) {
            isHeld = true;
            look();
        } else {
            release = setTimeout(() => {
                isHeld = false;
                look();
            }, RELEASE_MS);
        }
    };
    addEventListener('pointerdown', (event) => hold(event.button === 0 && event.pointerType === 'mouse'), true);
    for (const name of ['pointerup', 'pointercancel', 'blur']) addEventListener(name, () => hold(false), true);
    look();
}
