// Keys of the meeting: one letter each, and the space bar held down to be heard. Not while somebody writes.
import { useEffect, useRef } from 'react';

/** The keys with the name of what they do; that is also a key of the language files. */
export const SHORTCUTS = [
    ['m', 'keyMicrophone'], [' ', 'keyTalk'], ['v', 'keyCamera'], ['s', 'keyScreen'], ['h', 'keyHand'], ['c', 'keyChat'],
    ['p', 'keyPeople'], ['g', 'keyLayout'], ['f', 'keyFull'], ['?', 'keyHelp'],
];
const NAMES = new Map(SHORTCUTS);

const writes = (element) => Boolean(element?.closest?.('input, textarea, select, [contenteditable]:not([contenteditable=false])'));
const presses = (element) => Boolean(element?.closest?.('button, a, summary, [role=menu]'));

/**
 * Calls actions[name]() for each key; keyTalk is an object {may(), start(), end()}. While a dialog is open only its own keys
 * work. `isOn` false: only `?`.
 */
export function useShortcuts(actions, isOn) {
    const now = useRef({});
    now.current = { actions, isOn };
    useEffect(() => {
        let isTalking = false;
        let isByKeyboard = false; // the focus came by Tab, so the space bar is to press what has it
        const hush = () => {
            if (!isTalking) return;
            isTalking = false;
            now.current.actions.keyTalk.end();
        };
        const down = (event) => {
            if (event.key === 'Tab') isByKeyboard = true;
            if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || writes(event.target)) return;
            if (document.querySelector('dialog[open]')) return;
            const name = NAMES.get(event.key.toLowerCase());
            if (!name || (!now.current.isOn && name !== 'keyHelp')) return;
            if (name === 'keyTalk') {
                if (presses(event.target) && isByKeyboard) return;
                event.preventDefault();
                if (event.repeat || isTalking || !now.current.actions.keyTalk.may()) return;
                isTalking = true;
                now.current.actions.keyTalk.start();
                return;
            }
            if (event.repeat) return;
            event.preventDefault();
            now.current.actions[name]();
        };
        const up = (event) => {
            if (event.key !== ' ') return;
            // The button that was clicked last would else be pressed by it.
            if (!isByKeyboard && presses(event.target) && now.current.isOn) event.preventDefault();
            hush();
        };
        const point = () => { isByKeyboard = false; };
        document.addEventListener('keydown', down);
        document.addEventListener('keyup', up);
        document.addEventListener('pointerdown', point);
        document.addEventListener('visibilitychange', hush);
        addEventListener('blur', hush);
        return () => {
            hush();
            document.removeEventListener('keydown', down);
            document.removeEventListener('keyup', up);
            document.removeEventListener('pointerdown', point);
            document.removeEventListener('visibilitychange', hush);
            removeEventListener('blur', hush);
        };
    }, []);
}

/** Switches the microphone on while held; what follows too fast waits for what is still under way. */
export function talker(meeting, onChange) {
    let last = Promise.resolve();
    const then = (isOn) => { last = last.then(() => meeting.set('microphone', isOn)).catch(() => {}); };
    return {
        may: () => !meeting.mine.microphone && meeting.may('microphone'),
        start: () => { onChange(true); then(true); },
        end: () => { onChange(false); then(false); },
    };
}
