// What the browser does for a meeting: the screen stays on, full screen, and its own buttons for microphone, camera, leaving.
import { useEffect, useState } from 'react';

/** Keeps the screen from going dark; the browser takes that back with every change of tabs, so it is asked for again. */
export function useWakeLock() {
    useEffect(() => {
        let lock = null;
        let isGone = false;
        const ask = async () => {
            if (document.visibilityState !== 'visible') return;
            try {
                const got = await navigator.wakeLock?.request('screen');
                if (isGone) got?.release();
                else lock = got;
            } catch { /* low battery, or forbidden: then the screen goes dark */ }
        };
        ask();
        document.addEventListener('visibilitychange', ask);
        return () => {
            isGone = true;
            document.removeEventListener('visibilitychange', ask);
            lock?.release();
        };
    }, []);
}

/** Whether the page can fill the screen; iPhones cannot. */
export const canFill = () => Boolean(document.fullscreenEnabled);

/** [whether the meeting fills the screen, what changes that]. */
export function useFullScreen() {
    const [isFull, setFull] = useState(Boolean(document.fullscreenElement));
    useEffect(() => {
        const look = () => setFull(Boolean(document.fullscreenElement));
        document.addEventListener('fullscreenchange', look);
        return () => {
            document.removeEventListener('fullscreenchange', look);
            if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
        };
    }, []);
    const toggle = () => {
        if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
        else document.documentElement.requestFullscreen().catch(() => {});
    };
    return [isFull, toggle];
}

/** Buttons that the browser shows for a call: in its floating video, on the keyboard; and the small window when one changes tabs. */
export function useMediaSession(meeting, openSmall) {
    const { mine } = meeting;
    useEffect(() => {
        const session = navigator.mediaSession;
        if (!session) return undefined;
        const flip = (kind) => () => { if (meeting.mine[kind] || meeting.may(kind)) meeting.set(kind, !meeting.mine[kind]); };
        const actions = {
            togglemicrophone: flip('microphone'),
            togglecamera: flip('camera'),
            hangup: () => meeting.leave(),
            enterpictureinpicture: openSmall,
        };
        const set = (name, action) => {
            try { session.setActionHandler(name, action); } catch { /* this browser has no such button */ }
        };
        for (const [name, action] of Object.entries(actions)) set(name, action);
        return () => { for (const name of Object.keys(actions)) set(name, null); };
    }, [meeting, openSmall]);
    useEffect(() => {
        navigator.mediaSession?.setMicrophoneActive?.(mine.microphone);
        navigator.mediaSession?.setCameraActive?.(mine.camera);
    }, [mine.microphone, mine.camera]);
}
