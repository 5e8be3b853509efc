// The chatd plugin of Converse.js: what the panel adds to it. One function per feature, called in `initialize`.
// Everything is taken from `converse.env` and `_converse.exports`; Converse's own files are not imported.
import { TEXT } from './strings.js';

/**
 * @param {object} converse the library
 * @param {(_converse: object) => void} started called with Converse's inner parts when the plugin starts
 */
export function panelPlugin(converse, started) {
    return {
        dependencies: ['converse-modal', 'converse-rosterview', 'converse-chatview', 'converse-controlbox'],
        initialize() {
            const { _converse } = this;
            started(_converse);
            for (const feature of [emptyRoster, noOwnLogIn, noForeignFooter]) feature(converse, _converse);
            returnFocus();
            keyboardForLinks();
        },
    };
}

/** A contact list without contacts says what to do. */
function emptyRoster(converse, _converse) {
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

/** Between two tries to connect again Converse would show its own log-in form. */
function noOwnLogIn(converse, { api }) {
    class Waiting extends HTMLElement {
        connectedCallback() {
            this.textContent = TEXT.loginForm;
        }
    }
    api.elements.define('converse-login-form', Waiting);
}

/** Converse's footer loads pictures from another site. */
function noForeignFooter(converse, { api }) {
    api.elements.define('converse-footer', class extends HTMLElement {});
    api.elements.define('converse-brand-logo', class extends HTMLElement {});
}

/** After a dialog the keyboard goes on where it was: Converse leaves it at the top of the page. */
function returnFocus() {
    let before = null;
    document.addEventListener('show.bs.modal', () => {
        before = document.activeElement;
    });
    document.addEventListener('hidden.bs.modal', () => {
        // An entry of a menu is gone by now; its menu's button stands for it.
        const menu = before?.closest?.('converse-dropdown');
        (menu?.querySelector('button') ?? before)?.focus?.();
        before = null;
    });
}

/** Converse has links that are buttons in truth and cannot be reached by keyboard. */
function keyboardForLinks() {
    const selector = '.conversejs a:not([href])';
    const repair = (root) => {
        for (const link of root.querySelectorAll?.(selector) ?? []) {
            if (link.tabIndex !== 0) link.tabIndex = 0;
            if (!link.hasAttribute('role')) link.setAttribute('role', 'button');
            if (!link.textContent.trim() && link.title) link.setAttribute('aria-label', link.title);
        }
    };
    new MutationObserver(() => repair(document)).observe(document.body, { childList: true, subtree: true });
    document.addEventListener('keydown', (event) => {
        if ((event.key === 'Enter' || event.key === ' ') && event.target.matches?.(selector)) {
            event.preventDefault();
            event.target.click();
        }
    });
}
