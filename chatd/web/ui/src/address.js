// Addresses as people type them.

/** Completes an address: `anna` becomes `anna@DOMAIN`; a resource is cut off. */
export function completeAddress(text, domain) {
    const bare = text.trim().split('/')[0].toLowerCase();
    return bare.includes('@') || !domain || !bare ? bare : `${bare}@${domain}`;
}

/** Tells whether this can be an account's address: name@domain, no spaces, one @ (RFC 7622 3.3.1). */
export function isAddress(text) {
    return /^[^\s@"&'/:<>]+@[^\s@/]+$/.test(text);
}
