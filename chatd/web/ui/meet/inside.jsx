// In the meeting: the bar of what is going on, the pictures, the buttons, and chat or participants beside them.
import { useEffect, useRef, useState } from 'react';
import { Chat, People } from './aside.jsx';
import { Icon } from './icons.jsx';
import { chime } from './sounds.js';
import { Tiles } from './tiles.jsx';
import { t } from './words.js';

const NOTICE_MS = 6_000;

function CopyLink({ link }) {
    const [isCopied, setCopied] = useState(false);
    const copy = async () => {
        await navigator.clipboard.writeText(link);
        setCopied(true);
        setTimeout(() => setCopied(false), 2_500);
    };
    return <button className="copy" onClick={copy}><Icon name="link" /><span role="status">{isCopied ? t('copied') : t('copyLink')}</span></button>;
}

function Notices({ meeting, state, onPeople }) {
    const { notice } = state;
    useEffect(() => {
        if (!notice) return undefined;
        const timer = setTimeout(meeting.hush, NOTICE_MS);
        return () => clearTimeout(timer);
    }, [notice, meeting]);
    const lasting = state.link === 'down' ? 'lineDown'
        : { reconnecting: 'mediaReconnecting', failed: 'mediaFailed', connecting: 'connecting' }[state.media];
    return (
        <div className="notices" aria-live="polite">
            {lasting && <p className={`toast ${lasting === 'connecting' ? '' : 'toast--bad'}`}>{t(lasting)}</p>}
            {state.isSilenced && <p className="toast toast--bad">{t('silenced')} <button onClick={() => meeting.startAudio()}>{t('soundOn')}</button></p>}
            {state.waiting.length > 0 && <p className="toast">{t('peopleWait', { n: state.waiting.length })} <button onClick={onPeople}>{t('show')}</button></p>}
            {notice && <p className={`toast toast--${notice.kind}`}>{t(notice.key, notice.values)}</p>}
        </div>
    );
}

function Button({ icon, label, isOn, isOff, isForbidden, badge, onClick, className = '', buttonRef }) {
    const said = isForbidden ? `${label}. ${t('notAllowed')}` : label;
    return (
        <button ref={buttonRef} className={`round ${isOff ? 'round--off' : ''} ${isOn ? 'round--on' : ''} ${className}`} aria-label={said} title={said}
            aria-pressed={isOn} disabled={isForbidden} onClick={onClick}>
            <Icon name={icon} />{badge > 0 && <b className="badge" aria-hidden="true">{badge > 99 ? '99+' : badge}</b>}
        </button>
    );
}

export function Inside({ meeting, state, title }) {
    const [side, setSide] = useState('');
    const opener = useRef({});
    const { mine, self } = meeting;
    const toggle = (name) => setSide(side === name ? '' : name);
    const close = () => {
        opener.current[side]?.focus();
        setSide('');
    };
    useEffect(() => {
        meeting.onSound = chime;
        return () => { meeting.onSound = undefined; };
    }, [meeting]);
    const recording = state.meeting?.recording;
    const isAlone = state.occupants.length === 1 && state.media === 'connected';
    return (
        <div className={`inside ${side ? 'inside--side' : ''}`} onKeyDown={(event) => { if (event.key === 'Escape' && side) close(); }}>
            <header className="top">
                <h1>{title}</h1>
                {recording && recording !== 'off' && <span className="recording"><b className="dot" />{t('recording')}</span>}
                <CopyLink link={state.info.link} />
            </header>
            <main className="middle">
                <Notices meeting={meeting} state={state} onPeople={() => setSide('people')} />
                <Tiles state={state} />
                {isAlone && <p className="alone">{t('alone')}</p>}
            </main>
            {side === 'chat' && <Chat meeting={meeting} state={state} onClose={close} />}
            {side === 'people' && <People meeting={meeting} state={state} onClose={close} />}
            <footer className="bar" role="toolbar" aria-label={t('controls')}>
                {['microphone', 'camera'].map((kind) => (
                    <Button key={kind} icon={mine[kind] ? kind : `${kind}Off`} isOff={!mine[kind]} label={t(`${kind}${mine[kind] ? 'Off' : 'On'}`)}
                        isForbidden={!mine[kind] && !meeting.may(kind)} onClick={() => meeting.set(kind, !mine[kind])} />
                ))}
                {navigator.mediaDevices?.getDisplayMedia && (
                    <Button icon="screen" isOn={mine.screen} label={t(mine.screen ? 'screenStop' : 'screen')}
                        isForbidden={!mine.screen && !meeting.may('screen')} onClick={() => meeting.set('screen', !mine.screen)} />
                )}
                <Button icon="hand" isOn={Boolean(self?.hand)} label={t(self?.hand ? 'handDown' : 'hand')}
                    onClick={() => meeting.command('hand', { raised: String(!self?.hand) })} />
                <Button icon="chat" isOn={side === 'chat'} label={state.unread ? `${t('chat')}: ${t('newMessages', { n: state.unread })}` : t('chat')}
                    badge={state.unread} buttonRef={(element) => { opener.current.chat = element; }} onClick={() => toggle('chat')} />
                <Button icon="people" isOn={side === 'people'} label={t('people')} badge={state.waiting.length}
                    buttonRef={(element) => { opener.current.people = element; }} onClick={() => toggle('people')} />
                <Button icon="leave" label={t('leave')} className="round--leave" onClick={() => meeting.leave()} />
            </footer>
        </div>
    );
}
