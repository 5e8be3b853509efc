// End-to-end encryption as people see it: that it is on, and what to do without the key.
import { useId, useState } from 'react';
import { Dialog } from './dialog.jsx';
import { Icon } from './icons.jsx';
import { newKey } from './key.js';
import { t } from './words.js';

/** The page of somebody whose link lacks the key; who opens an empty meeting may make one. */
export function KeyMissing({ meeting, info }) {
    const [text, setText] = useState('');
    const [isWrong, setWrong] = useState(false);
    const [id, problem] = [useId(), useId()];
    const take = (event) => {
        event.preventDefault();
        setWrong(!meeting.useKey(text));
    };
    return (
        <form className="key" onSubmit={take} noValidate>
            <div className="field">
                <label htmlFor={id}>{t('keyField')}</label>
                <input id={id} name="key" value={text} autoComplete="off" spellCheck={false} aria-describedby={isWrong ? problem : undefined}
                    aria-invalid={isWrong} onChange={(event) => setText(event.target.value)} />
                {isWrong && <p id={problem} className="problem" role="alert">{t('keyNotThere')}</p>}
            </div>
            <button className="primary" type="submit">{t('keyUse')}</button>
            {info.occupants === 0 && <button type="button" onClick={() => meeting.useKey(newKey())}>{t('keyMake')}</button>}
        </form>
    );
}

/** In the meeting: a badge that says it, and at a click what it means for chat and recordings. */
export function Encrypted() {
    const [isOpen, setOpen] = useState(false);
    return (
        <>
            <button className="encrypted" aria-label={t('encryptedOn')} aria-haspopup="dialog" title={t('encryptedMeans')} onClick={() => setOpen(true)}>
                <Icon name="lock" /><span>{t('encryptedOn')}</span>
            </button>
            {isOpen && <Dialog title={t('encryptedOn')} className="dialog--small" onClose={() => setOpen(false)}><p>{t('encryptedMeans')}</p></Dialog>}
        </>
    );
}

/** What is wrong with keys at the moment: a key of the language files and its values, or null. */
export function keyTrouble(tiles) {
    const others = tiles.filter((one) => !one.isLocal && !one.isScreen);
    const unreadable = others.filter((one) => one.isUnreadable);
    if (!unreadable.length) return null;
    return unreadable.length === others.length && others.length > 1
        ? ['keyIsWrong', {}] : ['keyDiffers', { names: unreadable.map((one) => one.nick).join(', ') }];
}
