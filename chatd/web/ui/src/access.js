// Repairs for keyboard and screen reader, where Converse.js 14.0.0 leaves people out.
import { TEXT } from './strings.js';

const LINK = '.conversejs a:not([href])';

/** After a dialog the keyboard goes on where it was: Converse leaves it at the top of the page. */
export function returnFocus() {
    let before = null;
    document.addEventListener('show.bs.modal', () => {
        before = document.activeElement;
    });
    document.addEventListener('hidden.bs.modal', () => {
        // A chat that the dialog opened has taken the focus already, or gets it.
        const isElsewhere = document.activeElement && document.activeElement !== document.body;
        if (!isElsewhere) {
            // An entry of a menu is hidden by now and its menu's button stands for it; what is gone has no stand-in.
            const menu = before?.closest?.('converse-dropdown');
            const place = menu?.querySelector('button') ?? before;
            const target = place?.isConnected ? place : document.querySelector('.dropdown--contacts button');
            target?.focus();
        }
        before = null;
    });
}

/** A name that is read out must hold the words that are seen (WCAG 2.5.3); else the words themselves are the name. */
export function namesAsSeen() {
    onChange(() => {
        for (const element of document.querySelectorAll('.conversejs :is(a, button)[aria-label]')) {
            const words = element.textContent.trim().toLowerCase();
            if (words && !element.getAttribute('aria-label').toLowerCase().includes(words)) {
                element.removeAttribute('aria-label');
            }
        }
    });
}

/** Converse has links that are buttons in truth and cannot be reached by keyboard. */
export function keyboardForLinks() {
    onChange(() => {
        for (const link of document.querySelectorAll(LINK)) {
            if (!link.childElementCount && !link.textContent.trim()) continue; // an anchor to jump to
            if (!link.hasAttribute('tabindex')) link.tabIndex = 0;
            if (!link.hasAttribute('role')) link.setAttribute('role', 'button');
            if (!link.textContent.trim() && !link.hasAttribute('aria-label')) {
                link.setAttribute('aria-label', link.title || TEXT.access[link.matches('.close') ? 'close' : 'profile']);
            }
        }
    });
    document.addEventListener('keydown', (event) => {
        if ((event.key === 'Enter' || event.key === ' ') && event.target.matches?.(LINK)) {
            event.preventDefault();
            event.target.click();
        }
    });
}

/** COMPAT(Converse 14.0.0): Enter opens no menu and does nothing on an entry that was reached by Tab; it swallows the key. */
export function enterInMenus() {
    document.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || !event.target.matches?.('.conversejs converse-dropdown :is(.dropdown-toggle, .dropdown-item)')) return;
        const menu = event.target.closest('converse-dropdown');
        const isChosenByArrows = menu.navigator?.enabled && event.target.matches('.dropdown-toggle');
        if (isChosenByArrows) return;
        event.preventDefault();
        event.stopPropagation();
        event.target.click();
    }, true);
}

/** Converse's labels name a field's name where the field has no such id, and some fields have only a placeholder. */
export function labelsForFields() {
    onChange(() => {
        for (const label of document.querySelectorAll('.conversejs label[for]')) {
            if (document.getElementById(label.htmlFor)) continue;
            const field = label.closest('form')?.querySelector(`[name="${CSS.escape(label.htmlFor)}"]`);
            if (field && !field.id) field.id = label.htmlFor;
        }
        for (const field of document.querySelectorAll('.conversejs :is(textarea, input):not([aria-label])[placeholder]')) {
            if (!field.labels?.length && field.placeholder) field.setAttribute('aria-label', field.placeholder);
        }
    });
}

/** COMPAT(Chromium 156): with Converse's rules for narrow screens an opened menu gets no box until it is laid out anew. */
export function drawMenus() {
    document.addEventListener('converse:dropdown:show', (event) => {
        const menu = event.target.querySelector('.dropdown-menu.show');
        if (!menu || menu.getClientRects().length) return;
        menu.style.display = 'none';
        menu.getBoundingClientRect();
        menu.style.display = '';
    });
}

/** COMPAT(Converse 14.0.0): a menu stays open behind the dialog that its entry opens, and the next click closes it. */
export function closeMenus() {
    document.addEventListener('click', (event) => {
        event.target.closest?.('.conversejs .dropdown-item')?.closest('converse-dropdown')?.hide();
    });
}

/** COMPAT(Converse 14.0.0): the tabs of its dialogs stand in a list without the role that tabs need around them. */
export function rolesForTabs() {
    onChange(() => {
        for (const list of document.querySelectorAll('.conversejs ul.nav:not([role])')) {
            if (list.querySelector('[role=tab]')) list.setAttribute('role', 'tablist');
        }
    });
}

/** COMPAT(Converse 14.0.0): the arrow back to the list of participants has no name. */
export function nameForBack() {
    onChange(() => {
        for (const button of document.querySelectorAll('.conversejs .back-button:not([aria-label])')) {
            button.setAttribute('aria-label', TEXT.access.back);
        }
    });
}

/** COMPAT(Converse 14.0.0): between the list of participants and its items stand elements of its own. */
export function rolesForParticipants() {
    onChange(() => {
        for (const item of document.querySelectorAll('converse-muc-occupant-list-item:not([role])')) {
            item.setAttribute('role', 'listitem');
        }
        for (const inner of document.querySelectorAll('converse-muc-occupant-list-item > li:not([role])')) {
            inner.setAttribute('role', 'presentation');
        }
    });
}

/** Calls `repair` now and, once a frame at most, after the page changes. */
function onChange(repair) {
    let isAsked = false;
    const run = () => {
        isAsked = false;
        repair();
    };
    new MutationObserver(() => {
        if (!isAsked) requestAnimationFrame(run);
        isAsked = true;
    }).observe(document.body, { childList: true, subtree: true });
    run();
}
