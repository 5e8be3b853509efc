// Every sentence of ours that a person reads in the log-in page and the panel. Converse.js has its own translations.
export const TEXT = {
    login: {
        addressMissing: 'Enter your address.',
        addressInvalid: 'An address has a name and a domain: name@example.org.',
        passwordMissing: 'Enter your password.',
        showPassword: 'Show password',
        hidePassword: 'Hide password',
        domainHint: (domain) => `You can leave out @${domain}.`,
        submit: 'Log in',
        busy: 'Logging in…',
        resuming: 'Opening your chats…',
    },
    // Why a log-in failed, by the reason that session.js gives.
    failed: {
        credentials: 'The address or the password is not right. Check both, and that Caps Lock is off.',
        disabled: 'This account is switched off. Ask the people who run this server.',
        throttled: 'Too many attempts. Wait a minute, then try again.',
        temporary: 'The server cannot check passwords just now. Try again in a moment.',
        domain: (domain) => `This server has no accounts at ${domain}. Check the part after the @.`,
        insecure: 'This connection is not encrypted, so the server refuses passwords. Open this page with https.',
        unreachable: 'The chat server cannot be reached. Check your connection and try again.',
        unloadable: 'The chat could not be loaded. Check your connection and try again.',
        replaced: 'You were logged out because this session was opened somewhere else. Log in to use it here.',
        expired: 'Log in again to go on.',
    },
    loggedOut: 'You are logged out.',
    noScript: 'The chat needs JavaScript. Allow it for this page and reload.',
    state: {
        reconnecting: 'Connection lost. Trying to connect again…',
        offline: 'This device is offline. The chat goes on as soon as it has a network.',
        reconnected: 'Connected again.',
    },
    roster: {
        emptyTitle: 'No contacts yet',
        emptyText: 'Add somebody by their address. Once they agree, you see each other here and can chat.',
        add: 'Add a contact',
    },
    loginForm: 'Not connected. Trying again…',
};
