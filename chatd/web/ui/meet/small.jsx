// The meeting in the panel's minimised window: one picture, of whoever speaks or shares. Everything else goes on behind it.
import { useRef } from 'react';
import './small.css';
import { Icon } from './icons.jsx';
import { labelOf, Picture, tilesOf } from './tiles.jsx';

/** Which tile: a shared screen, who speaks, who spoke last, anybody with a picture, anybody, oneself. */
function chosen(tiles, last) {
    const others = tiles.filter((one) => !one.isLocal);
    return others.find((one) => one.isScreen) ?? others.find((one) => one.isSpeaking) ?? others.find((one) => one.key === last)
        ?? others.find((one) => one.track) ?? others[0] ?? tiles.find((one) => one.isLocal && !one.isScreen) ?? null;
}

export function Small({ state }) {
    const last = useRef('');
    const one = chosen(tilesOf(state), last.current);
    if (one?.isSpeaking) last.current = one.key;
    return (
        <main className={`small ${one?.isSpeaking ? 'small--speaking' : ''}`}>
            {one && <Picture key={one.key} one={one} />}
            {one && <p className="small__name">{!one.isScreen && !one.hasSound && <Icon name="microphoneOff" />}<span>{labelOf(one)}</span></p>}
        </main>
    );
}
