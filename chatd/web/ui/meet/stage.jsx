// The stage: everybody alike in a grid with pages; or one large, the others in a strip beside it, on a phone held upright in a
// grid below it. One's own picture is small in the corner.
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { Icon } from './icons.jsx';
import { cornerOf, gridOf, ordered, speakerOf, stripOf } from './layouts.js';
import { Tile } from './tiles.jsx';
import { t } from './words.js';

const GAP = { wide: 12, narrow: 8 };
const LEAST = { wide: 208, narrow: 150 }; // width of a tile in the grid
const OWN = { narrow: 104, part: 0.17, least: 112, most: 208 }; // width of one's own picture in the corner
const STRIP = { wide: 208, narrow: 128 };
const NARROW = { width: 620, height: 400 };

/** The size of an element in pixels, as it changes. */
function useSize() {
    const element = useRef(null);
    const [size, setSize] = useState({ width: 0, height: 0 });
    useLayoutEffect(() => {
        const look = () => setSize({ width: element.current.clientWidth, height: element.current.clientHeight });
        const watch = new ResizeObserver(look);
        watch.observe(element.current);
        look();
        return () => watch.disconnect();
    }, []);
    return [element, size];
}

/** Tiles in an order that changes as little as possible: see `ordered`. */
function useOrder(tiles, most) {
    const keys = useRef([]);
    const all = ordered(tiles, keys.current, most);
    useEffect(() => { keys.current = all.map((one) => one.key); });
    return all;
}

/** Which tile is large, if any: what is pinned, the newest screen, or in the speaker layout who speaks. */
export function useLarge(tiles, layout) {
    const [pinned, setPinned] = useState('');
    const [small, setSmall] = useState([]); // screens that this person does not want large
    const screens = useRef([]);
    const shown = tiles.filter((one) => one.isScreen && !one.isLocal);
    screens.current = [...screens.current.filter((key) => shown.some((one) => one.key === key)),
        ...shown.map((one) => one.key).filter((key) => !screens.current.includes(key))];
    const newest = screens.current.findLast((key) => !small.includes(key));
    const spoke = useRef('');
    const speaker = speakerOf(tiles, spoke.current);
    spoke.current = speaker?.key ?? '';
    const large = tiles.find((one) => one.key === pinned) ?? tiles.find((one) => one.key === newest) ?? (layout === 'speaker' ? speaker : null);
    const isChosen = Boolean(large) && (large.key === pinned || large.isScreen);
    /** Has this one large, or no longer. */
    const toggle = (one) => {
        if (!isChosen || one.key !== large.key) { setPinned(one.key); return; }
        setPinned('');
        if (one.isScreen) setSmall([...small, one.key]);
    };
    /** Nobody large but by the layout. */
    const release = () => {
        setPinned('');
        setSmall(shown.map((one) => one.key));
    };
    return { large, speaker, isChosen, toggle, release };
}

function Pages({ page, pages, onPage }) {
    return (
        <nav className="pages" aria-label={t('pages')}>
            <button className="round round--small" aria-label={t('pageBefore')} title={t('pageBefore')} disabled={page === 0} onClick={() => onPage(page - 1)}><Icon name="before" /></button>
            <span role="status">{t('pageOf', { n: page + 1, all: pages })}</span>
            <button className="round round--small" aria-label={t('pageNext')} title={t('pageNext')} disabled={page === pages - 1} onClick={() => onPage(page + 1)}><Icon name="next" /></button>
        </nav>
    );
}

function Grid({ tiles, self, large }) {
    const [element, size] = useSize();
    const [page, setPage] = useState(0);
    const isNarrow = size.width < NARROW.width;
    const gap = isNarrow ? GAP.narrow : GAP.wide;
    const grid = gridOf(tiles.length, { ...size, gap, least: isNarrow ? LEAST.narrow : LEAST.wide });
    const at = Math.min(page, grid.pages - 1);
    const all = useOrder(tiles, grid.perPage);
    const shown = size.width > 0 ? all.slice(at * grid.perPage, (at + 1) * grid.perPage) : [];
    const wide = isNarrow ? OWN.narrow : Math.min(OWN.most, Math.max(OWN.least, size.width * OWN.part));
    const own = self && shown.length > 0 ? cornerOf(shown.length, grid, { ...size, gap, wide }) : null;
    const measures = { '--width': `${grid.width}px`, '--height': `${grid.height}px`, '--gap': `${gap}px` };
    // So much is left and right of the tiles that not one more comes into a row than was reckoned.
    const spare = Math.max(0, size.width - grid.columns * (grid.width + gap) + gap - 1);
    const beside = own?.beside ?? 0;
    const moved = { paddingLeft: Math.max(0, (spare - beside) / 2), paddingRight: Math.min(spare, (spare + beside) / 2), paddingBottom: own?.below ?? 0 };
    if (own?.name) moved['--last-name'] = `${own.name}px`;
    return (
        <div className={`grid ${own?.isOver ? 'grid--under' : ''}`}>
            <div className="grid__tiles" ref={element} style={{ ...measures, ...moved }}>
                {shown.map((one) => <Tile key={one.key} one={one} onPin={() => large.toggle(one)} />)}
            </div>
            {own && (
                <div className="grid__own">
                    <div className="corner" style={{ width: own.width, height: own.height, right: own.right, bottom: own.bottom }}><Tile one={self} place="self" /></div>
                </div>
            )}
            {grid.pages > 1 && <Pages page={at} pages={grid.pages} onPage={setPage} />}
        </div>
    );
}

function Strip({ tiles, self, isNarrow, large, onPeople }) {
    const [element, size] = useSize();
    const width = isNarrow ? STRIP.narrow : STRIP.wide;
    const gap = isNarrow ? GAP.narrow : GAP.wide;
    const places = stripOf(size.height, (width * 9) / 16, gap);
    const free = Math.max(0, places - (self ? 1 : 0));
    const fits = tiles.length <= free ? free : Math.max(0, free - 1); // the last place says how many more there are
    const all = useOrder(tiles, fits);
    const more = all.length - fits;
    const shown = self ? [self, ...all.slice(0, fits)] : all.slice(0, fits);
    return (
        <div className="strip" ref={element} style={{ '--width': `${width}px`, '--gap': `${gap}px` }}>
            {size.width > 0 && shown.map((one) => <Tile key={one.key} one={one} place="strip" onPin={() => large.toggle(one)} />)}
            {size.width > 0 && more > 0 && <button className="strip__more" onClick={onPeople}>{t('andMore', { n: more })}</button>}
        </div>
    );
}

/** `large`: of useLarge; `isSelfAmong`: one's own tile among the others, not in the corner. */
export function Stage({ tiles, large, isSelfAmong, onPeople, children }) {
    const [element, size] = useSize();
    const others = tiles.filter((one) => !one.isLocal);
    const self = tiles.find((one) => one.isLocal && !one.isScreen);
    if (!large.large) {
        const isApart = self && others.length > 0 && !isSelfAmong;
        return (
            <div className="stage" ref={element}>
                <Grid tiles={isApart || !self ? others : [...others, self]} self={isApart ? self : null} large={large} />
            </div>
        );
    }
    const isBeside = size.width > size.height;
    const isNarrow = size.width < NARROW.width || size.height < NARROW.height;
    const isOther = (one) => one && one.key !== large.large.key;
    const rest = others.filter(isOther);
    const own = isOther(self) ? self : null;
    return (
        <div className={`stage stage--large ${isBeside ? 'stage--beside' : ''}`} ref={element}>
            <div className="stage__large">
                <Tile one={large.large} place="large" isLarge={large.isChosen} onPin={() => large.toggle(large.large)}>{children}</Tile>
            </div>
            {!isBeside && (rest.length > 0 || own) && (
                <Grid tiles={rest.length ? rest : [own]} self={rest.length ? own : null} large={large} />
            )}
            {isBeside && (rest.length > 0 || own) && <Strip tiles={rest} self={own} isNarrow={isNarrow} large={large} onPeople={onPeople} />}
        </div>
    );
}
