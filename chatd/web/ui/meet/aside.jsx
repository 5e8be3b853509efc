// What the views beside the pictures have in common.
import { useEffect, useRef, useState } from 'react';
import { Icon } from './icons.jsx';
import { t } from './words.js';

export function Head({ title, onClose }) {
    return <header><h2>{title}</h2><button className="plainly" aria-label={t('close')} title={t('close')} onClick={onClose}><Icon name="close" /></button></header>;
}

/** A button that asks once more in its own place; children: what can be chosen besides. */
export function Asking({ label, question, answer, isDangerous = true, onYes, children }) {
    const [isAsking, setAsking] = useState(false);
    const asker = useRef(null);
    const wasAsking = useRef(false);
    // What had the focus goes away with the question.
    useEffect(() => {
        if (wasAsking.current && !isAsking) asker.current?.focus();
        wasAsking.current = isAsking;
    }, [isAsking]);
    if (!isAsking) return <button ref={asker} className={isDangerous ? 'danger' : ''} onClick={() => setAsking(true)}>{label}</button>;
    return (
        <div className={`asking ${isDangerous ? '' : 'asking--mild'}`} role="group" aria-label={question}
            onKeyDown={(event) => { if (event.key === 'Escape') { event.stopPropagation(); setAsking(false); } }}>
            <p>{question}</p>
            {children}
            <button className={isDangerous ? 'danger danger--full' : 'primary'} autoFocus onClick={() => { setAsking(false); onYes(); }}>{answer ?? label}</button>
            <button onClick={() => setAsking(false)}>{t('cancel')}</button>
        </div>
    );
}

/** On or off, with a sentence about what that means. It turns at once, and back where `onChange` resolves to false. */
export function Switch({ label, about, isOn, onChange }) {
    const [wanted, setWanted] = useState(null);
    const change = async (event) => {
        setWanted(event.target.checked);
        await onChange(event.target.checked);
        setWanted(null);
    };
    return (
        <label className="toggle">
            <span>{label}{about && <small>{about}</small>}</span>
            <input type="checkbox" role="switch" checked={wanted ?? isOn} onChange={change} />
        </label>
    );
}
