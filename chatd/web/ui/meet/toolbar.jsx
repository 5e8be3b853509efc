// The bar at the bottom: what one has on, what one can do, and a menu with the rest. On a phone most is in the menu.
import { useState } from 'react';
import { canFill } from './awake.js';
import { keep } from './choices.js';
import { Icon } from './icons.jsx';
import { Entry, Menu } from './menu.jsx';
import { labelOf, panelsOf } from './panels.js';
import { canFloat } from './pip.jsx';
import { Choices } from './reactions.jsx';
import { t } from './words.js';

const canShare = () => Boolean(navigator.mediaDevices?.getDisplayMedia);

function Button({ icon, label, keys, isOn, isOff, isForbidden, badge, onClick, className = '', buttonRef }) {
    const said = isForbidden ? `${label}. ${t('notAllowed')}` : label;
    return (
        <button ref={buttonRef} className={`round ${isOff ? 'round--off' : ''} ${isOn ? 'round--on' : ''} ${className}`} aria-label={said}
            title={keys ? `${said} (${keys})` : said} aria-pressed={isOn} aria-keyshortcuts={keys} disabled={isForbidden} onClick={onClick}>
            <Icon name={icon} />{badge > 0 && <b className="badge" aria-hidden="true">{badge > 99 ? '99+' : badge}</b>}
        </button>
    );
}

/** Arrow keys go along the bar, as in every toolbar; Tab works too. */
function along(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step && !['Home', 'End'].includes(event.key)) return;
    const all = [...event.currentTarget.querySelectorAll('.round:not(:disabled)')].filter((one) => one.offsetParent && !one.closest('.menu'));
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    (step ? all.at((at + step) % all.length) : event.key === 'Home' ? all[0] : all.at(-1)).focus();
}

function More({ meeting, state, stage, act, side }) {
    const { mine, self } = meeting;
    const rows = (close) => {
        const does = (action) => () => { close(); action(); };
        const keys = (key) => (stage.view.hasShortcuts ? key : undefined);
        return (
            <>
                <div className="menu__narrow" role="presentation">
                    <Choices role="menuitem" onChoose={act.react} />
                    <Entry icon="hand" text={t(self?.hand ? 'handDown' : 'hand')} onChoose={does(act.hand)} />
                    {canShare() && (mine.screen || meeting.may('screen')) && <Entry icon="screen" text={t(mine.screen ? 'screenStop' : 'screen')} onChoose={does(act.screen)} />}
                </div>
                <Entry icon="grid" text={t('layoutGrid')} isOn={stage.view.layout === 'grid'} keys={keys('G')} onChoose={does(() => act.layout('grid'))} />
                <Entry icon="speaker" text={t('layoutSpeaker')} isOn={stage.view.layout === 'speaker'} keys={keys('G')} onChoose={does(() => act.layout('speaker'))} />
                <Entry icon="self" text={t('selfAmong')} isOn={stage.view.isSelfAmong} onChoose={does(() => keep({ isSelfAmong: !stage.view.isSelfAmong }))} />
                <hr />
                {canFill() && <Entry icon={stage.isFull ? 'fullOff' : 'full'} text={t(stage.isFull ? 'fullScreenOff' : 'fullScreen')} keys={keys('F')} onChoose={does(act.full)} />}
                {canFloat() && <Entry icon="pip" text={t('smallWindow')} isOn={stage.small.isOpen} onChoose={does(stage.small.toggle)} />}
                <Entry icon="link" text={t('copyLink')} onChoose={does(act.copy)} />
                {panelsOf(meeting).filter((one) => one.isInMenu).map((one) => (
                    <Entry key={one.name} icon={one.icon} text={labelOf(one, state)} isOn={side.name === one.name} onChoose={does(() => side.toggle(one.name))} />
                ))}
                <hr />
                <Entry icon="settings" text={t('settings')} onChoose={does(() => stage.open('settings'))} />
                <Entry icon="keyboard" text={t('shortcuts')} keys="?" className="entry--keys" onChoose={does(() => stage.open('keys'))} />
            </>
        );
    };
    return <Menu icon="more" label={t('more')} role="menu">{rows}</Menu>;
}

/** `act`: what the keys do too; `stage`: {view, isFull, small, open}; `side`: {name, toggle, opener}. */
export function Toolbar({ meeting, state, act, stage, side }) {
    const [isTooFast, setTooFast] = useState(false);
    const { mine, self } = meeting;
    const key = (letter) => (stage.view.hasShortcuts ? letter : undefined);
    const react = (emoji) => setTooFast(!act.react(emoji));
    return (
        <footer className="bar" role="toolbar" aria-label={t('controls')} onKeyDown={along}>
            {['microphone', 'camera'].map((kind) => (
                <Button key={kind} icon={mine[kind] ? kind : `${kind}Off`} isOff={!mine[kind]} label={t(`${kind}${mine[kind] ? 'Off' : 'On'}`)}
                    keys={key(kind === 'microphone' ? 'M' : 'V')} isForbidden={!mine[kind] && !meeting.may(kind)} onClick={act[kind]} />
            ))}
            {canShare() && (
                <Button icon="screen" isOn={mine.screen} label={t(mine.screen ? 'screenStop' : 'screen')} keys={key('S')} className="wide"
                    isForbidden={!mine.screen && !meeting.may('screen')} onClick={act.screen} />
            )}
            <Button icon="hand" isOn={Boolean(self?.hand)} label={t(self?.hand ? 'handDown' : 'hand')} keys={key('H')} className="wide" onClick={act.hand} />
            <Menu icon="smile" label={t('reactions')} className="wide">
                {() => <><Choices onChoose={react} />{isTooFast && <p className="quietly" role="status">{t('tooFast')}</p>}</>}
            </Menu>
            <i className="bar__gap" aria-hidden="true" />
            {panelsOf(meeting).filter((one) => !one.isInMenu).map((one) => (
                <Button key={one.name} icon={one.icon} isOn={side.name === one.name} label={labelOf(one, state)} badge={one.badge?.(state)}
                    keys={key({ chat: 'C', people: 'P' }[one.name])} buttonRef={side.opener(one.name)} onClick={() => side.toggle(one.name)} />
            ))}
            <More meeting={meeting} state={state} stage={stage} act={act} side={side} />
            <Button icon="leave" label={t('leave')} className="round--leave" onClick={() => meeting.leave()} />
        </footer>
    );
}
