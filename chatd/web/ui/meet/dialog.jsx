// A dialog over the page: the browser's own, which keeps the focus in and gives it back, and closes with Escape.
import { useId, useLayoutEffect, useRef } from 'react';
import { Icon } from './icons.jsx';
import { t } from './words.js';

/** title: its heading; className: more classes; onClose: it is to go away. */
export function Dialog({ title, className = '', onClose, children }) {
    const dialog = useRef(null);
    const titleId = useId();
    useLayoutEffect(() => { // closed before it is taken out, or the focus would not go back
        const element = dialog.current;
        element.showModal();
        return () => element.close();
    }, []);
    return (
        <dialog ref={dialog} className={`dialog ${className}`} aria-labelledby={titleId}
            onCancel={(event) => { if (event.target === dialog.current) { event.preventDefault(); onClose(); } }}
            onKeyDown={(event) => event.stopPropagation()}
            onPointerDown={(event) => { if (event.target === dialog.current) onClose(); }}>
            <div className="dialog__all">
                <header>
                    <h2 id={titleId}>{title}</h2>
                    <button type="button" className="plainly" aria-label={t('close')} title={t('close')} onClick={onClose}><Icon name="close" /></button>
                </header>
                <div className="dialog__body">{children}</div>
            </div>
        </dialog>
    );
}
