// "Your meetings": links, who is in them now, and the recordings of each.
import { make } from './elements.js';
import { copyLink } from './meetingdialogs.js';
import { meetings, openMeeting } from './meetings.js';
import { WORDS } from './meetingstrings.js';
import { meetingWindow } from './meetingwindow.js';
import { dayOf, lengthOf, momentOf, sizeOf, whyNot } from './recordingwords.js';

const words = WORDS.list;
const AGAIN_MS = 10_000;

/** The dialog. */
export function meetingList(converse, _converse) {
    const { api } = _converse;
    const { html } = converse.env;

    class Meetings extends _converse.exports.BaseModal {
        initialize() {
            super.initialize();
            this.open = new Map(); // id of a meeting -> its recordings, null while they are asked for
            this.asking = ''; // what is to be confirmed: "end ID", "remove ID", "forget ID"
            this.playing = '';
            this.look();
            const timer = setInterval(() => this.look(), AGAIN_MS);
            this.addEventListener('hidden.bs.modal', () => clearInterval(timer), { once: true });
        }
        getModalTitle() {
            return words.title;
        }
        renderModalFooter() {
            return '';
        }
        async look() {
            try {
                Object.assign(this, await meetings().list());
                this.state.set('alert', undefined);
            } catch (error) {
                this.alert(error.message, 'danger', false);
            }
            for (const one of this.meetings ?? []) if (this.open.has(one.id)) this.lookAtRecordings(one);
            this.requestUpdate();
        }
        async lookAtRecordings(one) {
            try {
                this.open.set(one.id, await meetings().recordings(one.room));
            } catch (error) {
                this.open.set(one.id, this.open.get(one.id) ?? []);
                this.alert(error.message, 'danger', false);
            }
            this.requestUpdate();
        }

        renderModal() {
            if (!this.meetings) return this.state.get('alert') ? '' : html`<p class="chatd-form" role="status">${words.busy}</p>`;
            if (!this.meetings.length) {
                return html`<div class="chatd-form"><p>${words.empty}</p>
                    ${meetings().mayCreate ? html`<button type="button" class="btn btn-primary" @click=${() => this.start()}>${WORDS.button}</button>` : ''}
                </div>`;
            }
            return html`<ul class="chatd-list">${this.meetings.map((one) => this.renderMeeting(one))}</ul>
                ${this.isComplete ? '' : html`<p class="chatd-form__hint">${words.more}</p>`}`;
        }
        renderMeeting(one) {
            const name = one.name || WORDS.unnamed;
            const facts = [
                one.count ? words.now(one.people, one.count) : [words.nobody, one.used ? words.used(momentOf(one.used)) : ''].filter(Boolean).join(', '),
                one.expires ? words.expires(dayOf(one.expires)) : '',
                one.isSecret ? words.secret : '',
            ];
            const button = (kind, text, onClick, look = 'btn-secondary') => html`<button type="button" class="btn ${look}" data-do=${kind}
                aria-label=${`${text}: ${name}`} @click=${onClick}>${text}</button>`;
            return html`<li class="chatd-list__one" data-id=${one.id}>
                <div class="chatd-list__words">
                    <strong>${name}</strong>
                    <span>${facts.filter(Boolean).map((fact) => html`<span class=${one.count ? 'chatd-list__fact is-now' : 'chatd-list__fact'}>${fact}</span>`)}</span>
                </div>
                <div class="chatd-list__buttons">
                    ${button('join', meetingWindow.id === one.id ? WORDS.card.show : words.join, () => this.join(one), 'btn-primary')}
                    ${one.isSecret ? '' : button('copy', this.copied === one.id ? WORDS.copied : WORDS.copy, () => this.copy(one))}
                    ${one.count ? button('end', words.end, () => this.ask(`end ${one.id}`)) : ''}
                    ${one.isOwner ? button('remove', words.remove, () => this.ask(`remove ${one.id}`), 'btn-danger') : ''}
                </div>
                ${this.renderQuestion(`end ${one.id}`, words.askEnd, words.end, () => this.end(one))}
                ${this.renderQuestion(`remove ${one.id}`, words.askRemove, words.remove, () => this.destroyMeeting(one))}
                ${one.recordings ? this.renderRecordings(one) : ''}
            </li>`;
        }
        renderQuestion(what, text, yes, onYes) {
            if (this.asking !== what) return '';
            return html`<div class="chatd-list__question" role="group" aria-label=${text}>
                <p>${text}</p>
                <button type="button" class="btn btn-secondary" @click=${() => this.ask('')}>${words.cancel}</button>
                <button type="button" class="btn btn-danger chatd-danger" @click=${onYes}>${yes}</button>
            </div>`;
        }
        renderRecordings(one) {
            const found = this.open.get(one.id);
            return html`<details class="chatd-options" ?open=${this.open.has(one.id)} @toggle=${(event) => this.toggle(one, event.target.open)}>
                <summary>${WORDS.recordings.title(one.recordings)}</summary>
                ${found === null ? html`<p role="status">${WORDS.recordings.busy}</p>` : ''}
                ${found && !found.length ? html`<p>${WORDS.recordings.none}</p>` : ''}
                <ul>${(found ?? []).map((recording) => this.renderRecording(one, recording))}</ul>
            </details>`;
        }
        renderRecording(one, recording) {
            const { id, state, since, seconds, bytes, url } = recording;
            const said = WORDS.recordings;
            const facts = {
                ready: [lengthOf(seconds), sizeOf(bytes), recording.expires ? said.until(dayOf(recording.expires)) : ''].filter(Boolean).join(' · '),
                recording: said.running, composing: said.composing(recording.progress), failed: [said.failed, whyNot(recording)].filter(Boolean).join(' '),
            }[state] ?? '';
            const isPlaying = this.playing === id;
            const name = momentOf(since);
            return html`<li class="chatd-recording" data-state=${state} data-id=${id}>
                <span class="chatd-list__words"><strong>${name}</strong><span>${facts}</span></span>
                <span class="chatd-list__buttons">
                    ${state === 'ready' ? html`
                        <button type="button" class="btn btn-secondary" data-do="play" aria-expanded=${isPlaying} aria-label=${`${isPlaying ? said.hide : said.play}: ${name}`}
                                @click=${() => this.play(isPlaying ? '' : id, url)}>${isPlaying ? said.hide : said.play}</button>
                        <a class="btn btn-secondary" data-do="save" download href=${`${url}&download=1`} aria-label=${`${said.save}: ${name}`}>${said.save}</a>` : ''}
                    ${state === 'recording' ? '' : html`<button type="button" class="btn btn-danger" data-do="forget" aria-label=${`${said.remove}: ${name}`}
                        @click=${() => this.ask(`forget ${id}`)}>${said.remove}</button>`}
                </span>
                ${this.renderQuestion(`forget ${id}`, said.askRemove, said.remove, () => this.forget(one, id))}
                ${isPlaying ? this.player(name) : ''}
            </li>`;
        }

        /** One element for as long as it plays: a new address of the same recording must not begin it anew. */
        player(name) {
            this.video ??= make('video', { controls: true, autoplay: true, playsinline: true, src: this.address, 'aria-label': WORDS.recordings.player(name) });
            return this.video;
        }
        play(id, url) {
            Object.assign(this, { playing: id, address: url, video: null });
            this.requestUpdate();
        }
        toggle(one, isOpen) {
            if (isOpen === this.open.has(one.id)) return;
            if (isOpen) {
                this.open.set(one.id, null);
                this.lookAtRecordings(one);
            } else this.open.delete(one.id);
            this.requestUpdate();
        }
        ask(what) {
            const before = this.asking;
            this.asking = what;
            this.requestUpdate();
            this.updateComplete.then(() => {
                if (what) this.querySelector('.chatd-list__question button')?.focus();
                else this.backTo(before);
            });
        }
        /** The button that asked has the focus again. */
        backTo(what) {
            const [kind, id] = what.split(' ');
            this.querySelector(`[data-id="${CSS.escape(id ?? '')}"] [data-do="${kind}"]`)?.focus();
        }
        copy(one) {
            copyLink(one.link, (text) => {
                this.copied = text === WORDS.copied ? one.id : '';
                if (text === WORDS.copyFailed) this.alert(text, 'danger', false);
                this.requestUpdate();
            });
        }
        join(one) {
            this.addEventListener('hidden.bs.modal', () => setTimeout(() => openMeeting(_converse, one)), { once: true });
            this.modal.hide();
        }
        start() {
            this.addEventListener('hidden.bs.modal', () => setTimeout(() => api.modal.show('chatd-start-meeting', {})), { once: true });
            this.modal.hide();
        }
        async do(action, done) {
            this.asking = '';
            try {
                await action;
                if (done) api.toast.show('meetings', { type: 'success', body: done });
            } catch (error) {
                this.alert(error.message, 'danger', false);
                this.requestUpdate();
                return;
            }
            await this.look();
            await this.updateComplete;
            if (!this.contains(document.activeElement)) this.querySelector('.modal-header button')?.focus();
        }
        end(one) {
            return this.do(meetings().end(one.room), words.ended(one.name || WORDS.unnamed));
        }
        destroyMeeting(one) {
            return this.do(meetings().remove(one.room), words.removed(one.name || WORDS.unnamed));
        }
        forget(one, id) {
            if (this.playing === id) this.play('', '');
            return this.do(meetings().forget(one.room, id));
        }
    }
    api.elements.define('chatd-meetings-modal', Meetings);
}
