// What Converse.js expects of a browser, and browsers give to pages by https only. Where Webmail is opened by plain http, a frame
// in it counts as such a page, even one that came by https itself.

/** To be called before Converse.js starts: its presence has a hash in it (XEP-0115). */
export async function ensureCrypto() {
    if (crypto.subtle) return;
    const [{ sha1 }, { sha256, sha512 }] = await Promise.all([import('./hashes/legacy.js'), import('./hashes/sha2.js')]);
    const known = { 'SHA-1': sha1, 'SHA-256': sha256, 'SHA-512': sha512 };
    const digest = async (algorithm, data) =>
        known[algorithm.name ?? algorithm](ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
            : new Uint8Array(data)).buffer;
    Object.defineProperty(crypto, 'subtle', { value: { digest } });
    Object.defineProperty(crypto, 'randomUUID', { value: randomUUID });
}

/** A random UUID (RFC 9562 5.4). */
export function randomUUID() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
