// The link of the meeting, to be sent to somebody: into the clipboard, or shown where the browser forbids that.
import { useRef, useState } from 'react';
import { Dialog } from './dialog.jsx';
import { t } from './words.js';

const COPIED_MS = 2_500;

/** {isCopied, copy(), dialog}: the dialog is to be put somewhere, it is mostly null. */
export function useCopy(meeting) {
    const [isCopied, setCopied] = useState(false);
    const [isShown, setShown] = useState(false);
    const timer = useRef(0);
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(meeting.address);
        } catch {
            setShown(true);
            return;
        }
        setCopied(true);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setCopied(false), COPIED_MS);
    };
    const dialog = isShown && (
        <Dialog title={t('copyLink')} onClose={() => setShown(false)}>
            <div className="field">
                <label htmlFor="address">{t('copyByHand')}</label>
                <input id="address" readOnly value={meeting.address} autoFocus onFocus={(event) => event.target.select()} />
            </div>
        </Dialog>
    );
    return { isCopied, copy, dialog };
}
