// The lobby: what somebody sees who waits, and what moderators see of those who do.
import { useEffect, useState } from 'react';
import { clock } from './when.js';
import { t } from './words.js';

const AGAIN_MS = 30_000; // docs/protocol.md section 6

/** The card of somebody who has knocked. */
export function Waiting({ meeting, state }) {
    const { info } = state;
    return (
        <main className="plain">
            <div className="card card--small lobby">
                <div className="dots" aria-hidden="true"><i /><i /><i /></div>
                <h1>{t('waitingTitle')}</h1>
                <div role="status" className="lobby__said">
                    <p>{state.link !== 'up' ? t('lineDown') : info.moderators > 0 ? t('waitingText') : t('waitingNobody')}</p>
                    {info.recording !== 'off' && <p className="problem problem--recording"><b className="dot" />{t('toldRecording')}</p>}
                    {info.locked && <p className="notice">{t('toldLocked')}</p>}
                </div>
                <p className="quietly">{t('waitingAs', { name: meeting.name, title: info.name || t('title') })}</p>
                <button onClick={() => meeting.stopWaiting()}>{t('stopWaiting')}</button>
            </div>
        </main>
    );
}

/** The card of somebody who was not let in. */
export function Refused({ meeting, state }) {
    const left = () => Math.max(0, Math.ceil((state.refusedAt + AGAIN_MS - Date.now()) / 1000));
    const [seconds, setSeconds] = useState(left);
    useEffect(() => {
        const timer = setInterval(() => setSeconds(left()), 500);
        return () => clearInterval(timer);
    }, [state.refusedAt]);
    return (
        <main className="plain">
            <div className="card card--small lobby">
                <h1>{t('notAdmitted')}</h1>
                <p role="status">{t('notAdmittedText')}</p>
                <button className="primary" disabled={seconds > 0} onClick={() => meeting.knockAgain()}>
                    {seconds > 0 ? t('knockAgainIn', { n: seconds }) : t('knockAgain')}
                </button>
                <button onClick={() => meeting.backToDoor()}>{t('backToDoor')}</button>
            </div>
        </main>
    );
}

/** For moderators, over the pictures: who knocks, answered in one click. */
export function Knocks({ meeting, waiting, onPeople }) {
    if (waiting.length > 1) {
        return (
            <p className="toast toast--knock">{t('peopleWait', { n: waiting.length })}
                <span className="toast__buttons">
                    <button className="primary" onClick={() => meeting.command('admit')}>{t('admitAll')}</button>
                    <button onClick={onPeople}>{t('show')}</button>
                </span>
            </p>
        );
    }
    const [{ jid, nick }] = waiting;
    return (
        <p className="toast toast--knock">{t('knocks', { name: nick })}
            <span className="toast__buttons">
                <button className="primary" aria-label={`${t('admit')}: ${nick}`} onClick={() => meeting.command('admit', { jid })}>{t('admit')}</button>
                <button aria-label={`${t('refuse')}: ${nick}`} onClick={() => meeting.command('refuse', { jid })}>{t('refuse')}</button>
            </span>
        </p>
    );
}

/** For moderators, among the participants: everybody who waits. */
export function WaitingList({ meeting, waiting }) {
    const [isSure, setSure] = useState(false);
    if (!waiting.length) return null;
    return (
        <section className="waiting" aria-label={t('waitingPeople')}>
            <h3>{t('waitingPeople')} ({waiting.length})</h3>
            <ul>
                {waiting.map((one) => (
                    <li key={one.jid}>
                        <span>{one.nick}<small>{[one.isGuest && t('guest'), one.since && t('waitsSince', { time: clock(one.since) })].filter(Boolean).join(' · ')}</small></span>
                        <button className="primary" aria-label={`${t('admit')}: ${one.nick}`} onClick={() => meeting.command('admit', { jid: one.jid })}>{t('admit')}</button>
                        <button aria-label={`${t('refuse')}: ${one.nick}`} onClick={() => meeting.command('refuse', { jid: one.jid })}>{t('refuse')}</button>
                    </li>
                ))}
            </ul>
            {waiting.length > 1 && !isSure && (
                <div className="row">
                    <button onClick={() => meeting.command('admit')}>{t('admitAll')}</button>
                    <button onClick={() => setSure(true)}>{t('refuseAll')}</button>
                </div>
            )}
            {waiting.length > 1 && isSure && (
                <div className="asking" role="group" aria-label={t('reallyRefuseAll', { n: waiting.length })}>
                    <p>{t('reallyRefuseAll', { n: waiting.length })}</p>
                    <button className="danger danger--full" autoFocus onClick={() => { setSure(false); meeting.command('refuse'); }}>{t('refuseAll')}</button>
                    <button onClick={() => setSure(false)}>{t('cancel')}</button>
                </div>
            )}
        </section>
    );
}
