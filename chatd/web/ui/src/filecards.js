// A link to a file on this server, shown as what it is: a picture, a sound or film to play, anything else to save.
import { icon, make } from './elements.js';
import { fileLinks } from './filelinks.js';
import { WORDS } from './filestrings.js';

const words = WORDS.card;
const CARDS_MOST = 10; // of one message
const KINDS = {
    image: ['png', 'jpg', 'jpeg', 'gif', 'webp', 'avif', 'bmp'],
    audio: ['mp3', 'ogg', 'oga', 'opus', 'wav', 'flac', 'm4a', 'aac', 'weba'],
    video: ['mp4', 'webm', 'ogv', 'mov', 'm4v'],
};

function kindOf(name) {
    const ending = name.toLowerCase().split('.').at(-1);
    return Object.keys(KINDS).find((kind) => KINDS[kind].includes(ending)) ?? 'file';
}

/** Cards in the place of the links, or below the text that they stand in. */
export function fileCards(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;

    class Card extends HTMLElement {
        connectedCallback() {
            const name = fileLinks.name(this.url);
            const kind = kindOf(name);
            this.dataset.kind = kind;
            this.replaceChildren(...(kind === 'image' ? [this.#picture(name)] : kind === 'file' ? [this.#save(name)]
                : [this.#player(kind, name), this.#save(name)]));
        }
        #picture(name) {
            const src = fileLinks.here(this.url);
            const image = make('img', { src, alt: name, loading: 'lazy', onload: () => this.#loaded(), onerror: () => this.#gone(name) });
            const enlarge = (event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own, as of any link
                event.preventDefault();
                api.modal.show('converse-image-modal', { src, filename: name }, event);
            };
            return make('a', { href: src, target: '_blank', rel: 'noopener', title: words.enlarge(name), onclick: enlarge }, image);
        }
        #player(kind, name) {
            const player = make(kind, { src: fileLinks.here(this.url), controls: true, preload: 'metadata', 'aria-label': name });
            player.addEventListener('error', () => this.#gone(name));
            player.addEventListener('loadedmetadata', () => this.#loaded());
            return player;
        }
        #save(name) {
            const text = make('span', { class: 'chatd-file__name' }, name);
            return make('a', { class: 'chatd-file__save', href: fileLinks.here(this.url), download: name, title: words.save(name) },
                icon('file', 22), text, icon('save', 18));
        }
        #gone(name) {
            this.dataset.kind = 'gone';
            this.replaceChildren(icon('file', 22), make('span', {}, words.gone(name)));
            this.#loaded();
        }
        #loaded() {
            // Converse then stays at the chat's end.
            this.dispatchEvent(new CustomEvent('imageLoaded', { bubbles: true }));
        }
    }
    customElements.define('chatd-file', Card);

    class MessageBody extends api.elements.registry['converse-chat-message-body'] {
        render() {
            const found = fileLinks.in(this.text).slice(0, CARDS_MOST);
            if (!found.length) return super.render();
            const isAlone = found.length === 1 && this.text.trim() === found[0];
            return html`${isAlone ? '' : super.render()}${found.map((url) => html`<chatd-file class="chatd-file" .url=${url}></chatd-file>`)}`;
        }
    }
    api.elements.define('converse-chat-message-body', MessageBody);
}
