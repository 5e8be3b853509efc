// The key of a meeting that is encrypted from end to end. It stands in the link's fragment, which browsers never send to a
// server: #key= and 43 characters, 32 random bytes in base64url. docs/protocol.md section 14.
const KEY = /^[\w-]{43}$/;

/** The key in a link, a fragment or by itself; '' where there is none. */
export function keyIn(text) {
    const said = text.trim();
    if (KEY.test(said)) return said;
    const found = new URLSearchParams(said.slice(said.indexOf('#') + 1)).get('key') ?? '';
    return KEY.test(found) ? found : '';
}

/** A new one. */
export function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The fragment that carries a key. */
export const fragmentOf = (key) => (key ? `#key=${key}` : '');

/** Whether this browser can encrypt what it sends. */
export const canEncrypt = () => 'RTCRtpScriptTransform' in globalThis || 'createEncodedStreams' in (globalThis.RTCRtpSender?.prototype ?? {});
