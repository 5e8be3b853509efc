// Who is in a groupchat or has a standing in it, and what they may do: in the place of Converse's moderator tools.
import { completeAddress, isAddress } from './address.js';
import { reasonOf } from './roomdialogs.js';
import { TEXT } from './strings.js';

const words = TEXT.rooms.people;
const STANDINGS = ['owner', 'admin', 'member', 'none', 'outcast'];
const ROLES = ['moderator', 'participant', 'visitor'];
const RANK = Object.fromEntries(STANDINGS.map((name, number) => [name, number]));

/** One list of people, each with a field for the standing and, while inside, one for what they may do. */
export function roomPeople(converse, _converse) {
    const { api } = _converse;
    const { html, u } = converse.env;

    class People extends api.elements.registry['converse-modtools-modal'] {
        async initialize() {
            await super.initialize();
            this.room = await api.rooms.get(this.jid);
            this.listenTo(this.room.occupants, 'add remove change', () => this.requestUpdate());
            await this.load();
        }
        getModalTitle() {
            return words.title(this.room?.getDisplayName() ?? this.jid);
        }
        get own() {
            return this.room.occupants.getOwnOccupant();
        }
        /** The lists that this person may read. */
        async load() {
            const asked = STANDINGS.filter((standing) => standing !== 'none' &&
                (standing !== 'outcast' || ['owner', 'admin'].includes(this.own?.get('affiliation'))));
            const lists = await Promise.all(asked.map((standing) => api.rooms.affiliations.get(standing, this.jid)));
            this.listed = lists.filter(Array.isArray).flat();
            this.requestUpdate();
        }
        /** Everybody, those inside first, by standing and name. */
        people() {
            const inside = this.room.occupants.filter((one) => one.get('presence') === 'online' &&
                one.get('role') !== 'none').map((occupant) => ({
                occupant, jid: occupant.get('jid'), name: occupant.getDisplayName(),
                affiliation: occupant.get('affiliation'), role: occupant.get('role'),
            }));
            const seen = new Set(inside.map(({ jid }) => jid));
            const away = this.listed.filter(({ jid }) => !seen.has(jid)).map(({ jid, nick, affiliation }) => ({
                jid, name: nick || jid, affiliation,
            }));
            const order = (a, b) => RANK[a.affiliation] - RANK[b.affiliation] || a.name.localeCompare(b.name);
            return [...inside.sort(order), ...away.sort(order)];
        }
        /** What this person may give: owners everything, admins what is below them (XEP-0045 5.2.1). */
        assignable(affiliation) {
            const own = this.own?.get('affiliation');
            if (own === 'owner') return STANDINGS;
            const lower = STANDINGS.filter((standing) => RANK[standing] > RANK.admin);
            return own === 'admin' && lower.includes(affiliation) ? lower : [];
        }
        async attempt(change) {
            this.state.set('alert', undefined);
            try {
                await change();
            } catch (error) {
                this.alert(reasonOf(error), 'danger', false);
            }
            await this.load();
        }
        /** A field that somebody has changed shows again what is so: perhaps the change was refused. */
        updated(changed) {
            super.updated?.(changed);
            for (const field of this.querySelectorAll('select[data-chosen]')) field.value = field.dataset.chosen;
        }
        get reason() {
            return this.querySelector('#chatd-people-reason')?.value.trim() ?? '';
        }
        setStanding(jid, affiliation) {
            return this.attempt(() => u.muc.setAffiliation(affiliation, this.jid, [{ jid, reason: this.reason }]));
        }
        setRole(occupant, role) {
            return this.attempt(() => new Promise((done, failed) => {
                this.room.setRole(occupant, role, this.reason, done, failed);
            }));
        }
        add(event) {
            event.preventDefault();
            const data = new FormData(event.target);
            const jid = completeAddress(String(data.get('jid') ?? ''), api.settings.get('default_domain'));
            const field = this.querySelector('#chatd-people-jid');
            if (!isAddress(jid)) {
                this.alert(field.value.trim() ? TEXT.contact.add.invalid : TEXT.contact.add.missing, 'danger', false);
                field.focus();
                return;
            }
            field.value = '';
            this.setStanding(jid, String(data.get('affiliation')));
        }
        renderModal() {
            if (!this.listed) return html`<p class="chatd-form" role="status">${words.busy}</p>`;
            const mayAdd = this.assignable('none');
            return html`<div class="chatd-form">
                <p class="chatd-form__hint">${words.help}</p>
                <ul class="chatd-members">${this.people().map((person) => this.renderPerson(person))}</ul>
                <div class="chatd-form__field">
                    <label class="form-label" for="chatd-people-reason">${words.reason}</label>
                    <input id="chatd-people-reason" type="text" class="form-control" autocomplete="off" />
                </div>
                ${mayAdd.length
                    ? html`<form @submit=${(event) => this.add(event)} novalidate>
                        <label class="form-label" for="chatd-people-jid">${words.add}</label>
                        <div class="chatd-members__add">
                            <input id="chatd-people-jid" name="jid" type="text" inputmode="email" class="form-control"
                                   autocomplete="off" autocapitalize="none" spellcheck="false"
                                   placeholder=${TEXT.login.example} />
                            <select class="form-select" name="affiliation" aria-label=${words.newStanding}>
                                ${mayAdd.filter((one) => one !== 'none').map((one) => html`
                                    <option value=${one} ?selected=${one === 'member'}>${words.affiliations[one]}</option>`)}
                            </select>
                            <button type="submit" class="btn btn-primary">${words.submit}</button>
                        </div>
                    </form>`
                    : ''}
            </div>`;
        }
        renderSelect(label, choices, chosen, names, change) {
            return html`<select class="form-select" aria-label=${label} data-chosen=${chosen}
                    @change=${(event) => change(event.target.value)}>
                ${choices.map((one) => html`<option value=${one} ?selected=${one === chosen}>${names[one]}</option>`)}
            </select>`;
        }
        renderPerson({ occupant, jid, name, affiliation, role }) {
            const isOwn = occupant && occupant === this.own;
            const standings = isOwn || !jid ? [] : this.assignable(affiliation);
            const mayRule = occupant && !isOwn && !['owner', 'admin'].includes(affiliation);
            const own = this.own?.get('affiliation');
            const roles = ROLES.filter((one) => one !== 'moderator' || ['owner', 'admin'].includes(own) || role === one);
            return html`<li class="chatd-members__person" data-name=${name}>
                <div class="chatd-members__name"><strong>${name}</strong>
                    ${isOwn ? html`<em>${words.you}</em>` : ''}
                    ${jid && jid !== name ? html`<span>${jid}</span>` : ''}
                    ${occupant ? '' : html`<span>${words.away}</span>`}</div>
                <div class="chatd-members__fields">
                    ${standings.length
                        ? this.renderSelect(words.standing(name), standings, affiliation, words.affiliations,
                            (value) => this.setStanding(jid, value))
                        : html`<span class="badge">${words.affiliations[affiliation] ?? ''}</span>`}
                    ${mayRule
                        ? html`${this.renderSelect(words.role(name), roles, role, words.roles,
                              (value) => this.setRole(occupant, value))}
                              <button type="button" class="btn btn-danger" title=${words.kickTitle(name)}
                                      @click=${() => this.setRole(occupant, 'none')}>${words.kick}</button>`
                        : occupant ? html`<span class="badge">${words.roles[role] ?? ''}</span>` : ''}
                </div>
            </li>`;
        }
    }
    api.elements.define('converse-modtools-modal', People);
}
