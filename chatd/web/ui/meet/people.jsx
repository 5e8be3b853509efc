// Who is in the meeting, and what moderators do with them.
import { useEffect, useRef, useState } from 'react';
import { Asking, Head } from './aside.jsx';
import { Icon } from './icons.jsx';
import { WaitingList } from './lobby.jsx';
import { t } from './words.js';

const SEARCH_FROM = 8; // people
const SOURCES = ['microphone', 'camera', 'screen', 'chat'];

const plain = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

/** Oneself, then raised hands in their order, then moderators, then the others by name. */
function order(a, b) {
    const rank = (one) => (one.isSelf ? 0 : one.hand ? 1 : one.isModerator ? 2 : 3);
    return rank(a) - rank(b) || (rank(a) === 1 ? (a.hand < b.hand ? -1 : 1) : a.nick.localeCompare(b.nick));
}

function Actions({ meeting, one, on }) {
    const { nick } = one;
    const act = (name, values) => meeting.command(name, { nick, ...values });
    const allow = (source, may) => meeting.commandWithUndo(may ? 'allowedOne' : 'forbiddenOne', { name: nick },
        ['allow', { nick, [source]: String(!may) }], 'allow', { nick, [source]: String(may) });
    const moderator = (is) => meeting.commandWithUndo(is ? 'madeModerator' : 'unmadeModerator', { name: nick },
        ['moderator', { nick, on: String(!is) }], 'moderator', { nick, on: String(is) });
    return (
        <div className="actions">
            {on?.hasSound && <button onClick={() => act('mute', { source: 'microphone' })}>{t('mute')}</button>}
            {on?.camera && <button onClick={() => act('mute', { source: 'camera' })}>{t('cameraStop')}</button>}
            {on?.screen && <button onClick={() => act('mute', { source: 'screen' })}>{t('screenStopOf')}</button>}
            {one.hand && <button onClick={() => act('hand', { raised: 'false' })}>{t('lowerHand')}</button>}
            {!one.isOwner && <button onClick={() => moderator(!one.isModerator)}>{t(one.isModerator ? 'unmakeModerator' : 'makeModerator')}</button>}
            {!one.isModerator && (
                <div className="mays" role="group" aria-label={t('mayUse', { name: nick })}>
                    <small>{t('mayUse', { name: nick })}</small>
                    {SOURCES.map((source) => {
                        const may = one.may.includes(source);
                        return <button key={source} aria-pressed={may} onClick={() => allow(source, !may)}>{t(`use_${source}`)}</button>;
                    })}
                </div>
            )}
            {!one.isOwner && <Asking label={t('remove')} question={t('reallyRemove', { name: nick })} onYes={() => act('remove')} />}
        </div>
    );
}

function Sign({ icon, label, className = '' }) {
    return <span title={label} className={className}><Icon name={icon} /><span className="hidden">{label}</span></span>;
}

function Line({ meeting, one, on, isOpen, onOpen }) {
    const mayAct = meeting.self?.isModerator && !one.isSelf;
    return (
        <li className={on?.isSpeaking ? 'people__speaks' : ''} data-nick={one.nick}>
            <div className="people__line">
                <span className="people__name">
                    {one.isSelf ? t('you', { name: one.nick }) : one.nick}
                    <small>{[one.isModerator && t('moderator'), one.isGuest && t('guest'), !on && t('noMedia')].filter(Boolean).join(' · ')}</small>
                </span>
                {on?.isSpeaking && <Sign icon="speaking" label={t('speaking')} className="people__voice" />}
                {one.hand && <Sign icon="hand" label={t('handUp')} className="people__hand" />}
                {on?.screen && <Sign icon="screen" label={t('shares')} />}
                {on && !on.hasSound && <Sign icon="microphoneOff" label={t('muted')} className="people__off" />}
                {on && !on.camera && <Sign icon="cameraOff" label={t('cameraIsOffOf')} className="people__off" />}
                {mayAct && (
                    <button className="plainly" aria-expanded={isOpen} aria-label={t('actions', { name: one.nick })} title={t('actions', { name: one.nick })}
                        onClick={onOpen}><Icon name="more" /></button>
                )}
            </div>
            {mayAct && isOpen && <Actions meeting={meeting} one={one} on={on} />}
        </li>
    );
}

function ForAll({ meeting, hands }) {
    const [isFinal, setFinal] = useState(false);
    const mute = async (source) => {
        if (isFinal) await meeting.command('allow', { [source]: 'false' });
        else await meeting.command('mute', { source });
        setFinal(false);
    };
    const asked = (source) => (
        <Asking label={t(source === 'camera' ? 'stopAllVideo' : 'muteAll')} isDangerous={false}
            question={t(source === 'camera' ? 'reallyStopAllVideo' : 'reallyMuteAll')} onYes={() => mute(source)}>
            <label className="asking__more"><input type="checkbox" checked={isFinal} onChange={(event) => setFinal(event.target.checked)} /> {t('keepOff')}</label>
        </Asking>
    );
    return (
        <footer className="side__foot row">
            {asked('microphone')}
            {asked('camera')}
            {hands > 0 && <button onClick={() => meeting.command('hand', { raised: 'false', all: 'true' })}>{t('lowerHands')}</button>}
            <Asking label={t('endAll')} question={t('reallyEnd')} onYes={() => meeting.command('end')} />
        </footer>
    );
}

export function People({ meeting, state, onClose }) {
    const [open, setOpen] = useState('');
    const [wanted, setWanted] = useState('');
    const list = useRef(null);
    const isModerator = meeting.self?.isModerator;
    const all = [...state.occupants].sort(order);
    // Whose actions were open has gone, and what had the focus with him.
    useEffect(() => {
        if (!open || state.occupants.some((one) => one.nick === open)) return;
        setOpen('');
        if (document.activeElement === document.body) list.current?.focus();
    }, [open, state.occupants]);
    const found = wanted.trim() ? all.filter((one) => plain(one.nick).includes(plain(wanted.trim()))) : all;
    const count = (is) => all.filter(is).length;
    const [moderators, guests, hands] = [count((one) => one.isModerator), count((one) => one.isGuest), count((one) => one.hand)];
    return (
        <aside className="side" aria-label={t('people')}>
            <Head title={`${t('people')} (${all.length})`} onClose={onClose} />
            <div className="side__all" ref={list} tabIndex={0} role="group" aria-label={t('people')}>
                {isModerator && <WaitingList meeting={meeting} waiting={state.waiting} />}
                <p className="quietly counts">
                    {[t('countModerators', { n: moderators }), guests > 0 && t('countGuests', { n: guests }), hands > 0 && t('countHands', { n: hands })].filter(Boolean).join(' · ')}
                </p>
                {(all.length >= SEARCH_FROM || wanted) && (
                    <div className="search">
                        <Icon name="search" />
                        <input type="search" value={wanted} aria-label={t('searchPeople')} placeholder={t('searchPeople')} onChange={(event) => setWanted(event.target.value)} />
                        <p className="hidden" role="status">{wanted.trim() && t('foundPeople', { n: found.length, all: all.length })}</p>
                    </div>
                )}
                {found.length === 0 && <p className="quietly">{t('nobodyFound')}</p>}
                <ul className="people">
                    {found.map((one) => (
                        <Line key={one.nick} meeting={meeting} one={one} isOpen={open === one.nick} onOpen={() => setOpen(open === one.nick ? '' : one.nick)}
                            on={state.people.find((each) => (one.isSelf ? each.isLocal : one.media.includes(each.identity)))} />
                    ))}
                </ul>
            </div>
            {isModerator && <ForAll meeting={meeting} hands={hands} />}
        </aside>
    );
}
