// A question over everything else, meeting window included, which Converse's dialogs would lie behind.
import { make } from './elements.js';

/**
 * Asks and resolves to the answer. The button that changes nothing has the focus, unless the other answer is advised; Escape means it.
 * @param {{title: string, text: string, yes: string, no: string, isAdvised?: boolean}} words
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes, no, isAdvised = false }) {
    return new Promise((resolve) => {
        const answer = (isYes) => () => dialog.close(isYes ? 'yes' : '');
        const dialog = make('dialog', { class: 'question', 'aria-labelledby': 'question-title', 'aria-describedby': 'question-text' },
            make('h2', { id: 'question-title' }, title),
            make('p', { id: 'question-text' }, text),
            make('div', { class: 'question__buttons' },
                make('button', { type: 'button', class: 'quiet', autofocus: !isAdvised, onclick: answer(false) }, no),
                make('button', { type: 'button', class: 'question__yes', autofocus: isAdvised, onclick: answer(true) }, yes)));
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
        document.body.append(dialog);
        dialog.showModal();
    });
}
