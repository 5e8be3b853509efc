// One tile: a person's camera or initials, or a shared screen, with name, standing and a button to have it large.
import { useEffect, useRef } from 'react';
import { useChoices } from './choices.js';
import { Icon } from './icons.jsx';
import { t } from './words.js';

export function Video({ track, isMirrored }) {
    const video = useRef(null);
    useEffect(() => {
        const element = video.current;
        track.attach(element);
        return () => { track.detach(element); };
    }, [track]);
    return <video ref={video} className={isMirrored ? 'mirrored' : ''} autoPlay playsInline muted />;
}

const HUES = 6;
const hueOf = (name) => [...name].reduce((sum, sign) => sum + sign.codePointAt(0), 0) % HUES;
const initialsOf = (name) => name.split(/\s+/).map((word) => [...word][0] ?? '').slice(0, 2).join('').toUpperCase();

const Initials = ({ one }) => <span className={`initials hue${hueOf(one.nick)}`} aria-hidden="true">{initialsOf(one.nick)}</span>;

/** Over a picture that the line has no room for: of a person the initials, of a screen what was last seen of it. */
function Paused({ one }) {
    return (
        <div className={`paused ${one.isScreen ? 'paused--screen' : ''}`}>
            {!one.isScreen && <Initials one={one} />}
            <p className="paused__words">
                <span className="paused__what"><Icon name="paused" /><span>{t('paused')}</span><span className="hidden">. </span></span>
                <span className="paused__why">{t('pausedWhy')}</span>
            </p>
        </div>
    );
}

/**
 * What is seen of somebody: the picture, or the initials. What is not in the page is not sent to it; so a picture that is paused
 * stays below, or nobody would want it any more.
 */
export function Picture({ one }) {
    const { isMirrored, quality } = useChoices();
    const isUnwanted = quality === 'none' && !one.isLocal && !one.isScreen;
    if (!one.track || one.isUnreadable || isUnwanted) return <Initials one={one} />;
    return (
        <>
            <Video track={one.track} isMirrored={isMirrored && one.isLocal && !one.isScreen} />
            {one.isPaused && <Paused one={one} />}
        </>
    );
}

const Mark = ({ icon, text, className = '' }) => (
    <span className={`mark ${className}`} title={text}><Icon name={icon} /><span className="hidden">{text}. </span></span>
);

const QUALITIES = { excellent: 'qualityGood', good: 'qualityFair', poor: 'qualityPoor', lost: 'qualityLost' };

function Quality({ value }) {
    const word = QUALITIES[value];
    return word ? <Mark icon={word} text={t(word)} className={`mark--${value}`} /> : null;
}

/** How one is called on the page. */
export const labelOf = (one) => (one.isScreen ? t('screenOf', { name: one.nick }) : one.isLocal ? t('you', { name: one.nick }) : one.nick);

/** `one`: of tilesOf; `place`: large, strip, self or nothing; `onPin` shows it large or no longer. */
export function Tile({ one, place = '', isLarge, onPin, children }) {
    const label = labelOf(one);
    const shown = place === 'self' ? t('yourself') : label; // in the corner there is room for a word
    const pin = isLarge ? t('unpin') : t('pin', { name: label });
    const secret = one.isUnreadable ? t('unreadable') : one.isPlain ? t('notEncrypted') : '';
    return (
        <article className={`tile ${place && `tile--${place}`} ${one.isSpeaking ? 'tile--speaking' : ''} ${one.isScreen ? 'tile--screen' : ''}`}
            data-nick={one.nick} aria-label={label}>
            <Picture one={one} />
            {secret && <p className="tile__secret"><Icon name="lockOff" /><span>{secret}</span></p>}
            {one.hand && (
                <span className="tile__hand" title={t('handUp')}>
                    <Icon name="hand" />{one.handAt > 0 && <b aria-hidden="true">{one.handAt}</b>}<span className="hidden">{t('handUp')}</span>
                </span>
            )}
            <div className="tile__name">
                {one.isSpeaking && <Mark icon="speaking" text={t('speaks')} className="mark--speaking" />}
                {!one.isScreen && !one.hasSound && <Mark icon="microphoneOff" text={t('muted')} />}
                <span className="tile__label">{shown}</span>
                {!one.isScreen && <Quality value={one.quality} />}
            </div>
            <div className="tile__actions">
                {children}
                {onPin && (
                    <button className="tile__button" aria-pressed={isLarge} onClick={onPin} aria-label={pin} title={pin}>
                        <Icon name={isLarge ? 'pinOff' : 'pin'} />
                    </button>
                )}
            </div>
        </article>
    );
}

/** LiveKit's people under the names and standings that the room gives them, each with a tile a picture. */
export function tilesOf({ people, occupants }) {
    const hands = occupants.filter((one) => one.hand).sort((a, b) => (a.hand < b.hand ? -1 : 1)).map((one) => one.nick);
    return people.flatMap((one) => {
        const occupant = one.isLocal
            ? occupants.find((found) => found.isSelf)
            : occupants.find((found) => found.media.includes(one.identity));
        if (!occupant) return [];
        const { nick, hand } = occupant;
        const tile = { ...one, nick, hand, handAt: hands.length > 1 ? hands.indexOf(nick) + 1 : 0, key: one.identity, track: one.camera, isPaused: one.paused.camera };
        if (!one.screen) return [tile];
        return [tile, { ...tile, key: `${one.identity} screen`, track: one.screen, isPaused: one.paused.screen, isScreen: true, isSpeaking: false, hand: '' }];
    });
}
