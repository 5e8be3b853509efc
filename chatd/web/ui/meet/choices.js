// What this person chose on this computer: devices, sound, picture, language. Kept in localStorage, told to whoever listens.
import { useSyncExternalStore } from 'react';

const KEPT = 'chatd-meeting';
const DEFAULTS = Object.freeze({
    name: '', microphone: true, camera: true, microphoneId: '', cameraId: '', speakerId: '',
    noiseSuppression: true, echoCancellation: true, isMirrored: true, blur: 'off', // light, strong
    quality: 'auto', // low: little data; none: nobody's picture, but screens
    layout: 'grid', // speaker: who speaks is large
    isSelfAmong: false, hasShortcuts: true,
    sounds: true, language: '', // '': the browser's
});

/** Of what was kept, what has the kind of value that it should have: the storage may hold anything. */
function read() {
    try {
        const kept = JSON.parse(localStorage.getItem(KEPT) ?? '{}');
        return Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [key, typeof kept?.[key] === typeof value ? kept[key] : value]));
    } catch {
        return DEFAULTS;
    }
}

let choices = read();
const listeners = new Set();

/** All choices; the object is another one after each change. */
export const recall = () => choices;

/** Changes some and keeps them. */
export function keep(change) {
    const before = choices;
    choices = { ...choices, ...change };
    try { localStorage.setItem(KEPT, JSON.stringify(choices)); } catch { /* then for this visit only */ }
    for (const listener of [...listeners]) listener(choices, before);
}

/** Calls back with (now, before) at each change; returns what ends that. */
export function onChoice(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

/** The choices in a view. */
export const useChoices = () => useSyncExternalStore(onChoice, recall);
