// The small window over other programs: who speaks, and the buttons one needs. Where the browser has no windows of that kind
// (Document Picture-in-Picture), the speaker's video itself floats, with the buttons that the browser gives it.
import { useCallback, useEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import { Icon } from './icons.jsx';
import { Picture, labelOf } from './tiles.jsx';
import { t } from './words.js';

const SIZE = { width: 360, height: 260 };

/** Whether a window with buttons can be opened; a page in a frame may not. */
const hasWindow = () => 'documentPictureInPicture' in globalThis && window.parent === window;

/** Whether one of the two kinds is there. */
export const canFloat = () => hasWindow() || Boolean(document.pictureInPictureEnabled);

/** {window, toggle(), isOpen}: the small window. */
export function useSmallWindow() {
    const [small, setSmall] = useState(null);
    const [isVideo, setVideo] = useState(false);
    useEffect(() => () => small?.close(), [small]);
    useEffect(() => {
        const look = () => setVideo(Boolean(document.pictureInPictureElement));
        document.addEventListener('enterpictureinpicture', look, true);
        document.addEventListener('leavepictureinpicture', look, true);
        return () => {
            document.removeEventListener('enterpictureinpicture', look, true);
            document.removeEventListener('leavepictureinpicture', look, true);
            if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
        };
    }, []);
    const open = useCallback(async () => {
        if (!hasWindow()) {
            const videos = [...document.querySelectorAll('.stage video')];
            const video = videos.find((one) => one.closest('.tile--large, .tile--speaking')) ?? videos[0];
            await video?.requestPictureInPicture();
            return;
        }
        const made = await documentPictureInPicture.requestWindow(SIZE);
        made.document.documentElement.lang = document.documentElement.lang;
        made.document.title = document.title;
        for (const sheet of document.querySelectorAll('link[rel=stylesheet]')) made.document.head.append(sheet.cloneNode());
        made.addEventListener('pagehide', () => setSmall(null));
        setSmall(made);
    }, []);
    const toggle = useCallback(() => {
        if (small) small.close();
        else if (document.pictureInPictureElement) document.exitPictureInPicture();
        else open().catch(() => {});
    }, [small, open]);
    // By the browser itself, when one goes to another tab: it may have changed its mind.
    const offer = useCallback(() => { open().catch(() => {}); }, [open]);
    return { window: small, toggle, offer, isOpen: Boolean(small) || isVideo };
}

/** What is in the small window. */
export function SmallWindow({ small, one, meeting }) {
    const { mine } = meeting;
    const back = useRef(null);
    if (!small.window) return null;
    return createPortal(
        <div className="small-window">
            <div className="small-window__picture" data-nick={one?.nick}>
                {one && <Picture key={one.key} one={one} />}
                {one && <p className="tile__name"><span className="tile__label">{labelOf(one)}</span></p>}
            </div>
            <div className="small-window__bar" role="toolbar" aria-label={t('controls')}>
                {['microphone', 'camera'].map((kind) => {
                    const label = t(`${kind}${mine[kind] ? 'Off' : 'On'}`);
                    return (
                        <button key={kind} className={`round round--small ${mine[kind] ? '' : 'round--off'}`} aria-label={label} title={label}
                            disabled={!mine[kind] && !meeting.may(kind)} onClick={() => meeting.set(kind, !mine[kind])}><Icon name={mine[kind] ? kind : `${kind}Off`} /></button>
                    );
                })}
                <button ref={back} className="round round--small" aria-label={t('backToPage')} title={t('backToPage')} onClick={() => small.window.close()}><Icon name="pipOff" /></button>
                <button className="round round--small round--leave" aria-label={t('leave')} title={t('leave')} onClick={() => meeting.leave()}><Icon name="leave" /></button>
            </div>
        </div>,
        small.window.document.body,
    );
}
