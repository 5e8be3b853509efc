// Reactions: which there are, how they float up, and how they are told to who does not see them. docs/protocol.md section 10.
import { useCallback, useEffect, useRef, useState } from 'react';
import { t } from './words.js';

/** The emoji with the keys of their names in the language files. */
export const REACTIONS = [['👏', 'clap'], ['👍', 'thumbsUp'], ['❤️', 'heart'], ['😂', 'laugh'], ['😮', 'wow'], ['🎉', 'party']];
const LASTS_MS = 4_000;
const AT_ONCE = 24;
const TOLD_EVERY_MS = 2_500;
const MOST = { count: 5, within_ms: 5_000 }; // what the room lets through
const EMOJI = /^[^\p{L}\p{N}<>&]{1,16}$/u;

/** What floats at the moment: {id, nick, emoji, lane}; `send` is refused (false) when it was too many. */
export function useReactions(meeting) {
    const [floating, setFloating] = useState([]);
    const [told, setTold] = useState('');
    const sent = useRef([]);
    useEffect(() => {
        const timers = new Set();
        const heard = new Map();
        let ids = 0;
        const later = (then, ms) => {
            const timer = setTimeout(() => { timers.delete(timer); then(); }, ms);
            timers.add(timer);
        };
        const tell = () => {
            setTold([...heard].map(([emoji, nicks]) => `${[...nicks].join(', ')}: ${emoji}`).join('; '));
            heard.clear();
        };
        meeting.onReaction = (nick, emoji) => {
            if (!EMOJI.test(emoji)) return;
            const one = { id: (ids += 1), nick, emoji, lane: ids % 5 };
            setFloating((before) => [...before, one].slice(-AT_ONCE));
            later(() => setFloating((before) => before.filter((found) => found !== one)), LASTS_MS);
            if (!heard.size) later(tell, TOLD_EVERY_MS);
            heard.set(emoji, (heard.get(emoji) ?? new Set()).add(nick));
        };
        return () => {
            meeting.onReaction = undefined;
            for (const timer of timers) clearTimeout(timer);
        };
    }, [meeting]);
    const send = useCallback((emoji) => {
        const now = Date.now();
        sent.current = sent.current.filter((at) => now - at < MOST.within_ms);
        if (sent.current.length >= MOST.count) return false;
        sent.current.push(now);
        meeting.react(emoji);
        return true;
    }, [meeting]);
    return { floating, told, send };
}

/** They rise over the pictures; a screen reader is told of those of some seconds together. */
export function Floating({ reactions }) {
    return (
        <>
            <ul className="floating" aria-hidden="true">
                {reactions.floating.map((one) => (
                    <li key={one.id} className={`floating__one lane${one.lane}`}><span className="floating__emoji">{one.emoji}</span><span className="floating__name">{one.nick}</span></li>
                ))}
            </ul>
            <p className="hidden" role="status">{reactions.told}</p>
        </>
    );
}

/** The row of emoji to choose from; role: that of each, in a menu. */
export function Choices({ role, onChoose }) {
    return (
        <div className="reactions" role="group" aria-label={t('reactions')}>
            {REACTIONS.map(([emoji, name]) => (
                <button key={name} type="button" role={role} className="reactions__one" aria-label={t(name)} title={t(name)} onClick={() => onChoose(emoji)}>{emoji}</button>
            ))}
        </div>
    );
}
