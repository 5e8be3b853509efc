// The meeting page: which meeting, as whom, in which language; then the view of where one is.
import { useEffect, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import './style.css';
import './door.css';
import './side.css';
import { Door } from './door.jsx';
import { Inside } from './inside.jsx';
import { KeyMissing } from './encrypted.jsx';
import { fragmentOf, keyIn } from './key.js';
import { Refused, Waiting } from './lobby.jsx';
import { Meeting } from './meeting.js';
import { loadWords, t, useWords } from './words.js';

/** Takes what the panel handed over (#ticket=…&name=…) out of the address, where it would be shown and kept; a key stays. */
function handedOver() {
    const values = new URLSearchParams(location.hash.slice(1));
    const key = keyIn(location.hash);
    if (values.has('ticket')) history.replaceState(null, '', location.pathname + fragmentOf(key));
    return { ticket: values.get('ticket') ?? undefined, name: values.get('name') ?? '', key };
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

function Page({ meeting, name }) {
    const state = useSyncExternalStore(meeting.subscribe, meeting.snapshot);
    useWords();
    const title = state.info?.name || t('title');
    useEffect(() => { document.title = title; }, [title]);
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
        case 'in': return <Inside meeting={meeting} state={state} title={title} />;
        case 'left': return (
            <Plain title={state.problem ? title : t('leftTitle')} text={state.problem && t(state.problem)}>
                {meeting.mayRejoin && <button className="primary" autoFocus onClick={() => meeting.rejoin()}>{t('rejoin')}</button>}
            </Plain>
        );
        default: return <Door meeting={meeting} state={state} title={title} given={name} />;
    }
}

const { ticket, name, key } = handedOver();
const meeting = new Meeting(decodeURIComponent(location.pathname.split('/').pop()), ticket, key);
// Who pastes the whole link over one without its key changes the fragment only: the page is not loaded again.
addEventListener('hashchange', () => meeting.useKey(location.hash));
meeting.look();
await loadWords();
createRoot(document.getElementById('meeting')).render(<Page meeting={meeting} name={name} />);
