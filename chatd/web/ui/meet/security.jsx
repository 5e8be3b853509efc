// Who gets in, and who may do what: changed by moderators, seen by everybody.
import { useEffect, useId, useRef, useState } from 'react';
import { Switch } from './aside.jsx';
import { Dialog } from './dialog.jsx';
import { Icon } from './icons.jsx';
import { t } from './words.js';

const PASSWORD_MOST = 100;
const SOURCES = ['microphone', 'camera', 'screen', 'chat'];

function Password({ meeting, now }) {
    const id = useId();
    const [isChanging, setChanging] = useState(false);
    const [text, setText] = useState('');
    const [isShown, setShown] = useState(false);
    const setter = useRef(null);
    const isBack = useRef(false);
    // What had the focus goes away: the button that opened the form, or stands beside, takes it.
    useEffect(() => {
        if (isBack.current && !isChanging) setter.current?.focus();
        isBack.current = isChanging;
    }, [isChanging]);
    const save = async (event) => {
        event.preventDefault();
        if (text && await meeting.commandWithText('password', text)) {
            setChanging(false);
            setText('');
        }
    };
    const remove = () => {
        setter.current?.focus();
        meeting.commandWithText('password', '');
    };
    return (
        <section className="facts">
            <h3>{t('password')}</h3>
            <p role="status">{now.is.password
                ? <>{t('passwordIs')} <code className="secret">{isShown ? now.passwordText : '••••••'}</code></>
                : t('passwordNone')}</p>
            <div className="row">
                {now.is.password && <button type="button" aria-pressed={isShown} onClick={() => setShown(!isShown)}>{t(isShown ? 'hidePassword' : 'showPassword')}</button>}
                {!isChanging && <button type="button" ref={setter} onClick={() => setChanging(true)}>{t(now.is.password ? 'changePassword' : 'setPassword')}</button>}
                {now.is.password && !isChanging && <button type="button" onClick={remove}>{t('removePassword')}</button>}
            </div>
            {isChanging && (
                <form className="field" onSubmit={save}>
                    <label htmlFor={id}>{t('newPassword')}</label>
                    <input id={id} value={text} maxLength={PASSWORD_MOST} autoComplete="off" autoFocus spellCheck="false" onChange={(event) => setText(event.target.value)} />
                    <p className="quietly">{t('passwordAbout')}</p>
                    <div className="row">
                        <button className="primary" disabled={!text}>{t('save')}</button>
                        <button type="button" onClick={() => { setChanging(false); setText(''); }}>{t('cancel')}</button>
                    </div>
                </form>
            )}
        </section>
    );
}

function Rules({ meeting, now }) {
    const change = (name) => (isOn) => meeting.command(name, { on: String(isOn) });
    return (
        <>
            <section className="facts">
                <h3>{t('whoComesIn')}</h3>
                <Switch label={t('lobby')} about={t('lobbyAbout')} isOn={now.is.lobby} onChange={change('lobby')} />
                <Switch label={t('lockMeeting')} about={t('lockAbout')} isOn={now.is.locked} onChange={change('lock')} />
            </section>
            <Password meeting={meeting} now={now} />
            <section className="facts">
                <h3>{t('participantsMay')}</h3>
                {SOURCES.map((source) => (
                    <Switch key={source} label={t(`may_${source}`)} isOn={now.mayAll.includes(source)}
                        onChange={(isOn) => meeting.command('allow', { [source]: String(isOn) })} />
                ))}
                <p className="quietly">{t('participantsMayAbout')}</p>
            </section>
        </>
    );
}

/** What holds, for those who cannot change it. */
function Facts({ now }) {
    const said = [
        t(now.is.lobby ? 'factLobby' : 'factNoLobby'), t(now.is.password ? 'factPassword' : 'passwordNone'), now.is.locked && t('factLocked'),
        ...SOURCES.map((source) => t(`${now.mayAll.includes(source) ? 'fact' : 'factNo'}_${source}`)),
    ].filter(Boolean);
    return (
        <section className="facts">
            <p className="quietly">{t('factsAbout')}</p>
            <ul className="facts__list">{said.map((one) => <li key={one}>{one}</li>)}</ul>
        </section>
    );
}

/** The button, and the dialog that it opens. */
export function Security({ meeting, state }) {
    const [isOpen, setOpen] = useState(false);
    const now = state.meeting;
    if (!now) return null;
    const holds = now.is.locked || now.is.lobby || now.is.password;
    return (
        <>
            <button className="top__button" aria-label={t('security')} title={t('security')} aria-haspopup="dialog" onClick={() => setOpen(true)}>
                <Icon name={holds ? 'shieldOn' : 'shield'} />
            </button>
            {isOpen && (
                <Dialog title={t('security')} className="security" onClose={() => setOpen(false)}>
                    {meeting.self?.isModerator ? <Rules meeting={meeting} now={now} /> : <Facts now={now} />}
                </Dialog>
            )}
        </>
    );
}
