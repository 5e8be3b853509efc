// Camera and microphone before the meeting: opening them, and a word for what is wrong with them.

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

function constraintsOf(kind, deviceId) {
    const chosen = deviceId ? { deviceId: { ideal: deviceId } } : {};
    return kind === 'camera'
        ? { video: { ...chosen, width: { ideal: 1280 }, height: { ideal: 720 } } }
        : { audio: { ...chosen, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
}

/** Opens one: {track, problem}; one of them is null. */
export async function open(kind, deviceId) {
    try {
        const stream = await navigator.mediaDevices.getUserMedia(constraintsOf(kind, deviceId));
        return { track: stream.getTracks()[0], problem: null };
    } catch (error) {
        return { track: null, problem: reasonOf(error, kind) };
    }
}

/** Opens both with one question to the person, or each by itself when that fails. */
export async function openBoth(wanted) {
    const kinds = ['microphone', 'camera'].filter((kind) => wanted[kind]);
    if (kinds.length === 2) {
        try {
            const stream = await navigator.mediaDevices.getUserMedia(
                { ...constraintsOf('microphone', wanted.microphoneId), ...constraintsOf('camera', wanted.cameraId) });
            return {
                microphone: { track: stream.getAudioTracks()[0] ?? null, problem: null },
                camera: { track: stream.getVideoTracks()[0] ?? null, problem: null },
            };
        } catch { /* one of them may still work */ }
    }
    const found = await Promise.all(kinds.map((kind) => open(kind, wanted[`${kind}Id`])));
    return Object.fromEntries(kinds.map((kind, at) => [kind, found[at]]));
}

/** Every device with a name, by kind: {microphone, camera, speaker}. */
export async function list() {
    const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const of = (kind) => all.filter((one) => one.kind === kind && one.deviceId);
    return { microphone: of('audioinput'), camera: of('videoinput'), speaker: of('audiooutput') };
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

const KEPT = 'chatd-meeting';

/** What this person chose the last time on this computer. */
export function recall() {
    try {
        return { microphone: true, camera: true, ...JSON.parse(localStorage.getItem(KEPT) ?? '{}') };
    } catch {
        return { microphone: true, camera: true };
    }
}

/** Keeps it. */
export function keep(choice) {
    try { localStorage.setItem(KEPT, JSON.stringify({ ...recall(), ...choice })); } catch { /* then not */ }
}
