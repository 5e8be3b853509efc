// Short sounds, made here: somebody knocks, a recording begins or ends.
import { recall } from './choices.js';

const TUNES = { knock: [660, 880], recordingOn: [520, 520, 390], recordingOff: [390, 520] };

/** Plays one, unless the person wants none; a browser that forbids it stays quiet. */
export function chime(name) {
    if (!recall().sounds && !name.startsWith('recording')) return;
    const context = new AudioContext();
    const loudness = context.createGain();
    loudness.gain.value = 0.12;
    loudness.connect(context.destination);
    TUNES[name].forEach((pitch, at) => {
        const tone = context.createOscillator();
        tone.frequency.value = pitch;
        tone.connect(loudness);
        tone.start(context.currentTime + at * 0.18);
        tone.stop(context.currentTime + at * 0.18 + 0.14);
    });
    setTimeout(() => context.close(), 1_500);
}
