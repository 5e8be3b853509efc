// The pictures: everybody alike in a grid, or one large (a shared screen, or whom one has pinned) beside a strip.
import { useEffect, useRef, useState } from 'react';
import { Icon } from './icons.jsx';
import { t } from './words.js';

function Video({ track, isMirrored }) {
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

function Tile({ one, isPinned, onPin }) {
    const label = one.isLocal ? t('you', { name: one.nick }) : one.nick;
    const shown = one.isScreen ? t('screenOf', { name: one.nick }) : label;
    return (
        <article className={`tile ${one.isSpeaking ? 'tile--speaking' : ''} ${one.isScreen ? 'tile--screen' : ''}`}
            data-nick={one.nick} aria-label={shown}>
            {one.track
                ? <Video track={one.track} isMirrored={one.isLocal && !one.isScreen} />
                : <span className={`initials hue${hueOf(one.nick)}`} aria-hidden="true">{initialsOf(one.nick)}</span>}
            {one.hand && <span className="tile__hand" title={t('handUp')}><Icon name="hand" /><span className="hidden">{t('handUp')}</span></span>}
            <div className="tile__name">
                {!one.isScreen && !one.hasSound && <span title={t('muted')}><Icon name="microphoneOff" /><span className="hidden">{t('muted')}</span></span>}
                {['poor', 'lost'].includes(one.quality) && <span title={t('poor')}><Icon name="weak" /><span className="hidden">{t('poor')}</span></span>}
                <span>{shown}</span>
            </div>
            <button className="tile__pin" aria-pressed={isPinned} onClick={onPin}
                aria-label={isPinned ? t('unpin') : t('pin', { name: shown })} title={isPinned ? t('unpin') : t('pin', { name: shown })}>
                <Icon name="pin" />
            </button>
        </article>
    );
}

/** LiveKit's people under the names and standings that the room gives them; one's own tile first. */
function tilesOf({ people, occupants }) {
    return people.flatMap((one) => {
        const occupant = one.isLocal
            ? occupants.find((found) => found.isSelf)
            : occupants.find((found) => found.media.includes(one.identity));
        if (!occupant) return [];
        const tile = { ...one, nick: occupant.nick, hand: occupant.hand, key: one.identity, track: one.camera };
        return one.screen
            ? [{ ...tile, key: `${one.identity} screen`, track: one.screen, isScreen: true, isSpeaking: false, hand: '' }, tile]
            : [tile];
    });
}

export function Tiles({ state }) {
    const [pinned, setPinned] = useState(null);
    const tiles = tilesOf(state);
    const large = tiles.find((one) => one.key === pinned) ?? (pinned === 'none' ? null : tiles.find((one) => one.isScreen && !one.isLocal));
    const rest = tiles.filter((one) => one !== large);
    const tile = (one) => (
        <Tile key={one.key} one={one} isPinned={one === large} onPin={() => setPinned(one === large ? 'none' : one.key)} />
    );
    const columns = Math.ceil(Math.sqrt(rest.length));
    return large ? (
        <div className="stage"><div className="stage__large">{tile(large)}</div><div className="stage__strip">{rest.map(tile)}</div></div>
    ) : (
        <div className={`grid ${tiles.length === 1 ? 'grid--one' : ''}`} style={{ '--columns': columns, '--rows': Math.ceil(rest.length / columns) || 1 }}>
            {rest.map(tile)}
        </div>
    );
}
