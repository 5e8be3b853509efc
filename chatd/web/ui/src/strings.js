// Every sentence of ours that a person reads in the log-in page and the panel. Converse.js has its own translations.
// index.html takes what it shows from here when it is built.
export const TEXT = {
    page: {
        title: 'Chat',
        logOut: 'Log out',
        welcome: 'Your chats',
        welcomeText:
            'Your contacts are in the box at the lower right. Choose one to write to them; several chats can stay open ' +
            'side by side.',
        noScript: 'The chat needs JavaScript. Allow it for this page and reload.',
    },
    login: {
        title: 'Log in to chat',
        address: 'Address',
        example: 'name@example.org',
        password: 'Password',
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
        temporary: 'Logging in is not possible just now. Wait a minute, then try again.',
        domain: (domain) => `This server has no accounts at ${domain}. Check the part after the @.`,
        insecure: 'This connection is not encrypted, so the server refuses passwords. Open this page with https.',
        unreachable: 'The chat server cannot be reached. Check your connection and try again.',
        unloadable: 'The chat could not be loaded. Check your connection and try again.',
        replaced: 'You were logged out because this session was opened somewhere else. Log in to use it here.',
        expired: 'Log in again to go on.',
    },
    loggedOut: 'You are logged out.',
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
    contact: {
        name: 'Name to show (optional)',
        groups: 'Group (optional)',
        groupsHint: 'Several groups: put commas between them.',
        cancel: 'Cancel',
        failed: 'The server did not accept this. Check the address and try again.',
        accept: {
            title: 'Accept a contact',
            text: (address) => `${address} wants to have you as a contact. You will see each other when you are online.`,
            submit: 'Accept',
            done: (name) => `${name} is your contact now.`,
        },
        add: {
            title: 'Add a contact',
            address: 'Address',
            submit: 'Add contact',
            missing: 'Enter the address of the person.',
            invalid: 'An address has a name and a domain: name@example.org.',
            yourself: 'This is your own address.',
            known: 'This person is among your contacts already.',
            done: (name) => `${name} was asked. You see each other once they agree.`,
        },
    },
    rooms: {
        join: {
            title: 'Make or join a group chat',
            name: 'Name of the group chat',
            nameHint: 'If there is none of this name yet, it is made and you own it.',
            nick: 'Your name in it',
            submit: 'Open group chat',
            missing: 'Enter a name for the group chat.',
            invalid: 'This name cannot be used. Take letters, digits and spaces.',
            nickMissing: 'Enter the name that the others see.',
        },
        list: {
            title: 'Find a group chat',
            busy: 'Looking…',
            empty: 'There are no group chats that everybody can see.',
        },
        invite: {
            title: 'Invite somebody',
            reason: 'What it is about (optional)',
            submit: 'Invite',
            done: (address) => `${address} was invited.`,
        },
    },
    access: {
        close: 'Close',
        profile: 'Show profile',
    },
    loginForm: 'Not connected. Trying again…',
};
