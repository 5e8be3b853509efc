// The dialog that tells the keys, and where they are switched off.
import { Dialog } from './dialog.jsx';
import { SHORTCUTS } from './shortcuts.js';
import { t } from './words.js';

/** isOn: whether they are on; onSwitch(isOn). */
export function Keys({ isOn, onSwitch, onClose }) {
    return (
        <Dialog title={t('shortcuts')} className="dialog--keys" onClose={onClose}>
            <label className="keys__switch"><input type="checkbox" checked={isOn} onChange={(event) => onSwitch(event.target.checked)} /><span>{t('shortcutsOn')}</span></label>
            <dl className="keys">
                {SHORTCUTS.map(([key, name]) => (
                    <div key={name}><dt><kbd>{key === ' ' ? t('spaceBar') : key.toUpperCase()}</kbd></dt><dd>{t(name)}</dd></div>
                ))}
                <div><dt><kbd>Esc</kbd></dt><dd>{t('keyClose')}</dd></div>
            </dl>
        </Dialog>
    );
}
