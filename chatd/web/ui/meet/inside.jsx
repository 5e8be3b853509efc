// In the meeting: the bar of what is going on, the pictures, the buttons, and what is open beside them.
import { useEffect, useMemo, useRef, useState } from 'react';
import { canFill, useFullScreen, useMediaSession, useWakeLock } from './awake.js';
import { CheckDialog } from './check-later.jsx';
import { keep, useChoices } from './choices.js';
import { useCopy } from './copy.jsx';
import { Encrypted } from './encrypted.jsx';
import { Icon } from './icons.jsx';
import { Keys } from './keys.jsx';
import { Notices, Spoken } from './notices.jsx';
import { panelsOf } from './panels.js';
import { RecordingBadge, RecordingControl } from './recording.jsx';
import { Security } from './security.jsx';
import { SmallWindow, useSmallWindow } from './pip.jsx';
import { Floating, useReactions } from './reactions.jsx';
import { SettingsDialog } from './settings.jsx';
import { talker, useShortcuts } from './shortcuts.js';
import { chime } from './sounds.js';
import { Stage, useLarge } from './stage.jsx';
import './stage.css';
import { tilesOf } from './tiles.jsx';
import { Toolbar } from './toolbar.jsx';
import { t } from './words.js';

/** What is open beside the pictures; closing gives the focus back to the button that opened it. */
function useSide() {
    const [name, setName] = useState('');
    const openers = useRef({});
    return {
        name,
        toggle: (wanted) => setName(name === wanted ? '' : wanted),
        open: setName,
        opener: (of) => (element) => { openers.current[of] = element; },
        close: () => {
            openers.current[name]?.focus();
            setName('');
        },
    };
}

function TopButton({ icon, label, onClick, isOn, className = '', children }) {
    return (
        <button className={`top__button wide ${className}`} aria-label={children ? undefined : label} title={label} aria-pressed={isOn} onClick={onClick}>
            <Icon name={icon} />{children}
        </button>
    );
}

function Top({ meeting, state, title, stage, act, copying }) {
    const { layout } = stage.view;
    return (
        <header className="top">
            <h1>{title}</h1>
            <RecordingBadge state={state} />
            {meeting.isEncrypted && <Encrypted />}
            <div className="top__buttons">
                <RecordingControl meeting={meeting} state={state} />
                <Security meeting={meeting} state={state} />
                <TopButton icon={layout === 'grid' ? 'speaker' : 'grid'} label={t(layout === 'grid' ? 'layoutSpeaker' : 'layoutGrid')} onClick={() => act.layout()} />
                {canFill() && <TopButton icon={stage.isFull ? 'fullOff' : 'full'} label={t(stage.isFull ? 'fullScreenOff' : 'fullScreen')} onClick={act.full} />}
                <TopButton icon="link" label={t('copyLink')} className="copy" onClick={act.copy}><span role="status">{copying.isCopied ? t('copied') : t('copyLink')}</span></TopButton>
            </div>
        </header>
    );
}

export function Inside({ meeting, state, title }) {
    const side = useSide();
    const view = useChoices();
    const [open, setOpen] = useState(''); // a dialog: keys, settings, check
    const [isTalking, setTalking] = useState(false);
    const [isFull, toggleFull] = useFullScreen();
    const tiles = useMemo(() => tilesOf(state), [state.people, state.occupants]);
    const large = useLarge(tiles, view.layout);
    const small = useSmallWindow();
    const reactions = useReactions(meeting);
    const copying = useCopy(meeting);
    const talk = useMemo(() => talker(meeting, setTalking), [meeting]);
    useWakeLock();
    useMediaSession(meeting, small.offer);
    useEffect(() => {
        meeting.onSound = chime;
        return () => { meeting.onSound = undefined; };
    }, [meeting]);

    const flip = (source) => () => {
        const isOn = meeting.mine[source];
        if (isOn || meeting.may(source)) meeting.set(source, !isOn);
    };
    const act = {
        microphone: flip('microphone'), camera: flip('camera'), screen: flip('screen'),
        hand: () => meeting.command('hand', { raised: String(!meeting.self?.hand) }),
        layout: (wanted = large.large ? 'grid' : 'speaker') => {
            keep({ layout: wanted });
            if (wanted === 'grid') large.release();
        },
        full: toggleFull, copy: copying.copy, react: reactions.send,
    };
    useShortcuts({
        keyMicrophone: act.microphone, keyTalk: talk, keyCamera: act.camera, keyScreen: act.screen, keyHand: act.hand,
        keyChat: () => side.toggle('chat'), keyPeople: () => side.toggle('people'), keyLayout: () => act.layout(), keyFull: act.full,
        keyHelp: () => setOpen('keys'),
    }, view.hasShortcuts);

    const stage = { view, isFull, small, open: setOpen };
    const panel = panelsOf(meeting).find((one) => one.name === side.name);
    const isAlone = state.occupants.length === 1 && state.media === 'connected';
    const shown = large.large && !large.large.isLocal ? large.large : (large.speaker ?? tiles[0]);
    return (
        <div className={`inside ${panel ? 'inside--side' : ''}`} onKeyDown={(event) => { if (event.key === 'Escape' && side.name) side.close(); }}>
            <Top meeting={meeting} state={state} title={title} stage={stage} act={act} copying={copying} />
            <main className="middle">
                <Notices meeting={meeting} state={state} tiles={tiles} isTalking={isTalking} onPeople={() => side.open('people')} onCheck={() => setOpen('check')} />
                <Stage tiles={tiles} large={large} isSelfAmong={view.isSelfAmong} onPeople={() => side.open('people')} />
                <Floating reactions={reactions} />
                <Spoken tiles={tiles} />
                {isAlone && <p className="alone">{t('alone')} <button onClick={act.copy}>{t(copying.isCopied ? 'copied' : 'copyLink')}</button></p>}
            </main>
            {panel && <panel.Panel meeting={meeting} state={state} onClose={side.close} />}
            <Toolbar meeting={meeting} state={state} act={act} stage={stage} side={side} />
            <SmallWindow small={small} one={shown} meeting={meeting} />
            {copying.dialog}
            {open === 'settings' && <SettingsDialog meeting={meeting} onClose={() => setOpen('')} />}
            {open === 'check' && <CheckDialog meeting={meeting} onClose={() => setOpen('')} />}
            {open === 'keys' && <Keys isOn={view.hasShortcuts} onSwitch={(hasShortcuts) => keep({ hasShortcuts })} onClose={() => setOpen('')} />}
        </div>
    );
}
