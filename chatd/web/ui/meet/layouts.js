// How the pictures are laid out: arithmetic of tiles, and who stands where.

const SHAPE = 16 / 9;
const UPRIGHT_SHAPE = 1; // on a phone held upright tiles may be as high as wide

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
