// The meeting page: which meeting, as whom, in which language; then the view of where one is.
import './storage.js';
import { useEffect, useState, useSyncExternalStore } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import './style.css';
import './door.css';
import './side.css';
import { Door } from './door.jsx';
import { live, takeOver } from './frame.js';
import { Inside } from './inside.jsx';
import { KeyMissing } from './encrypted.jsx';
import { fragmentOf, keyIn } from './key.js';
import { Refused, Waiting } from './lobby.jsx';
import { Meeting } from './meeting.js';
import { Small } from './small.jsx';
import { loadWords, t, useWords } from './words.js';

const HANDED = 'chatd-handed-over';

/**
 * Takes what the panel handed over (#ticket=…&name=…&take=…) out of the address, where it would be shown; this tab keeps it
 * for a reload. A key stays. `take` names the window whose meeting goes on here.
 */
function handedOver() {
    const values = new URLSearchParams(location.hash.slice(1));
    const key = keyIn(location.hash);
    const ticket = values.get('ticket');
    if (!ticket) return { name: '', ...JSON.parse(sessionStorage.getItem(HANDED) ?? '{}'), key };
    const kept = { ticket, name: values.get('name') ?? '' };
    history.replaceState(null, '', location.pathname + fragmentOf(key));
    sessionStorage.setItem(HANDED, JSON.stringify(kept));
    return { ...kept, take: values.get('take'), key };
}

/** So large the meeting is laid out behind the small view, made to fit: each picture stays in sight of the browser and as
    wanted as before, so none is stopped, or sent anew in another size. */
const BEHIND = { width: 960, height: 640 };

/** The view of the minimised window, and behind it, going on, the whole one. */
function Views({ isSmall, state, children }) {
    const [scale, setScale] = useState(1);
    useEffect(() => {
        const look = () => setScale(Math.min(innerWidth / BEHIND.width, innerHeight / BEHIND.height));
        addEventListener('resize', look);
        look();
        return () => removeEventListener('resize', look);
    }, []);
    const style = isSmall ? { ...BEHIND, transform: `scale(${scale})` } : {};
    return (
        <>
            <div className={`behind ${isSmall ? 'behind--small' : ''}`} style={style} inert={isSmall}>{children}</div>
            {isSmall && <Small state={state} />}
        </>
    );
}

function Plain({ title, text, children }) {
    return (
        <main className="plain">
            <div className="card card--small">
                <img src="/favicon.svg" alt="" width="44" height="44" />
                <h1>{title}</h1>
                {text && <p role="status">{text}</p>}
                {children}
            </div>
        </main>
    );
}

function Page({ meeting, name, take }) {
    const state = useSyncExternalStore(meeting.subscribe, meeting.snapshot);
    useWords();
    const [isSmall, setSmall] = useState(false);
    const [isTaking, setTaking] = useState(Boolean(take));
    useEffect(() => {
        live(meeting, (view) => flushSync(() => setSmall(view === 'small')));
        if (take) takeOver(meeting, take).finally(() => setTaking(false));
    }, []); // once
    const title = state.info?.name || t('title');
    useEffect(() => { document.title = title; }, [title]);
    if (isTaking && ['loading', 'prejoin', 'joining'].includes(state.phase)) return <Plain title={title} text={t('loading')} />;
    switch (state.phase) {
        case 'loading': return <Plain title={title} text={t('loading')} />;
        case 'problem': return (
            <Plain title={title} text={t(state.problem)}>
                {state.problem === 'keyMissing' && <KeyMissing meeting={meeting} info={state.info} />}
                {state.problem === 'unreachable' && <button className="primary" onClick={() => meeting.look()}>{t('retry')}</button>}
            </Plain>
        );
        case 'waiting': return <Waiting meeting={meeting} state={state} />;
        case 'refused': return <Refused meeting={meeting} state={state} />;
        case 'in': return <Views isSmall={isSmall} state={state}><Inside meeting={meeting} state={state} title={title} /></Views>;
        case 'left': return (
            <Plain title={state.problem ? title : t('leftTitle')} text={state.problem && t(state.problem)}>
                {meeting.mayRejoin && <button className="primary" autoFocus onClick={() => meeting.rejoin()}>{t('rejoin')}</button>}
            </Plain>
        );
        default: return <Door meeting={meeting} state={state} title={title} given={name} />;
    }
}

const { ticket, name, key, take } = handedOver();
const meeting = new Meeting(decodeURIComponent(location.pathname.split('/').pop()), ticket, key);
// Who pastes the whole link over one without its key changes the fragment only: the page is not loaded again.
addEventListener('hashchange', () => meeting.useKey(location.hash));
meeting.look();
await loadWords();
createRoot(document.getElementById('meeting')).render(<Page meeting={meeting} name={name} take={take} />);
