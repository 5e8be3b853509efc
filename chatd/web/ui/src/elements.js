// HTML elements and icons for what the panel draws itself, outside of Converse.js.

/**
 * Makes an element. Attributes that are false or null are left out, true ones are empty; `on…` are listeners.
 * @param {string} name
 * @param {Record<string, unknown>} attributes
 * @param {...(Node|string)} children
 */
export function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
        else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value === true ? '' : value);
    }
    element.append(...children);
    return element;
}

/** 24 by 24, lines of 1.8, like those of the meeting page. */
const PATHS = {
    chat: 'M12 4.500c-4.700 0-8.500 3-8.500 6.900 0 2.100 1.100 3.900 2.900 5.200L5.500 20l4-1.900c.8.2 1.600.3 2.500.3 4.700 0 8.500-3.100 8.500-7s-3.800-6.900-8.500-6.900zM8.500 10h7M8.500 13.200h4.500',
    camera: 'M5.5 6.5h7A2.5 2.5 0 0 1 15 9v6a2.500 2.500 0 0 1-2.500 2.500h-7A2.500 2.500 0 0 1 3 15V9a2.500 2.500 0 0 1 2.500-2.500zM15 10.500l6-3v9l-6-3z',
    microphone: 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5.500 11.500a6.500 6.500 0 0 0 13 0M12 18v3',
    microphoneOff: 'M15 9.500V6a3 3 0 0 0-5.700-1.300M9 9v2a3 3 0 0 0 4.600 2.500M5.500 11.500a6.500 6.500 0 0 0 10.400 5.200M18.500 11.500a6.400 6.400 0 0 1-.6 2.700M12 18v3M4 4l16 16',
    minimise: 'M5 18.500h14',
    maximise: 'M5.500 5.500h13v13h-13z',
    restore: 'M4.500 9h10.500v10.500H4.500zM9 9V4.500h10.500V15H15',
    enlarge: 'M13.500 5H19v5.500M19 5l-6.500 6.500M10.500 19H5v-5.500M5 19l6.500-6.500',
    tab: 'M13.500 5H19v5.500M19 5l-8 8M16.500 14v4a1.500 1.500 0 0 1-1.500 1.500H6A1.500 1.500 0 0 1 4.500 18V9A1.500 1.500 0 0 1 6 7.500h4',
    close: 'm6 6 12 12M18 6 6 18',
    move: 'M9 6h.01M9 12h.01M9 18h.01M15 6h.01M15 12h.01M15 18h.01',
    list: 'M8.500 6.500h11M8.500 12h11M8.500 17.500h11M4.500 6.500h.01M4.500 12h.01M4.500 17.500h.01',
    file: 'M7 3.500h6.500L18 8v11a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 6 19V5a1.500 1.500 0 0 1 1-1.500zM13.500 3.500V8H18',
    save: 'M12 4v10.500M7.500 10.500 12 15l4.500-4.500M5 19.500h14',
    link: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.700-5.700L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.700 5.700L12 17',
};

/** An icon, which says nothing by itself. */
export function icon(name, size = 20) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const attributes = {
        viewBox: '0 0 24 24', width: size, height: size, 'aria-hidden': 'true', fill: 'none', stroke: 'currentColor',
        'stroke-width': name === 'move' ? 2.6 : 1.8, 'stroke-linecap': 'round', 'stroke-linejoin': 'round', class: 'chatd-icon',
    };
    for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
    const path = document.createElementNS(svg.namespaceURI, 'path');
    path.setAttribute('d', PATHS[name]);
    svg.append(path);
    return svg;
}
