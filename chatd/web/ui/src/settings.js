// How Converse.js is set up. Each line that differs from its default has its reason here.

// Not loaded at all: what this server does not offer yet, and what belongs to the log-in page instead.
const LEFT_OUT = [
    'converse-omemo', // needs PEP, and its library looks for a file beside the page
    'converse-omemo-views',
    'converse-register', // accounts are made by the site; its form asks another site for a list of servers
    'converse-headlines',
    'converse-headlines-view',
    'converse-muc-views', // group chats come with the rooms service (converse-muc itself is needed by others)
    'converse-roomslist',
    'converse-bookmarks',
    'converse-bookmark-views',
    'converse-push',
];

/**
 * @param {{domains: string[]}} config what the server says of itself
 * @param {string} assets address of the folder that holds Converse.js
 */
export function settingsFor(config, assets) {
    return {
        assets_path: `${assets}/`,
        sounds_path: `${assets}/sounds/`,
        notification_icon: '/favicon.svg',
        view_mode: 'overlayed',
        theme: 'chatd',
        dark_theme: 'chatd-dark',
        show_background: false,
        show_controlbox_by_default: true,
        blacklisted_plugins: LEFT_OUT,
        whitelisted_plugins: ['chatd'],

        // session.js logs in, chooses the connection and decides when to try again.
        authentication: 'login',
        auto_login: false,
        auto_reconnect: false,
        keepalive: false,
        discover_connection_methods: false,
        allow_logout: true,
        default_domain: config.domains[0],

        // Nothing of a person stays on a machine that may be shared: all of it lives in this tab and goes with it.
        persistent_store: 'sessionStorage',
        reuse_scram_keys: false,
        clear_cache_on_logout: true,
        prune_messages_above: 500,

        // No request to any other site: no lists of providers, no pictures or players of linked pages.
        autocomplete_providers_url: '',
        xmpp_providers_url: '',
        render_media: false,
        embed_3rd_party_media_players: false,
        fetch_url_headers: false,
        use_system_emojis: true,
        muc_search_service: '',

        visible_toolbar_buttons: { call: false, clear: true, emoji: true, location: false, spoiler: false },
        allow_registration: false,
        allow_user_trust_override: false,
        show_self_in_roster: false,
        allow_non_roster_messaging: true,
        enable_smacks: true,
        csi_waiting_time: 60,
        auto_away: 600,
        loglevel: 'error',
    };
}
