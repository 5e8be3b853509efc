// How the pictures are laid out: arithmetic of tiles, and who stands where.

const SHAPE = 16 / 9;
const NAME = { edge: 8, height: 44, least: 112 }; // in a tile's lower left: from its edges, from the bottom to above it
const BUTTONS = 44; // in a tile's upper right: from its top to below them
const OVER = 0.6; // of a tile's width, at most, is under one's own picture
const UPRIGHT_SHAPE = 1; // on a phone held upright tiles may be as high as wide

const sized = (width) => ({ width: Math.round(width), height: Math.round(width / SHAPE) });

function fit(columns, rows, { width, height, gap, shape }) {
    const cell = { width: (width - (columns - 1) * gap) / columns, height: (height - (rows - 1) * gap) / rows };
    const wide = Math.floor(Math.min(cell.width, cell.height * SHAPE));
    return { columns, rows, width: wide, height: Math.floor(Math.min(cell.height, wide / shape)) };
}

function largest(count, place) {
    let best = null;
    for (let columns = 1; columns <= count; columns += 1) {
        const found = fit(columns, Math.ceil(count / columns), place);
        if (!best || found.width * found.height > best.width * best.height) best = found;
    }
    return best;
}

/**
 * The largest tiles with which `count` people fit into width × height pixels: {columns, rows, width, height, perPage, pages}.
 * Tiles narrower than `least` are not made: there are pages instead, of about the same number of people each.
 */
export function gridOf(count, { width, height, gap = 12, least = 200 }) {
    const place = { width, height, gap, shape: height > width ? UPRIGHT_SHAPE : SHAPE };
    const all = Math.max(1, count);
    let most = all;
    while (most > 1 && largest(most, place).width < least) most -= 1;
    const pages = Math.ceil(all / most);
    const perPage = Math.ceil(all / pages);
    return { ...largest(perPage, place), perPage, pages };
}

/**
 * Where one's own picture goes, so that nobody's name is under it: beside a short last row, below all or right of all where
 * there is room (`below` and `beside`: so much of the place is kept for it, and the tiles move), else over the last tile; there
 * it leaves `name` pixels to that tile's name, or stands above it where that would be too little.
 * {width, height, right, bottom, below, beside, name, isOver}; name is 0 where it has all its room. Where it is over the last
 * tile's buttons (`isOver`), that tile has them on the left.
 */
export function cornerOf(shown, grid, { width, height, gap, wide }) {
    const own = sized(wide);
    const rows = Math.ceil(shown / grid.columns);
    const across = (count) => count * grid.width + (count - 1) * gap;
    const free = { width: width - across(grid.columns), height: height - rows * grid.height - (rows - 1) * gap };
    const edge = { right: free.width / 2, bottom: free.height / 2 }; // of the tiles
    const least = { width: own.width + gap, height: own.height + gap };
    const tail = shown - (rows - 1) * grid.columns;
    const room = { ...edge, below: 0, beside: 0, name: 0, isOver: false };
    if ((across(grid.columns) - across(tail)) / 2 >= least.width && own.height <= grid.height) return { ...own, ...room };
    if (free.height >= least.height) return { ...own, ...room, bottom: 0, below: Math.max(0, 2 * least.height - free.height) };
    if (free.width >= least.width) return { ...own, ...room, right: 0, beside: Math.max(0, 2 * least.width - free.width) };
    const small = sized(Math.min(wide, grid.width * OVER));
    const right = edge.right + gap;
    const left = (width + across(tail)) / 2 - grid.width; // of the last tile
    const name = Math.floor(Math.min(grid.width, width - right - small.width - left) - 2 * NAME.edge);
    const isAbove = name < NAME.least;
    const up = isAbove ? NAME.height : gap;
    const isOver = up + small.height > grid.height - BUTTONS;
    return { ...small, ...room, right, bottom: edge.bottom + up, name: isAbove ? 0 : name, isOver };
}

/** How many tiles of a strip fit into `length` pixels, each `size` long; at least one. */
export const stripOf = (length, size, gap) => Math.max(1, Math.floor((length + gap) / (size + gap)));

/**
 * The order of tiles: everybody stays where he is, newcomers come last, and who speaks without being among the first `most`
 * takes the place of the one there who has been silent longest. `before`: keys as they stood.
 */
export function ordered(tiles, before, most) {
    const known = new Map(tiles.map((one) => [one.key, one]));
    const keys = before.filter((key) => known.has(key));
    const old = new Set(keys);
    keys.push(...tiles.filter((one) => !old.has(one.key)).map((one) => one.key));
    for (let at = most; at < keys.length; at += 1) {
        if (!known.get(keys[at]).isSpeaking) continue;
        let quietest = -1;
        for (let place = 0; place < most; place += 1) {
            const one = known.get(keys[place]);
            if (one.isSpeaking || one.isScreen) continue;
            if (quietest < 0 || one.spokeAt <= known.get(keys[quietest]).spokeAt) quietest = place;
        }
        if (quietest < 0) break;
        [keys[at], keys[quietest]] = [keys[quietest], keys[at]];
    }
    return keys.map((key) => known.get(key));
}

/** Whom to show large: the speaker of before while he speaks, then who else speaks, then whoever spoke last. */
export function speakerOf(tiles, before) {
    const others = tiles.filter((one) => !one.isLocal && !one.isScreen);
    const same = others.find((one) => one.key === before);
    if (same?.isSpeaking) return same;
    const loudest = others.filter((one) => one.isSpeaking).sort((a, b) => b.level - a.level)[0];
    return loudest ?? same ?? others.toSorted((a, b) => b.spokeAt - a.spokeAt)[0] ?? null;
}
