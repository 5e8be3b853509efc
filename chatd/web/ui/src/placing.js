// Where a window is: moved and resized by mouse, touch and keyboard, never out of sight.

const STEP = 24; // pixels of an arrow key
const LEAST = { width: 320, height: 260 };
const MARGIN = 8;

/** @typedef {{left: number, top: number, width: number, height: number}} Rect */

/** The nearest rectangle that is large enough and inside the page. */
export function fitted({ left, top, width, height }, isSmall = false) {
    const { innerWidth, innerHeight } = globalThis;
    const least = isSmall ? { width: 0, height: 0 } : LEAST;
    const wide = Math.min(Math.max(width, least.width), innerWidth - 2 * MARGIN);
    const high = Math.min(Math.max(height, least.height), innerHeight - 2 * MARGIN);
    return {
        left: Math.min(Math.max(left, MARGIN), innerWidth - wide - MARGIN),
        top: Math.min(Math.max(top, MARGIN), innerHeight - high - MARGIN),
        width: wide, height: high,
    };
}

/** What becomes of a rectangle when an edge ("n", "se", …) is pulled by so much. */
function pulled(rect, edge, x, y) {
    const { left, top, width, height } = rect;
    const west = edge.includes('w') ? Math.min(Math.max(x, MARGIN - left), width - LEAST.width) : 0;
    const north = edge.includes('n') ? Math.min(Math.max(y, MARGIN - top), height - LEAST.height) : 0;
    const wide = width + (edge.includes('e') ? x : 0) - west;
    const high = height + (edge.includes('s') ? y : 0) - north;
    return {
        left: left + west, top: top + north,
        width: Math.min(wide, innerWidth - MARGIN - left - west), height: Math.min(high, innerHeight - MARGIN - top - north),
    };
}

/**
 * Lets people move and resize.
 * @param {HTMLElement} element the window
 * @param {HTMLElement} bar what it is held by
 * @param {HTMLElement} grip the button whose arrow keys do the same
 * @param {HTMLElement[]} edges what it is resized by; each has data-edge
 * @param {{may: () => boolean, mayResize: () => boolean, get: () => Rect, set: (rect: Rect) => void}} place
 */
export function placeable(element, bar, grip, edges, place) {
    const drag = (event, change) => {
        if (event.button !== 0 || !place.may()) return;
        const handle = event.currentTarget;
        const { clientX, clientY, pointerId } = event;
        const before = place.get();
        handle.setPointerCapture(pointerId);
        element.classList.add('is-moving'); // the frame must not take the pointer
        const move = (now) => place.set(change(before, now.clientX - clientX, now.clientY - clientY));
        const end = () => {
            element.classList.remove('is-moving');
            handle.removeEventListener('pointermove', move);
            for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) handle.removeEventListener(name, end);
        };
        handle.addEventListener('pointermove', move);
        for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) handle.addEventListener(name, end);
    };
    const moved = (rect, x, y) => ({ ...rect, left: rect.left + x, top: rect.top + y });
    bar.addEventListener('pointerdown', (event) => {
        const button = event.target.closest('button');
        if (!button || button === grip) drag(event, moved);
    });
    for (const edge of edges) {
        edge.addEventListener('pointerdown', (event) => drag(event, (rect, x, y) => pulled(rect, edge.dataset.edge, x, y)));
    }
    grip.addEventListener('keydown', (event) => {
        const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
        if (x === undefined || !place.may()) return;
        event.preventDefault();
        const rect = place.get();
        if (!event.shiftKey) place.set(moved(rect, x * STEP, y * STEP));
        else if (place.mayResize()) place.set(pulled(rect, 'se', x * STEP, y * STEP));
    });
}
