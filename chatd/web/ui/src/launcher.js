// The button that stands for the whole panel while the contacts are hidden, with the number of unread messages.
import { icon } from './elements.js';
import { TEXT } from './strings.js';

const button = document.getElementById('launcher');

class Launcher {
    #inner = null;
    #unread = 0;

    /** Shows the button while the contacts are hidden. */
    start(inner) {
        this.#inner = inner;
        // The model itself is another one once what was kept has been read.
        inner.state.chatboxes.on('add reset change:closed', () => this.#draw());
        button.addEventListener('click', () => this.open());
        this.#draw();
    }

    open() {
        this.#inner.api.controlbox.open();
    }

    close() {
        this.#model?.save({ closed: true });
        for (const chat of this.#inner.state.chatboxes.filter((one) => one !== this.#model && !one.get('hidden'))) {
            this.#inner.exports.minimize.minimize(chat);
        }
    }

    count(unread) {
        this.#unread = unread;
        this.#draw();
    }

    get #model() {
        return this.#inner?.state.chatboxes.get('controlbox');
    }

    #draw() {
        button.hidden = !(this.#model?.get('closed') ?? true);
        const label = this.#unread ? TEXT.launcher.unread(this.#unread) : TEXT.launcher.open;
        Object.assign(button, { title: label, ariaLabel: label });
        const badge = document.createElement('span');
        badge.className = 'launcher__badge';
        badge.textContent = this.#unread > 99 ? '99+' : String(this.#unread);
        badge.hidden = !this.#unread;
        button.replaceChildren(icon('chat', 26), badge);
    }
}

export const launcher = new Launcher();
