// Files in chats: what is sent, by button, from the clipboard or dropped on a chat, with its progress and why it was
// refused. What comes is in filecards.js. One function per feature, as in plugin.js.
import { icon, make } from './elements.js';
import { WORDS } from './filestrings.js';
import { fileLinks } from './filelinks.js';

const words = WORDS.sending;
const SHOWN_MS = 60_000; // so long a refusal stands in the chat
const FULL = 'resource-constraint';
const AT_ONCE = 3; // the server takes four files of one account at a time

/** Files on their way; the others wait for their turn. */
const turns = {
    taken: 0,
    waiting: [],
    async take() {
        if (this.taken >= AT_ONCE) await new Promise((go) => { this.waiting.push(go); });
        else this.taken += 1;
    },
    leave() {
        const next = this.waiting.shift();
        if (next) next();
        else this.taken -= 1;
    },
};

/** The service that takes files, and what it takes: {service, most} or null. */
async function uploadService(converse, _converse) {
    const { Strophe } = converse.env;
    const found = await _converse.api.disco.features.get(Strophe.NS.HTTPUPLOAD, _converse.session.get('domain'));
    const item = found.at(-1);
    const form = item?.dataforms.find((one) => one.get('FORM_TYPE')?.value === Strophe.NS.HTTPUPLOAD);
    return item ? { service: item.id, most: Number(form?.get('max-file-size')?.value) || Infinity } : null;
}

/** Says in a chat why a file was not sent. */
function refuse(chat, message) {
    return chat.createMessage({ type: 'error', message, is_ephemeral: SHOWN_MS });
}

/** Why no slot was given, from the server's answer. */
function refusalOf(name, answer) {
    if (!answer?.querySelector) return words.broken(name);
    const has = (tag) => answer.querySelector(`error > ${tag}`);
    const said = has('text')?.textContent ?? '';
    const most = Number(has('file-too-large')?.querySelector('max-file-size')?.textContent);
    if (most) return words.tooLarge(name, words.size(most));
    if (has('not-acceptable')) return words.kind(name);
    if (has(FULL)) return has('retry') ? words.soon(name) : words.full(name, said);
    return said ? words.because(name, said) : words.broken(name);
}

/** Files that cannot go are refused before anything of them is sent; the others go Converse's way. */
export function sendFiles(converse, _converse) {
    for (const Chat of [_converse.exports.ChatBox, _converse.exports.MUC]) {
        const send = Chat.prototype.sendFiles;
        Chat.prototype.sendFiles = async function (files) {
            const chosen = [...files]; // a list of the button's changes with the next choice
            const { most } = (await uploadService(converse, _converse)) ?? {};
            if (!most) {
                refuse(this, words.nowhere);
                return;
            }
            const fitting = [];
            for (const file of chosen) {
                if (file.size > most) refuse(this, words.tooLarge(file.name, words.size(most)));
                else if (file.size === 0) refuse(this, words.empty(file.name)); // a folder that was dropped is one too
                else fitting.push(file);
            }
            if (fitting.length) await send.call(this, fitting);
        };
    }
    // The same file may be chosen once more.
    document.addEventListener('click', ({ target }) => {
        if (target.matches?.('input.fileupload')) target.value = '';
    }, true);
}

/**
 * Asks for the slot and sends the file. COMPAT(Converse 14.0.0): its own way tells no reason, and hides what went wrong behind
 * a progress bar that stands still.
 */
export function ownUpload(converse, _converse) {
    const { api } = _converse;
    const base = Object.getPrototypeOf(_converse.exports.Message.prototype);

    function fail(message, text) {
        message.save({ type: 'error', message: text, file: false, is_ephemeral: SHOWN_MS });
    }

    base.getRequestSlotURL = async function () {
        await turns.take();
        const isOnItsWay = !this.isCancelled && (await hasSlot(this));
        if (!isOnItsWay) turns.leave();
        else this.save(this.slot); // Converse then calls uploadFile
    };

    /** Asks the server where the file goes; says why not. */
    async function hasSlot(message) {
        let answer;
        try {
            answer = await message.sendSlotRequestStanza();
        } catch (error) {
            fail(message, refusalOf(message.file.name, error));
            return false;
        }
        const [put, get] = ['put', 'get'].map((way) => answer.querySelector(`slot > ${way}`)?.getAttribute('url'));
        if (!put || !get) {
            fail(message, words.broken(message.file.name));
            return false;
        }
        message.upload_metadata = message.getUploadRequestMetadata(answer);
        message.slot = { get, put };
        return !message.isCancelled;
    }

    base.uploadFile = function () {
        const { file } = this;
        const request = new XMLHttpRequest();
        this.uploading = request;
        request.addEventListener('loadend', () => turns.leave());
        request.upload.addEventListener('progress', ({ lengthComputable, loaded, total }) => {
            if (lengthComputable) this.set('progress', loaded / total);
        });
        request.addEventListener('load', async () => {
            if (request.status !== 201 && request.status !== 200) {
                fail(this, [413, 415].includes(request.status) ? words.kind(file.name) : words.broken(file.name));
                return;
            }
            const url = this.get('get');
            this.save(await api.hook('afterFileUploaded', this, { body: url, message: url, oob_url: url, upload: 'success' }));
        });
        for (const event of ['error', 'timeout']) request.addEventListener(event, () => fail(this, words.broken(file.name)));
        // The same server under the name it has in this page's address: any other is closed to the page.
        request.open('PUT', fileLinks.here(this.get('put')));
        if (file.type) request.setRequestHeader('Content-Type', file.type);
        for (const { name, value } of this.upload_metadata.headers) request.setRequestHeader(name, value);
        request.send(file);
    };
}

/** A file on its way: its name, how far it is, and a button that stops it. */
export function fileProgress(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;

    function cancel(message) {
        message.isCancelled = true;
        message.uploading?.abort();
        message.destroy();
    }

    class Message extends api.elements.registry['converse-chat-message'] {
        renderFileProgress() {
            const { file } = this.model;
            if (!file) return ''; // the page was loaded again meanwhile
            const progress = this.model.get('progress') || 0;
            return html`<div class="message chat-msg chatd-sending">
                <span class="chatd-sending__name">${words.sending(file.name)}</span>
                <progress max="1" .value=${progress} aria-label=${words.sending(file.name)}></progress>
                <span class="chatd-sending__size">${words.of(words.size(progress * file.size), words.size(file.size))}</span>
                <button type="button" class="btn chatd-sending__stop" title=${words.cancel} @click=${() => cancel(this.model)}
                    aria-label=${words.cancelOf(file.name)}>${icon('close', 18)}</button>
            </div>`;
        }
    }
    api.elements.define('converse-chat-message', Message);
}

/** A file may be dropped anywhere on a chat; beside one nothing happens, instead of the browser leaving the page for it. */
export function dropFiles(converse, _converse) {
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
    const chatOf = (event) => event.target.closest?.('converse-chat, converse-muc');
    const veil = make('div', { class: 'chatd-drop', 'aria-hidden': 'true' }, words.drop);
    let over = null;

    function show(chat) {
        if (chat === over) return;
        over = chat;
        if (chat) (chat.querySelector('.box-flyout') ?? chat).append(veil);
        else veil.remove();
    }

    document.addEventListener('dragover', (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        const chat = chatOf(event);
        event.dataTransfer.dropEffect = chat ? 'copy' : 'none';
        show(chat ?? null);
    });
    document.addEventListener('dragleave', (event) => {
        if (!event.relatedTarget) show(null);
    });
    document.addEventListener('drop', (event) => {
        show(null);
        if (!hasFiles(event) || event.defaultPrevented) return;
        event.preventDefault();
        chatOf(event)?.model?.sendFiles([...event.dataTransfer.files]);
    });
}
