// The pieces that the door and the settings are made of: a picture of oneself, a level, choices of devices, switches.
import { useEffect, useId, useRef, useState } from 'react';
import { keep, useChoices } from './choices.js';
import * as devices from './devices.js';
import { Icon } from './icons.jsx';
import { t } from './words.js';

/** The devices that there are, {microphone, camera, speaker}; followed while they come and go. */
export function useDeviceList(...renewWith) {
    const [list, setList] = useState({ microphone: [], camera: [], speaker: [] });
    useEffect(() => {
        let isGone = false;
        const renew = () => devices.list().then((found) => { if (!isGone) setList(found); });
        renew();
        navigator.mediaDevices?.addEventListener('devicechange', renew);
        return () => {
            isGone = true;
            navigator.mediaDevices?.removeEventListener('devicechange', renew);
        };
    }, renewWith);
    return list;
}

/** One's own picture. */
export function Preview({ track }) {
    const video = useRef(null);
    const { isMirrored } = useChoices();
    useEffect(() => {
        if (video.current) video.current.srcObject = track ? new MediaStream([track]) : null;
    }, [track]);
    return <video ref={video} className={isMirrored ? 'mirrored' : ''} autoPlay playsInline muted hidden={!track} />;
}

/** How loud the microphone is. */
export function Level({ track }) {
    const bar = useRef(null);
    useEffect(() => (track ? devices.meter(track, (level) => bar.current?.style.setProperty('--level', level)) : undefined), [track]);
    return <div className="level" ref={bar} role="img" aria-label={t('level')}><i /></div>;
}

/** A labelled <select>; options: [[value, words], …]. */
export function Choice({ label, value, options, hint, onChange, isDisabled = false, children }) {
    const id = useId();
    return (
        <div className="field">
            <label htmlFor={id}>{label}</label>
            <div className="field__row">
                <select id={id} value={value} disabled={isDisabled} aria-describedby={hint ? `${id}h` : undefined} onChange={(event) => onChange(event.target.value)}>
                    {options.map(([key, words]) => <option key={key} value={key}>{words}</option>)}
                </select>
                {children}
            </div>
            {hint && <p id={`${id}h`} className="field__hint">{hint}</p>}
        </div>
    );
}

/** A choice of devices of one kind. track: what is open now and so says which one it is. */
export function DeviceChoice({ kind, list, track, onChange, children }) {
    const choices = useChoices();
    const named = list[kind].filter((one) => one.deviceId);
    const open = track?.getSettings().deviceId;
    const kept = choices[`${kind}Id`];
    const value = [open, kept].find((id) => id && named.some((one) => one.deviceId === id)) ?? named[0]?.deviceId ?? '';
    const options = named.length
        ? named.map((one, at) => [one.deviceId, one.label || `${t(kind)} ${at + 1}`])
        : [['', t(list[kind].length ? 'deviceUsual' : 'noDevice')]];
    return (
        <Choice label={t(kind)} value={value} options={options} isDisabled={!named.length} onChange={(id) => (onChange ? onChange(id) : keep({ [`${kind}Id`]: id }))}>
            {children}
        </Choice>
    );
}

/** Which speakers, and a sound to try them. */
export function Speakers({ list }) {
    const { speakerId } = useChoices();
    const [state, setState] = useState(''); // playing, heard, broken
    const play = async () => {
        setState('playing');
        setState(await devices.testSound(speakerId).then(() => 'heard', () => 'broken'));
    };
    const test = (
        <button type="button" className="try" disabled={state === 'playing'} onClick={play}><Icon name="sound" />{t('testSound')}</button>
    );
    return (
        <div>
            {devices.hasSpeakerChoice() ? <DeviceChoice kind="speaker" list={list}>{test}</DeviceChoice>
                : <div className="field"><span className="field__label">{t('speaker')}</span>{test}</div>}
            <p className={`field__hint ${state === 'broken' ? 'field__hint--bad' : ''}`} role="status">
                {{ playing: t('testPlaying'), heard: t('testHeard'), broken: t('testBroken') }[state]}
            </p>
        </div>
    );
}

/** A switch for a choice that is on or off. */
export function Switch({ name, label, hint }) {
    const choices = useChoices();
    const id = useId();
    return (
        <div className="switch">
            <input type="checkbox" role="switch" id={id} checked={choices[name]} aria-describedby={hint ? `${id}h` : undefined}
                onChange={(event) => keep({ [name]: event.target.checked })} />
            <label htmlFor={id}>{label}</label>
            {hint && <p id={`${id}h`} className="field__hint">{hint}</p>}
        </div>
    );
}
