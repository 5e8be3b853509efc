// The log-in form: what is typed, what is wrong with it, and saying so next to the field.
import { completeAddress, isAddress } from './address.js';
import { TEXT } from './strings.js';

const form = document.getElementById('login-form');
const address = document.getElementById('address');
const password = document.getElementById('password');
const reveal = document.getElementById('reveal');
const submit = document.getElementById('submit');
const problem = document.getElementById('problem');
const notice = document.getElementById('notice');

/** Shows or clears what is wrong with one field. */
function mark(field, message) {
    const note = document.getElementById(`${field.id}-problem`);
    note.textContent = message;
    if (message) {
        field.setAttribute('aria-invalid', 'true');
        field.setAttribute('aria-describedby', `${note.id} ${field.dataset.hint ?? ''}`.trim());
    } else {
        field.removeAttribute('aria-invalid');
        if (field.dataset.hint) field.setAttribute('aria-describedby', field.dataset.hint);
        else field.removeAttribute('aria-describedby');
    }
}

/** Shows why the log-in failed; empty clears it. A screen reader reads it out (role=alert). */
export function showProblem(message) {
    problem.textContent = message;
    problem.hidden = !message;
    if (message) showNotice('');
}

/** Shows something that is no fault, such as "you are logged out". */
export function showNotice(message) {
    notice.textContent = message;
    notice.hidden = !message;
}

/** Switches between "Log in" and "Logging in…"; a busy form takes no second submit. */
export function setBusy(isBusy) {
    form.toggleAttribute('data-busy', isBusy);
    form.setAttribute('aria-busy', String(isBusy));
    submit.setAttribute('aria-disabled', String(isBusy));
    submit.querySelector('.label').textContent = isBusy ? TEXT.login.busy : TEXT.login.submit;
}

/** Puts the cursor where typing goes on: on an empty address, else on the password, selected. */
export function focusForm() {
    const field = address.value ? password : address;
    field.focus();
    field.select();
}

/** Empties the password: it stays in memory no longer than needed. */
export function forgetPassword() {
    password.value = '';
    setRevealed(false);
}

function setRevealed(isRevealed) {
    password.type = isRevealed ? 'text' : 'password';
    reveal.setAttribute('aria-pressed', String(isRevealed));
    reveal.title = isRevealed ? TEXT.login.hidePassword : TEXT.login.showPassword;
}

/**
 * Brings the form to life.
 * @param {string} domain completes addresses typed without one; may be empty
 * @param {(jid: string, password: string) => void} onSubmit called with a well-formed address and a password
 */
export function startForm(domain, onSubmit) {
    if (domain) {
        const hint = document.getElementById('address-hint');
        hint.textContent = TEXT.login.domainHint(domain);
        hint.hidden = false;
        address.dataset.hint = hint.id;
        address.setAttribute('aria-describedby', hint.id);
    }
    setRevealed(false);
    reveal.addEventListener('click', () => {
        setRevealed(password.type === 'password');
        password.focus();
    });
    address.addEventListener('input', () => mark(address, ''));
    password.addEventListener('input', () => mark(password, ''));
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        if (form.hasAttribute('data-busy')) return;
        showProblem('');
        showNotice('');
        const jid = completeAddress(address.value, domain);
        const wrong = !address.value.trim()
            ? TEXT.login.addressMissing
            : isAddress(jid)
              ? ''
              : TEXT.login.addressInvalid;
        mark(address, wrong);
        mark(password, password.value ? '' : TEXT.login.passwordMissing);
        if (wrong) address.focus();
        else if (!password.value) password.focus();
        else onSubmit(jid, password.value);
    });
}
