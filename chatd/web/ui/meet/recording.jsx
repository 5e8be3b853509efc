// Recordings: that one runs, starting and stopping it, and the file that comes of it.
import { useEffect, useRef, useState } from 'react';
import { Dialog } from './dialog.jsx';
import { Icon } from './icons.jsx';
import { clock, dateOf, lasted, sizeOf } from './when.js';
import { t, whyNot } from './words.js';

function Elapsed({ since }) {
    const [now, setNow] = useState(Date.now);
    useEffect(() => {
        const timer = setInterval(() => setNow(Date.now()), 1_000);
        return () => clearInterval(timer);
    }, []);
    return <span className="recording__time" aria-hidden="true">{lasted(Math.max(0, (now - new Date(since)) / 1_000))}</span>;
}

/** Everybody sees that a recording runs; those whom the file is for, that it is being made. */
export function RecordingBadge({ state }) {
    const { meeting, composing } = state;
    const now = meeting?.recording ?? 'off';
    const said = { starting: 'recordingStarts', on: 'recording', stopping: 'recordingStops' }[now];
    return (
        <>
            {said && (
                <span className={`recording recording--${now}`} title={meeting['recording-by'] && t('recordingBy', { name: meeting['recording-by'] })}>
                    <b className="dot" />{t(said)}{now === 'on' && meeting['recording-since'] && <Elapsed since={meeting['recording-since']} />}
                </span>
            )}
            {!said && composing !== null && <span className="recording recording--composing" role="status">{t('recordingComposing', { n: composing })}</span>}
        </>
    );
}

/** Moderators start and stop. */
export function RecordingControl({ meeting, state }) {
    const [isOpen, setOpen] = useState(false);
    const [problem, setProblem] = useState('');
    const [isBusy, setBusy] = useState(false);
    const first = useRef(null);
    // The dialog gives the focus to its first button, which closes it; this comes behind that.
    // And a button that was at work, and so could not have it, takes it back.
    useEffect(() => { if (isOpen) first.current?.focus(); }, [isOpen, problem]);
    const now = state.meeting;
    const isRunning = now?.recording === 'on' || now?.recording === 'starting';
    // What was asked may be answered by itself, or by another moderator: the same button must not do the opposite then.
    const was = useRef(isRunning);
    useEffect(() => { if (isOpen && !isBusy && !problem && was.current !== isRunning) setOpen(false); }, [isOpen, isBusy, problem, isRunning]);
    if (!now || !meeting.self?.isModerator) return null;
    const why = now.canRecord ? '' : now.e2ee === 'true' ? 'recordingEncrypted' : 'recordingImpossible';
    const label = t(isRunning ? 'recordStop' : 'recordStart');
    const open = () => {
        setProblem('');
        was.current = isRunning;
        setOpen(true);
    };
    const act = async () => {
        setBusy(true);
        const wrong = await meeting.record(!isRunning);
        setBusy(false);
        setProblem(wrong);
        if (!wrong) setOpen(false);
    };
    return (
        <>
            <button className={`top__button ${isRunning ? 'top__button--on' : ''}`} aria-label={label} title={label} aria-haspopup="dialog"
                disabled={now.recording === 'stopping'} onClick={open}><Icon name={isRunning ? 'recordStop' : 'record'} /></button>
            {isOpen && (
                <Dialog title={label} className="dialog--small" onClose={() => setOpen(false)}>
                    {why ? <p>{t(why)}</p> : <p>{t(isRunning ? 'reallyRecordStop' : 'reallyRecord')}</p>}
                    {now.problem && !isRunning && <p className="problem">{t('recordingProblem', { why: whyNot(now['recording-condition'], now.problem) })}</p>}
                    {problem && <p className="problem" role="alert">{t(problem)}</p>}
                    <div className="row">
                        {!why && <button ref={first} className={isRunning ? 'danger danger--full' : 'primary'} disabled={isBusy} onClick={act}>{label}</button>}
                        <button onClick={() => setOpen(false)}>{t(why ? 'close' : 'cancel')}</button>
                    </div>
                </Dialog>
            )}
        </>
    );
}

/** The file, played here; the address opens it for an hour, and is given to those only whom it is for. */
function Player({ meeting, id, onClose }) {
    const [found, setFound] = useState(null);
    const [problem, setProblem] = useState('');
    const [isSure, setSure] = useState(false);
    const video = useRef(null);
    useEffect(() => {
        let isGone = false;
        meeting.recordings().then((list) => {
            if (isGone) return;
            const one = list.find((each) => each.id === id);
            if (one?.state === 'ready') setFound(one);
            else setProblem(one ? 'recordingNotReady' : 'recordingGone');
        }, () => { if (!isGone) setProblem('recordingForbidden'); });
        return () => { isGone = true; };
    }, [meeting, id]);
    const address = found && meeting.near(found.url);
    const forget = async () => {
        if (await meeting.command('forget', { id })) onClose();
    };
    return (
        <Dialog title={t('recordingFile')} className="player" onClose={onClose}>
            {problem && <p className="problem" role="alert">{t(problem)}</p>}
            {!problem && !found && <p role="status">{t('loading')}</p>}
            {found && (
                <>
                    <video ref={video} src={address} controls autoPlay playsInline aria-label={t('recordingFile')} onError={() => setProblem('recordingUnplayable')} />
                    <p className="quietly">{found.expires ? t('recordingExpires', { date: dateOf(found.expires) }) : t('recordingStays')}</p>
                    <div className="row">
                        <a className="button primary" href={`${address}&download=1`} download>{t('download')}</a>
                        {!isSure && <button className="danger" onClick={() => setSure(true)}>{t('deleteRecording')}</button>}
                    </div>
                    {isSure && (
                        <div className="asking" role="group" aria-label={t('reallyDeleteRecording')}>
                            <p>{t('reallyDeleteRecording')}</p>
                            <button className="danger danger--full" autoFocus onClick={forget}>{t('deleteRecording')}</button>
                            <button onClick={() => setSure(false)}>{t('cancel')}</button>
                        </div>
                    )}
                </>
            )}
        </Dialog>
    );
}

/** In the chat: that there will be no file; why, for whom it would have been. */
function NotRecorded({ meeting, recorded }) {
    const [reason, setReason] = useState('');
    const isKeeper = meeting.self?.isKeeper;
    useEffect(() => {
        if (!isKeeper) return undefined;
        let isGone = false;
        meeting.recordings().then((list) => {
            const one = list.find((found) => found.id === recorded.id);
            if (!isGone && one) setReason(whyNot(one.condition, one.problem));
        }, () => {});
        return () => { isGone = true; };
    }, [meeting, recorded.id, isKeeper]);
    return (
        <div className="recorded recorded--failed">
            <Icon name="record" />
            <p>
                <b>{t('recordingOf', { date: dateOf(recorded.since), time: clock(recorded.since) })}</b>
                <small>{t('recordingNotMade')}</small>
                {reason && <small>{reason}</small>}
            </p>
        </div>
    );
}

/** In the chat: that there is a file. */
export function Recorded({ meeting, recorded }) {
    return recorded.state === 'failed' ? <NotRecorded meeting={meeting} recorded={recorded} /> : <RecordedFile meeting={meeting} recorded={recorded} />;
}

function RecordedFile({ meeting, recorded }) {
    const [isOpen, setOpen] = useState(false);
    const facts = [recorded.seconds && lasted(Number(recorded.seconds)), recorded.bytes && sizeOf(Number(recorded.bytes))].filter(Boolean);
    return (
        <div className="recorded">
            <Icon name="record" />
            <p>
                <b>{t('recordingOf', { date: dateOf(recorded.since), time: clock(recorded.since) })}</b>
                <small>{facts.join(' · ')}</small>
                {!meeting.self?.isKeeper && <small>{t('recordingForModerators')}</small>}
            </p>
            {meeting.self?.isKeeper && <button onClick={() => setOpen(true)}>{t('watch')}</button>}
            {isOpen && <Player meeting={meeting} id={recorded.id} onClose={() => setOpen(false)} />}
        </div>
    );
}
