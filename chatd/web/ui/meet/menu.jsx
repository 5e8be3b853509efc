// A button with a panel that opens over it: the More menu and the reactions. Escape, a click elsewhere or a choice closes it.
import { useEffect, useRef, useState } from 'react';
import { Icon } from './icons.jsx';

/** `children(close)`: what is inside. Arrow keys go from one entry to the next. */
export function Menu({ icon, label, role, className = '', children }) {
    const [isOpen, setOpen] = useState(false);
    const whole = useRef(null);
    const button = useRef(null);
    const entries = () => [...whole.current.querySelectorAll('.menu button:not(:disabled)')];
    const close = () => {
        setOpen(false);
        button.current?.focus();
    };
    useEffect(() => {
        if (!isOpen) return undefined;
        entries()[0]?.focus();
        const elsewhere = (event) => { if (!whole.current.contains(event.target)) setOpen(false); };
        document.addEventListener('pointerdown', elsewhere);
        return () => document.removeEventListener('pointerdown', elsewhere);
    }, [isOpen]);
    const keys = (event) => {
        if (!isOpen) return;
        const all = entries();
        const at = all.indexOf(document.activeElement);
        const to = {
            ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: -1,
        }[event.key];
        if (event.key === 'Escape') close();
        else if (event.key === 'Tab') { setOpen(false); return; }
        else if (to !== undefined) all.at(to % all.length)?.focus();
        else return;
        event.preventDefault();
        event.stopPropagation();
    };
    return (
        <div className={`menu-of ${className}`} ref={whole} onKeyDown={keys}>
            <button ref={button} className={`round ${isOpen ? 'round--on' : ''}`} aria-label={label} title={label} aria-haspopup={role === 'menu' ? 'menu' : 'true'}
                aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}><Icon name={icon} /></button>
            {isOpen && <div className="menu" role={role} aria-label={label}>{children(close)}</div>}
        </div>
    );
}

/** An entry of a menu; `isOn` makes it one that is switched. */
export function Entry({ icon, text, isOn, keys, onChoose, className = '' }) {
    const role = isOn === undefined ? 'menuitem' : 'menuitemcheckbox';
    return (
        <button className={`entry ${className}`} role={role} aria-checked={isOn} onClick={onChoose}>
            <Icon name={icon} /><span>{text}</span>{isOn && <Icon name="check" />}{keys && <kbd aria-hidden="true">{keys}</kbd>}
        </button>
    );
}
