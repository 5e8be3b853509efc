// Cameras, microphones and speakers: opening them, a word for what is wrong with them, their sound.
import { recall } from './choices.js';

export const KINDS = ['microphone', 'camera'];

/** A key of the language files for why a device could not be opened. */
export function reasonOf(error, kind) {
    if (!navigator.mediaDevices) return 'insecure';
    switch (error?.name) {
        case 'NotAllowedError': case 'SecurityError': return `${kind}Refused`;
        case 'NotFoundError': case 'OverconstrainedError': return `${kind}Missing`;
        case 'NotReadableError': case 'AbortError': return `${kind}Busy`;
        default: return `${kind}Broken`;
    }
}

/** How a microphone is opened, by the choices. */
export function soundConstraints({ microphoneId, noiseSuppression, echoCancellation }) {
    return { ...(microphoneId ? { deviceId: { exact: microphoneId } } : {}), noiseSuppression, echoCancellation, autoGainControl: true };
}

/** How a camera is opened. */
export function pictureConstraints({ cameraId }) {
    return { ...(cameraId ? { deviceId: { exact: cameraId } } : {}), width: { ideal: 1280 }, height: { ideal: 720 } };
}

/** Does `open` with the choices; where a chosen device is gone, with the usual one. An `ideal` device is not taken by all browsers. */
export async function orUsual(open, choices = recall()) {
    try {
        return await open(choices);
    } catch (error) {
        if (error.name !== 'OverconstrainedError' && error.name !== 'NotFoundError') throw error;
        return open({ ...choices, microphoneId: '', cameraId: '' });
    }
}

const constraintsOf = (kind, choices) => (kind === 'camera' ? { video: pictureConstraints(choices) } : { audio: soundConstraints(choices) });

/** Opens one: {track, problem}; one of them is null. */
export async function open(kind) {
    try {
        const stream = await orUsual((choices) => navigator.mediaDevices.getUserMedia(constraintsOf(kind, choices)));
        return { track: stream.getTracks()[0], problem: null };
    } catch (error) {
        return { track: null, problem: reasonOf(error, kind) };
    }
}

/** Opens these kinds with one question to the person, or each by itself when that fails: {kind: {track, problem}}. */
export async function openAll(kinds) {
    if (kinds.length > 1) {
        try {
            const choices = recall();
            const stream = await navigator.mediaDevices.getUserMedia({ ...constraintsOf('microphone', choices), ...constraintsOf('camera', choices) });
            return {
                microphone: { track: stream.getAudioTracks()[0] ?? null, problem: null },
                camera: { track: stream.getVideoTracks()[0] ?? null, problem: null },
            };
        } catch { /* one of them may still work */ }
    }
    const found = await Promise.all(kinds.map(open));
    return Object.fromEntries(kinds.map((kind, at) => [kind, found[at]]));
}

/** Every device by kind, {microphone, camera, speaker}. Before the person has allowed them they have no name and no id. */
export async function list() {
    const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const of = (kind) => all.filter((one) => one.kind === kind);
    return { microphone: of('audioinput'), camera: of('videoinput'), speaker: of('audiooutput') };
}

/** What the browser would answer if a kind were opened now: granted, denied, prompt; '' where it does not tell. */
export async function permission(kind) {
    const status = await navigator.permissions?.query({ name: kind }).catch(() => null);
    return status?.state ?? '';
}

/** Calls back when the person allows or forbids a kind in the browser's settings; returns what ends that. */
export function onPermission(kind, listener) {
    let status = null;
    let isOver = false;
    const tell = () => listener(status.state);
    navigator.permissions?.query({ name: kind }).then((found) => {
        if (isOver) return;
        status = found;
        status.addEventListener('change', tell);
    }, () => {});
    return () => {
        isOver = true;
        status?.removeEventListener('change', tell);
    };
}

/** Calls back with the loudness of a track, 0 to 1, some times a second; returns what ends it. */
export function meter(track, onLevel) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Uint8Array(analyser.fftSize);
    const timer = setInterval(() => {
        if (context.state === 'suspended') context.resume().catch(() => {});
        analyser.getByteTimeDomainData(samples);
        const power = samples.reduce((sum, value) => sum + (value - 128) ** 2, 0) / samples.length;
        onLevel(Math.min(1, Math.sqrt(power) / 32));
    }, 80);
    return () => {
        clearInterval(timer);
        context.close();
    };
}

/** Whether this browser lets a page choose the speakers. */
export const hasSpeakerChoice = () => 'setSinkId' in HTMLMediaElement.prototype;

const TUNE = [523, 659, 784];

/** Plays three tones on these speakers ('': the usual ones); resolves when they are over, rejects when they cannot be played. */
export async function testSound(speakerId) {
    const context = new AudioContext();
    const player = new Audio();
    try {
        const out = context.createMediaStreamDestination();
        const loudness = context.createGain();
        loudness.connect(out);
        player.srcObject = out.stream;
        if (speakerId && hasSpeakerChoice()) await player.setSinkId(speakerId);
        await player.play();
        const start = context.currentTime + 0.1;
        const tones = TUNE.map((pitch, at) => {
            const tone = new OscillatorNode(context, { frequency: pitch });
            const from = start + at * 0.35;
            loudness.gain.setValueAtTime(0, from);
            loudness.gain.linearRampToValueAtTime(0.3, from + 0.03);
            loudness.gain.linearRampToValueAtTime(0, from + 0.34);
            tone.connect(loudness);
            tone.start(from);
            tone.stop(from + 0.35);
            return at === TUNE.length - 1 ? new Promise((resolve) => { tone.onended = resolve; }) : null;
        });
        await Promise.all(tones);
    } finally {
        player.srcObject = null;
        context.close();
    }
}
