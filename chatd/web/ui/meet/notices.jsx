// What is told over the pictures: what lasts while it holds, what has just happened, and to whom it is only spoken.
import { useEffect, useRef, useState } from 'react';
import { keyTrouble } from './encrypted.jsx';
import { Knocks } from './lobby.jsx';
import { labelOf } from './tiles.jsx';
import { t } from './words.js';

const NOTICE_MS = 6_000;
const UNDO_MS = 12_000;
const PAUSED_MS = 2_000;
const LASTING = { reconnecting: 'mediaReconnecting', failed: 'mediaFailed', connecting: 'connecting' };

export function Notices({ meeting, state, tiles, isTalking, onPeople, onCheck }) {
    const { notice } = state;
    useEffect(() => {
        if (!notice) return undefined;
        const timer = setTimeout(meeting.hush, notice.undo ? UNDO_MS : NOTICE_MS);
        return () => clearTimeout(timer);
    }, [notice, meeting]);
    const lasting = state.link !== 'up' ? 'lineDown' : LASTING[state.media];
    const trouble = meeting.isEncrypted && keyTrouble(tiles);
    const undo = () => {
        meeting.hush();
        notice.undo();
    };
    return (
        <div className="notices">
            <div className="notices__kind" aria-live="polite">
                {lasting && <p className={`toast ${lasting === 'connecting' ? '' : 'toast--bad'}`}>{t(lasting)}{lasting === 'mediaFailed' && <> <button onClick={onCheck}>{t('checkTitle')}</button></>}</p>}
                {trouble && <p className="toast toast--bad">{t(...trouble)}</p>}
                {state.isSilenced && <p className="toast toast--bad">{t('silenced')} <button onClick={() => meeting.startAudio()}>{t('soundOn')}</button></p>}
                {state.waiting.length > 0 && <Knocks meeting={meeting} waiting={state.waiting} onPeople={onPeople} />}
                {meeting.mine.screen && <p className="toast">{t('youShare')} <button onClick={() => meeting.set('screen', false)}>{t('screenStop')}</button></p>}
                {isTalking && <p className="toast toast--good">{t('talking')}</p>}
                {notice && notice.kind !== 'bad' && (
                    <p className={`toast toast--${notice.kind}`}>{t(notice.key, notice.values)}{notice.undo && <> <button onClick={undo}>{t('undo')}</button></>}</p>
                )}
            </div>
            <div className="notices__kind" aria-live="assertive">
                {notice?.kind === 'bad' && <p className="toast toast--bad">{t(notice.key, notice.values)}</p>}
            </div>
        </div>
    );
}

/** Which pictures are paused for want of line, and that they go on: said when it lasts. */
function usePaused(tiles, say) {
    const names = tiles.filter((one) => one.isPaused).map(labelOf).join(', ');
    const told = useRef('');
    useEffect(() => {
        if (names === told.current) return undefined;
        const timer = setTimeout(() => {
            told.current = names;
            say(names ? t('pausedNow', { names }) : t('pausedOver'));
        }, PAUSED_MS);
        return () => clearTimeout(timer);
    }, [names, say]);
}

/** Hands and screens that are new, pictures that are paused, for a screen reader. */
export function Spoken({ tiles }) {
    const [said, setSaid] = useState('');
    usePaused(tiles, setSaid);
    const known = useRef(null);
    useEffect(() => {
        const now = new Map(tiles.filter((one) => !one.isLocal && (one.hand || one.isScreen))
            .map((one) => [`${one.key} ${one.hand}`, t(one.isScreen ? 'sharesNow' : 'raisesNow', { name: one.nick })]));
        const fresh = [...now].filter(([key]) => known.current && !known.current.has(key)).map(([, text]) => text);
        known.current = now;
        if (fresh.length) setSaid(fresh.join(' '));
    }, [tiles]);
    return <p className="hidden" role="status">{said}</p>;
}
