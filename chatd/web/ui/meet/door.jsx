// Before joining: how one will look and sound, under what name, and what one should know.
import { useEffect, useId, useRef, useState } from 'react';
import * as devices from './devices.js';
import { Icon } from './icons.jsx';
import { t } from './words.js';

function Preview({ track }) {
    const video = useRef(null);
    useEffect(() => {
        if (video.current) video.current.srcObject = track ? new MediaStream([track]) : null;
    }, [track]);
    return <video ref={video} className="mirrored" autoPlay playsInline muted hidden={!track} />;
}

function Level({ track }) {
    const bar = useRef(null);
    useEffect(() => devices.meter(track, (level) => bar.current?.style.setProperty('--level', level)), [track]);
    return <div className="level" ref={bar} role="img" aria-label={t('level')}><i /></div>;
}

/** A choice of devices of one kind. */
export function Choice({ kind, list, value, onChange }) {
    const id = useId();
    if (!list.length) return null;
    return (
        <div className="field">
            <label htmlFor={id}>{t(kind)}</label>
            <select id={id} value={value ?? list[0].deviceId} onChange={(event) => onChange(event.target.value)}>
                {list.map((one, at) => <option key={one.deviceId} value={one.deviceId}>{one.label || `${t(kind)} ${at + 1}`}</option>)}
            </select>
        </div>
    );
}

const OPENING_MS = 3_000;

function useDevices() {
    const [wanted, setWanted] = useState(devices.recall);
    const [tracks, setTracks] = useState({ microphone: null, camera: null });
    const [problems, setProblems] = useState({});
    const [list, setList] = useState({ microphone: [], camera: [], speaker: [] });
    const held = useRef(tracks);
    const opening = useRef(null);
    const take = (found) => {
        for (const [kind, { track, problem }] of Object.entries(found)) {
            held.current[kind]?.stop();
            held.current = { ...held.current, [kind]: track };
            setProblems((before) => ({ ...before, [kind]: problem }));
        }
        setTracks(held.current);
        devices.list().then(setList);
    };
    useEffect(() => {
        let isGone = false;
        opening.current = devices.openBoth(wanted).then((found) => {
            if (!isGone) take(found);
            else for (const one of Object.values(found)) one.track?.stop();
        });
        const renew = () => devices.list().then(setList);
        navigator.mediaDevices?.addEventListener('devicechange', renew);
        return () => {
            isGone = true;
            navigator.mediaDevices?.removeEventListener('devicechange', renew);
            for (const one of Object.values(held.current)) one?.stop();
        };
    }, []); // once
    const want = async (kind, isOn, deviceId) => {
        const next = { ...wanted, [kind]: isOn, ...(deviceId ? { [`${kind}Id`]: deviceId } : {}) };
        setWanted(next);
        devices.keep(next);
        take({ [kind]: isOn ? await devices.open(kind, next[`${kind}Id`]) : { track: null, problem: null } });
    };
    /** What is open now; devices that are just being opened are waited for a little. */
    const settled = async () => {
        await Promise.race([opening.current, new Promise((resolve) => setTimeout(resolve, OPENING_MS))]);
        return held.current;
    };
    return { wanted, tracks, problems, list, want, settled };
}

export function Door({ meeting, state, title, given }) {
    const { info } = state;
    const { wanted, tracks, problems, list, want, settled } = useDevices();
    const [name, setName] = useState(given || devices.recall().name || '');
    const [password, setPassword] = useState('');
    const [missing, setMissing] = useState('');
    const [nameId, passwordId, problemId] = [useId(), useId(), useId()];
    const passwordField = useRef(null);
    const isBusy = state.phase === 'joining';
    const told = missing || (state.isPasswordWrong ? 'passwordWrong' : state.problem);
    useEffect(() => { if (state.isPasswordWrong || state.problem) passwordField.current?.focus(); }, [state.isPasswordWrong, state.problem]);

    const submit = async (event) => {
        event.preventDefault();
        if (!name.trim()) { setMissing('nameMissing'); document.getElementById(nameId).focus(); return; }
        if (info.password && !password && !meeting.hasTicket) { setMissing('passwordMissing'); passwordField.current?.focus(); return; }
        setMissing('');
        devices.keep({ name: name.trim() });
        // Copies: ours stop with this view, those live on in the meeting.
        const open = await settled();
        const copies = { microphone: open.microphone?.clone() ?? null, camera: open.camera?.clone() ?? null };
        meeting.join(name.trim(), password, copies, { microphone: wanted.microphoneId, camera: wanted.cameraId });
    };
    const Toggle = ({ kind }) => (
        <button type="button" className={`round ${tracks[kind] ? '' : 'round--off'}`} aria-pressed={Boolean(tracks[kind])}
            aria-label={t(`${kind}${tracks[kind] ? 'Off' : 'On'}`)} title={t(`${kind}${tracks[kind] ? 'Off' : 'On'}`)}
            onClick={() => want(kind, !tracks[kind])}><Icon name={tracks[kind] ? kind : `${kind}Off`} /></button>
    );
    const wrong = ['microphone', 'camera'].filter((kind) => problems[kind]);
    return (
        <main className="door">
            <section className="mirror" aria-label={t('devices')}>
                <div className="mirror__picture">
                    <Preview track={tracks.camera} />
                    {!tracks.camera && <p className="mirror__off">{t('cameraIsOff')}</p>}
                    <div className="mirror__buttons"><Toggle kind="microphone" /><Toggle kind="camera" /></div>
                </div>
                {tracks.microphone && <Level track={tracks.microphone} />}
                {wrong.length > 0 && (
                    <div className="problem" role="alert">
                        {wrong.map((kind) => <p key={kind}>{t(problems[kind])}</p>)}
                        {!tracks.microphone && <p>{t('listenOnly')}</p>}
                    </div>
                )}
                <div className="choices">
                    <Choice kind="microphone" list={list.microphone} value={wanted.microphoneId} onChange={(id) => want('microphone', true, id)} />
                    <Choice kind="camera" list={list.camera} value={wanted.cameraId} onChange={(id) => want('camera', true, id)} />
                </div>
            </section>
            <form className="card" onSubmit={submit} noValidate>
                <h1>{title}</h1>
                <p className="quietly">{info.occupants === 0 ? t('nobodyYet') : info.occupants === 1 ? t('oneThere') : t('manyThere', { n: info.occupants })}</p>
                {info.recording !== 'off' && <p className="problem problem--recording"><b className="dot" />{t('toldRecording')}</p>}
                {info.locked && <p className="notice">{t('toldLocked')}</p>}
                {info.lobby && !info.locked && <p className="notice">{t('toldLobby')}</p>}
                {told && <p id={problemId} className="problem" role="alert">{t(told)}</p>}
                <div className="field">
                    <label htmlFor={nameId}>{t('name')}</label>
                    <input id={nameId} name="name" value={name} maxLength={60} autoComplete="name" autoFocus={!name} required
                        aria-describedby={told ? problemId : undefined} onChange={(event) => setName(event.target.value)} />
                </div>
                {info.password && (
                    <div className="field">
                        <label htmlFor={passwordId}>{t('password')}</label>
                        <input id={passwordId} name="password" ref={passwordField} type="password" value={password} maxLength={100}
                            autoComplete="off" aria-describedby={told ? problemId : undefined} onChange={(event) => setPassword(event.target.value)} />
                    </div>
                )}
                <button type="submit" className="primary" disabled={isBusy}>
                    {isBusy ? t('joining') : info.lobby ? t('askToJoin') : t('join')}
                </button>
            </form>
        </main>
    );
}
