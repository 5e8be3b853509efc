// The dialog of the connection test: what works, what does not, and what to do.
import { useEffect, useState } from 'react';
import { check, verdict, WAYS } from './check.js';
import { KINDS, permission } from './devices.js';
import { Dialog } from './dialog.jsx';
import { Icon } from './icons.jsx';
import { t } from './words.js';

const ROWS = ['server', ...WAYS];

/** What is said of one result. */
function told(name, { isGood, reason, port }) {
    if (isGood) return name === 'relay' ? t('checkRelayGood') : t('checkGood');
    return t({
        server: 'checkServerBad', signal: 'checkSignalBad', missing: 'checkRelayMissing', unannounced: 'checkUnannounced', refused: 'checkRelayRefused',
        silent: name === 'relay' ? 'checkRelaySilent' : 'checkBlocked', often: 'checkUntried', away: 'checkUntried', untried: 'checkUntried',
    }[reason] ?? 'checkBlocked', { port });
}

/** What stands with a device: the words of the door where it has opened one, or what the browser says. */
async function deviceOf(kind, open) {
    if (open?.[kind]) return { isGood: true };
    const state = await permission(kind);
    if (open?.problems?.[kind]) return { isGood: false, words: open.problems[kind] };
    if (state === 'denied') return { isGood: false, words: `${kind}Refused` };
    return { isGood: state === 'granted' ? true : null, words: state === 'granted' ? 'checkAllowed' : 'checkNotAsked' };
}

function Row({ name, result, words }) {
    const { isGood } = result ?? {};
    const kind = !result ? 'running' : isGood ? 'good' : isGood === null || result.reason === 'missing' ? 'open' : 'bad';
    return (
        <li className={`check__row check__row--${kind}`}>
            {kind === 'running' ? <i className="spinner" aria-hidden="true" />
                : <Icon name={{ good: 'check', bad: 'cross', open: 'more' }[kind]} />}
            <div><b>{t(`check_${name}`)}</b><p>{result ? words : t('checkRunning')}</p></div>
        </li>
    );
}

/** meeting: the Meeting; open: what is open at the door, if one is there. */
export function CheckDialog({ meeting, open, onClose }) {
    const [results, setResults] = useState({});
    const [end, setEnd] = useState(null);
    const [run, setRun] = useState(0);
    useEffect(() => {
        let isOver = false;
        setResults({});
        setEnd(null);
        const take = (name, result) => { if (!isOver) setResults((before) => ({ ...before, [name]: result })); };
        const kinds = open ?? meeting.tracks;
        for (const kind of KINDS) deviceOf(kind, kinds).then((result) => take(kind, result));
        check(() => meeting.trial(), take).then((all) => { if (!isOver) setEnd(verdict(all)); });
        return () => { isOver = true; };
    }, [run, meeting]);
    useEffect(() => () => meeting.endTrial(), [meeting]);
    const kind = end && ({ checkAllGood: 'good', checkTcpOnly: 'fair', checkRelayOnly: 'fair' }[end[0]] ?? 'bad');
    return (
        <Dialog title={t('checkTitle')} className="check" onClose={onClose}>
            <p role="status" className={`check__end ${end ? `check__end--${kind}` : ''}`}>{end ? t(...end) : t('checkWait')}</p>
            <ul>
                {ROWS.map((name) => <Row key={name} name={name} result={results[name]} words={results[name] && told(name, results[name])} />)}
                {KINDS.map((kind) => <Row key={kind} name={kind} result={results[kind]} words={t(results[kind]?.words ?? 'checkGood')} />)}
            </ul>
            <div className="row"><button type="button" disabled={!end} onClick={() => setRun(run + 1)}>{t('checkAgain')}</button></div>
        </Dialog>
    );
}
