// Before joining: how one will look and sound, under what name, and what one should know.
import { useEffect, useId, useRef, useState, useSyncExternalStore } from 'react';
import { CheckDialog } from './check-later.jsx';
import { keep, recall } from './choices.js';
import { Icon } from './icons.jsx';
import { DeviceChoice, Level, Preview, Speakers, useDeviceList } from './pickers.jsx';
import { DoorDevices, sentences } from './preview.js';
import { SettingsDialog } from './settings.jsx';
import { t } from './words.js';

function useDoorDevices() {
    const [devices] = useState(() => new DoorDevices());
    useEffect(() => {
        devices.start();
        return () => devices.stop();
    }, [devices]);
    return [devices, useSyncExternalStore(devices.subscribe, devices.snapshot)];
}

function Toggle({ kind, devices, open }) {
    const isOn = Boolean(open[kind]);
    const label = t(`${kind}${isOn ? 'Off' : 'On'}`);
    return (
        <button type="button" className={`round ${isOn ? '' : 'round--off'}`} aria-pressed={isOn} aria-label={label} title={label}
            onClick={() => devices.want(kind, !isOn)}><Icon name={isOn ? kind : `${kind}Off`} /></button>
    );
}

function Problems({ devices, open }) {
    const wrong = sentences(open.problems);
    return (
        <div role="alert" className={wrong.length ? 'problem' : ''}>
            {wrong.map((key) => <p key={key}>{t(key)}</p>)}
            {wrong.length > 0 && !open.microphone && <p>{t('listenOnly')}</p>}
            {wrong.length > 0 && !wrong.includes('insecure') && <button type="button" onClick={() => devices.again()}>{t('retry')}</button>}
        </div>
    );
}

/** The picture of oneself, with the switches in it, and the devices below. */
function Mirror({ devices, open, onDialog }) {
    const list = useDeviceList(open.microphone, open.camera);
    return (
        <section className="mirror" aria-label={t('devices')}>
            <div className="mirror__picture">
                <Preview track={open.shown} />
                {open.isAsking
                    ? <p className="mirror__off mirror__asking" role="status"><b>{t('askingTitle')}</b>{t('asking')}</p>
                    : !open.camera && <p className="mirror__off">{t('cameraIsOff')}</p>}
                <div className="mirror__buttons">
                    <Toggle kind="microphone" devices={devices} open={open} />
                    <Toggle kind="camera" devices={devices} open={open} />
                </div>
            </div>
            {open.blur && <p className={open.blur === 'blurComing' ? 'quietly' : 'problem'} role="status">{t(open.blur)}</p>}
            {open.microphone && <Level track={open.microphone} />}
            <Problems devices={devices} open={open} />
            <div className="choices">
                <DeviceChoice kind="microphone" list={list} track={open.microphone} />
                <DeviceChoice kind="camera" list={list} track={open.camera} />
                <Speakers list={list} />
            </div>
            <div className="mirror__more">
                <button type="button" className="try" aria-haspopup="dialog" onClick={() => onDialog('settings')}><Icon name="settings" />{t('settings')}</button>
                <button type="button" className="try" aria-haspopup="dialog" onClick={() => onDialog('check')}><Icon name="signal" />{t('checkTitle')}</button>
            </div>
        </section>
    );
}

export function Door({ meeting, state, title, given }) {
    const { info } = state;
    const [devices, open] = useDoorDevices();
    const [dialog, setDialog] = useState('');
    const [name, setName] = useState(given || recall().name);
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
        keep({ name: name.trim() });
        // Copies: ours stop with this view, those live on in the meeting.
        const { microphone, camera } = await devices.settled();
        meeting.join(name.trim(), password, { microphone: microphone?.clone() ?? null, camera: camera?.clone() ?? null });
    };
    return (
        <main className="door">
            <Mirror devices={devices} open={open} onDialog={setDialog} />
            <form className="card" onSubmit={submit} noValidate>
                <h1>{title}</h1>
                <p className="quietly">{info.occupants === 0 ? t('nobodyYet') : info.occupants === 1 ? t('oneThere') : t('manyThere', { n: info.occupants })}</p>
                {info.recording !== 'off' && <p className="problem problem--recording"><b className="dot" />{t('toldRecording')}</p>}
                {info.locked && <p className="notice">{t('toldLocked')}</p>}
                {info.lobby && !info.locked && <p className="notice">{t(meeting.hasTicket ? 'toldLobbyAccount' : 'toldLobby')}</p>}
                {info.e2ee && <p className="notice">{t('encryptedMeans')}</p>}
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
                            autoComplete="off" autoFocus={Boolean(name)} aria-describedby={told ? problemId : undefined} onChange={(event) => setPassword(event.target.value)} />
                    </div>
                )}
                <button type="submit" className="primary" disabled={isBusy} autoFocus={Boolean(name) && !info.password}>
                    {isBusy ? t('joining') : info.lobby && !meeting.hasTicket ? t('askToJoin') : t('join')}
                </button>
            </form>
            {dialog === 'check' && <CheckDialog meeting={meeting} open={open} onClose={() => setDialog('')} />}
            {dialog === 'settings' && <SettingsDialog meeting={meeting} tracks={open} onClose={() => setDialog('')} />}
        </main>
    );
}
