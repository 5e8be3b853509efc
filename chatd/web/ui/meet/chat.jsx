// The chat beside the pictures.
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { Head } from './aside.jsx';
import { Icon } from './icons.jsx';
import { Recorded } from './recording.jsx';
import { clock, dateOf } from './when.js';
import { t } from './words.js';

const NEAR_PX = 80; // from the end: who reads further up is not pulled down
const TOGETHER_MS = 300_000;
const LONG = { signs: 900, lines: 14 };
const BYTES_MOST = 9_000; // of the 10,240 that a stanza of a visitor may have

const dayOf = (stamp) => new Date(stamp).toDateString();

function dayName(stamp) {
    const day = new Date(stamp);
    const today = new Date();
    const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
    if (dayOf(day) === dayOf(today)) return t('today');
    if (dayOf(day) === dayOf(yesterday)) return t('yesterday');
    return dateOf(day, { weekday: 'long', day: 'numeric', month: 'long', year: day.getFullYear() === today.getFullYear() ? undefined : 'numeric' });
}

/** A link, with where it really leads for whoever points at it. */
function Link({ text }) {
    let href;
    try {
        href = new URL(text).href;
    } catch {
        return text;
    }
    return <a href={href} title={href} dir="ltr" target="_blank" rel="noopener noreferrer nofollow">{text}</a>;
}

/** Text with its web addresses as links; a full stop or bracket behind one belongs to the sentence. */
function Text({ body }) {
    return body.split(/(https?:\/\/[^\s<>"\u202a-\u202e\u2066-\u2069]*[^\s<>"\u202a-\u202e\u2066-\u2069.,;:!?)\]}'’»])/i).map((part, at) => (
        at % 2 ? <Link key={at} text={part} /> : part));
}

function Body({ body }) {
    const [isOpen, setOpen] = useState(false);
    const lines = body.split('\n');
    const isLong = body.length > LONG.signs || lines.length > LONG.lines;
    const shown = !isLong || isOpen ? body : `${lines.slice(0, LONG.lines).join('\n').slice(0, LONG.signs)}…`;
    return (
        <div className="message__body" dir="auto">
            <Text body={shown} />
            {isLong && <button className="message__more" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>{t(isOpen ? 'showLess' : 'showMore')}</button>}
        </div>
    );
}

function Tools({ meeting, one }) {
    const [isCopied, setCopied] = useState(false);
    const [isSure, setSure] = useState(false);
    const mayRemove = one.isMine || meeting.self?.isModerator;
    const copy = async () => {
        await navigator.clipboard.writeText(one.body);
        setCopied(true);
        setTimeout(() => setCopied(false), 2_000);
    };
    if (isSure) {
        return (
            <div className="asking" role="group" aria-label={t('reallyDelete')}>
                <p>{t('reallyDelete')}</p>
                <button className="danger danger--full" autoFocus onClick={() => { setSure(false); meeting.removeMessage(one); }}>{t('delete')}</button>
                <button onClick={() => setSure(false)}>{t('cancel')}</button>
            </div>
        );
    }
    return (
        <span className="message__tools">
            <button className="plainly" aria-label={t('copyMessage')} title={t('copyMessage')} onClick={copy}><Icon name={isCopied ? 'done' : 'copy'} /></button>
            {mayRemove && <button className="plainly" aria-label={t('delete')} title={t('delete')} onClick={() => setSure(true)}><Icon name="trash" /></button>}
            <span className="hidden" role="status">{isCopied && t('copied')}</span>
        </span>
    );
}

const STATUS = { sending: 'messageSending', failed: 'messageFailed', forbidden: 'messageForbidden' };

function Message({ meeting, one, title, isFirst }) {
    const isRoom = !one.nick;
    return (
        <div className={`message ${one.isMine ? 'message--mine' : ''} ${isRoom ? 'message--room' : ''} ${isFirst ? '' : 'message--next'}`}>
            {isFirst && <p className="message__head"><b>{one.isMine ? t('you', { name: one.nick }) : one.nick || title}</b> <time dateTime={one.at}>{clock(one.at)}</time></p>}
            {one.gone && <p className="message__gone">{t(one.gone === 'moderator' ? 'messageModerated' : 'messageGone')}</p>}
            {!one.gone && one.recorded && <Recorded meeting={meeting} recorded={one.recorded} />}
            {!one.gone && !one.recorded && <Body body={one.body} />}
            {one.isEdited && !one.gone && <small className="message__mark">{t('edited')}</small>}
            {one.status && (
                <p className="message__status" role="status">{t(STATUS[one.status])}
                    {one.status !== 'sending' && <> <button onClick={() => meeting.sayAgain(one)}>{t('retry')}</button> <button onClick={() => meeting.removeMessage(one)}>{t('delete')}</button></>}
                </p>
            )}
            {!one.gone && !one.status && !isRoom && <Tools meeting={meeting} one={one} />}
        </div>
    );
}

/** The messages, with the days between them; names stand once over what somebody says in one go. */
function Log({ meeting, state, title }) {
    const log = useRef(null);
    const isAtEnd = useRef(true);
    const height = useRef(0);
    const [hasMore, setHasMore] = useState(false);
    const { messages } = state;
    const last = messages.at(-1);
    const first = messages[0]?.key;
    const toEnd = () => log.current?.scrollTo({ top: log.current.scrollHeight });
    useLayoutEffect(() => {
        // Earlier ones came above: what one reads stays where it is.
        if (log.current && !isAtEnd.current) log.current.scrollTop += log.current.scrollHeight - height.current;
    }, [first]);
    useLayoutEffect(() => {
        if (isAtEnd.current || last?.isMine) toEnd();
        else setHasMore(true);
    }, [last?.key]);
    useLayoutEffect(() => { height.current = log.current?.scrollHeight ?? 0; });
    const scrolled = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
        if (isAtEnd.current) setHasMore(false);
    };
    return (
        <div className="log">
            <div className="messages" ref={log} role="log" tabIndex={0} aria-label={t('chat')} onScroll={scrolled}>
                {state.hasEarlier && <button className="messages__earlier" disabled={state.isLoadingEarlier} onClick={() => meeting.loadEarlier()}>{t(state.isLoadingEarlier ? 'loadingEarlier' : 'loadEarlier')}</button>}
                {messages.length === 0 && <p className="quietly">{t('noMessages')}</p>}
                {messages.flatMap((one, at) => {
                    const before = messages[at - 1];
                    const isNewDay = !before || dayOf(before.at) !== dayOf(one.at);
                    const isFirst = isNewDay || before.nick !== one.nick || before.isMine !== one.isMine || new Date(one.at) - new Date(before.at) > TOGETHER_MS;
                    return [
                        isNewDay && <p key={`day ${one.key}`} className="messages__day"><time dateTime={one.at.slice(0, 10)}>{dayName(one.at)}</time></p>,
                        <Message key={one.key} meeting={meeting} one={one} title={title} isFirst={isFirst} />,
                    ];
                })}
            </div>
            {hasMore && <button className="log__more primary" onClick={() => { isAtEnd.current = true; toEnd(); setHasMore(false); }}>{t('newBelow')}</button>}
        </div>
    );
}

function Writing({ meeting }) {
    const [text, setText] = useState(meeting.draft);
    const change = (value) => {
        meeting.draft = value;
        setText(value);
    };
    const bytes = new TextEncoder().encode(text.replace(/[<>&"]/g, '&quot;')).length;
    const isTooLong = bytes > BYTES_MOST;
    const send = (event) => {
        event?.preventDefault();
        if (!text.trim() || isTooLong) return;
        meeting.say(text.trim());
        change('');
    };
    return (
        <form className="writing" onSubmit={send}>
            {isTooLong && <p className="problem" role="alert">{t('messageTooLong')}</p>}
            <textarea rows={2} value={text} aria-label={t('write')} placeholder={t('write')} autoFocus aria-invalid={isTooLong}
                onChange={(event) => change(event.target.value)}
                onKeyDown={(event) => { if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) send(event); }} />
            <button className="round round--small" aria-label={t('send')} title={t('send')} disabled={!text.trim() || isTooLong}><Icon name="send" /></button>
        </form>
    );
}

export function Chat({ meeting, state, onClose }) {
    useEffect(() => {
        meeting.readChat(true);
        return () => meeting.readChat(false);
    }, [meeting]);
    return (
        <aside className="side" aria-label={t('chat')}>
            <Head title={t('chat')} onClose={onClose} />
            <Log meeting={meeting} state={state} title={state.info.name || t('title')} />
            {meeting.may('chat') ? <Writing meeting={meeting} /> : <p className="quietly side__foot">{t('chatForbidden')}</p>}
        </aside>
    );
}
