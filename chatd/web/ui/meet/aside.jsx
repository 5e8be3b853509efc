// What stands beside the pictures: the chat, and who is there.
import { useEffect, useRef, useState } from 'react';
import { Icon } from './icons.jsx';
import { t } from './words.js';

function Head({ title, onClose }) {
    return <header><h2>{title}</h2><button className="plainly" aria-label={t('close')} title={t('close')} onClick={onClose}><Icon name="close" /></button></header>;
}

const clock = (stamp) => new Date(stamp).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

/** Text with its web addresses as links. */
function Text({ body }) {
    return body.split(/(https?:\/\/[^\s<>"]+)/).map((part, at) => (
        at % 2 ? <a key={at} href={part} target="_blank" rel="noopener noreferrer">{part}</a> : part));
}

export function Chat({ meeting, state, onClose }) {
    const [text, setText] = useState('');
    const end = useRef(null);
    const mayWrite = meeting.may('chat');
    useEffect(() => {
        meeting.readChat(true);
        return () => meeting.readChat(false);
    }, [meeting]);
    useEffect(() => { end.current?.scrollIntoView({ block: 'nearest' }); }, [state.messages.length]);
    const send = (event) => {
        event?.preventDefault();
        if (!text.trim()) return;
        meeting.say(text.trim());
        setText('');
    };
    return (
        <aside className="side" aria-label={t('chat')}>
            <Head title={t('chat')} onClose={onClose} />
            <div className="messages" role="log" tabIndex={0} aria-label={t('chat')}>
                {state.messages.length === 0 && <p className="quietly">{t('noMessages')}</p>}
                {state.messages.map((one) => (
                    <div key={one.id} className={`message ${one.isMine ? 'message--mine' : ''}`}>
                        <p className="message__head"><b>{one.nick || state.info.name || t('title')}</b> <time dateTime={one.at}>{clock(one.at)}</time></p>
                        <p className="message__body"><Text body={one.body} /></p>
                    </div>
                ))}
                <div ref={end} />
            </div>
            {mayWrite ? (
                <form className="writing" onSubmit={send}>
                    <textarea rows={2} maxLength={4000} value={text} aria-label={t('write')} placeholder={t('write')} autoFocus
                        onChange={(event) => setText(event.target.value)}
                        onKeyDown={(event) => { if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) send(event); }} />
                    <button className="round round--small" aria-label={t('send')} title={t('send')} disabled={!text.trim()}><Icon name="send" /></button>
                </form>
            ) : <p className="quietly side__foot">{t('chatForbidden')}</p>}
        </aside>
    );
}

/** A button that asks once more in its own place. */
function Asking({ label, question, onYes }) {
    const [isAsking, setAsking] = useState(false);
    if (!isAsking) return <button className="danger" onClick={() => setAsking(true)}>{label}</button>;
    return (
        <div className="asking" role="group" aria-label={question}>
            <p>{question}</p>
            <button className="danger danger--full" autoFocus onClick={onYes}>{label}</button>
            <button onClick={() => setAsking(false)}>{t('cancel')}</button>
        </div>
    );
}

function Actions({ meeting, one, on }) {
    const act = (name, values) => meeting.command(name, { nick: one.nick, ...values });
    return (
        <div className="actions">
            {on?.hasSound && <button onClick={() => act('mute', { source: 'microphone' })}>{t('mute')}</button>}
            {on?.camera && <button onClick={() => act('mute', { source: 'camera' })}>{t('cameraStop')}</button>}
            {on?.screen && <button onClick={() => act('mute', { source: 'screen' })}>{t('screenStopOf')}</button>}
            {one.hand && <button onClick={() => act('hand', { raised: 'false' })}>{t('lowerHand')}</button>}
            {!one.isOwner && <button onClick={() => act('moderator', { on: String(!one.isModerator) })}>{t(one.isModerator ? 'unmakeModerator' : 'makeModerator')}</button>}
            {!one.isOwner && <Asking label={t('remove')} question={t('reallyRemove', { name: one.nick })} onYes={() => act('remove')} />}
        </div>
    );
}

export function People({ meeting, state, onClose }) {
    const [open, setOpen] = useState('');
    const isModerator = meeting.self?.isModerator;
    const order = (one) => (one.isSelf ? '0' : one.hand ? `1${one.hand}` : `2${one.nick.toLowerCase()}`);
    const all = [...state.occupants].sort((a, b) => (order(a) < order(b) ? -1 : 1));
    return (
        <aside className="side" aria-label={t('people')}>
            <Head title={`${t('people')} (${all.length})`} onClose={onClose} />
            <div className="side__all" tabIndex={0} role="group" aria-label={t('people')}>
                {isModerator && state.waiting.length > 0 && (
                    <section className="waiting">
                        <h3>{t('waitingPeople')}</h3>
                        <ul>
                            {state.waiting.map((one) => (
                                <li key={one.jid}>
                                    <span>{one.nick}</span>
                                    <button className="primary" aria-label={`${t('admit')}: ${one.nick}`} onClick={() => meeting.command('admit', { jid: one.jid })}>{t('admit')}</button>
                                    <button aria-label={`${t('refuse')}: ${one.nick}`} onClick={() => meeting.command('refuse', { jid: one.jid })}>{t('refuse')}</button>
                                </li>
                            ))}
                        </ul>
                        {state.waiting.length > 1 && (
                            <div className="row">
                                <button onClick={() => meeting.command('admit')}>{t('admitAll')}</button>
                                <button onClick={() => meeting.command('refuse')}>{t('refuseAll')}</button>
                            </div>
                        )}
                    </section>
                )}
                <ul className="people">
                    {all.map((one) => {
                        const on = state.people.find((found) => (one.isSelf ? found.isLocal : one.media.includes(found.identity)));
                        const may = isModerator && !one.isSelf;
                        return (
                            <li key={one.nick}>
                                <div className="people__line">
                                    <span className="people__name">
                                        {one.isSelf ? t('you', { name: one.nick }) : one.nick}
                                        <small>{[one.isModerator && t('moderator'), one.isGuest && t('guest'), !on && t('noMedia')].filter(Boolean).join(' · ')}</small>
                                    </span>
                                    {one.hand && <span title={t('handUp')} className="people__hand"><Icon name="hand" /><span className="hidden">{t('handUp')}</span></span>}
                                    {on && !on.hasSound && <span title={t('muted')}><Icon name="microphoneOff" /><span className="hidden">{t('muted')}</span></span>}
                                    {may && (
                                        <button className="plainly" aria-expanded={open === one.nick} aria-label={t('actions', { name: one.nick })}
                                            title={t('actions', { name: one.nick })} onClick={() => setOpen(open === one.nick ? '' : one.nick)}><Icon name="more" /></button>
                                    )}
                                </div>
                                {may && open === one.nick && <Actions meeting={meeting} one={one} on={on} />}
                            </li>
                        );
                    })}
                </ul>
            </div>
            {isModerator && (
                <footer className="side__foot row">
                    <button onClick={() => meeting.command('mute', { source: 'microphone' })}>{t('muteAll')}</button>
                    <Asking label={t('endAll')} question={t('reallyEnd')} onYes={() => meeting.command('end')} />
                </footer>
            )}
        </aside>
    );
}
