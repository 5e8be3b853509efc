// Addresses as people type them, and the accounts they mean. What a mail address may have and an account may not is
// written as XEP-0106 has it: r&d@example.org is the account r\26d@example.org.

const CODES = { '"': '\\22', '&': '\\26', "'": '\\27', '/': '\\2f', ':': '\\3a' };
const SIGNS = Object.fromEntries(Object.entries({ ...CODES, ' ': '\\20', '<': '\\3c', '>': '\\3e', '@': '\\40', '\\': '\\5c' })
    .map(([sign, code]) => [code, sign]));

/** The account that an address means: `anna` is `anna@DOMAIN`, a resource is cut off, r&d is r\26d. */
export function completeAddress(text, domain) {
    const typed = text.trim();
    const beforeSlash = typed.split('/')[0];
    // A slash behind the domain begins a resource, one before it belongs to the name.
    const bare = (beforeSlash.includes('@') || !typed.includes('@') ? beforeSlash : typed).toLowerCase();
    const at = bare.lastIndexOf('@');
    const [local, host] = at < 0 ? [bare, domain] : [bare.slice(0, at), bare.slice(at + 1)];
    const escaped = local.replace(/["&'/:]/g, (sign) => CODES[sign]);
    return host && escaped ? `${escaped}@${host}` : at < 0 ? escaped : `${escaped}@${host}`;
}

/** Tells whether this can be an account: name@domain, no spaces, one @ (RFC 7622 3.3.1). */
export function isAddress(text) {
    return /^[^\s@"&'/:<>]+@[^\s@/<>"&']+$/.test(text);
}

/** An account as its owner would write the mail address. */
export function shownAddress(jid) {
    const at = jid.lastIndexOf('@');
    return jid.slice(0, at).replace(/\\(2[0267f]|3[ace]|40|5c)/g, (code) => SIGNS[code]) + jid.slice(at);
}

/**
 * Takes `Name <name@example.org>` apart; the name may stand in quotation marks.
 * @returns {{name: string, jid: string} | null} null for anything else
 */
export function namedAddress(text) {
    const [, name, address] = text.match(/^\s*([^<>]+?)\s*<\s*([^<>\s]+)\s*>\s*$/) ?? [];
    const jid = completeAddress(address ?? '', '');
    const bare = (name ?? '').replace(/^"(.*)"$/, '$1').trim();
    return bare && isAddress(jid) ? { name: bare, jid } : null;
}
