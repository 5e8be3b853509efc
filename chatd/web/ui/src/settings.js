// How Converse.js is set up. Each line that differs from its default has its reason here.
import { roomsServiceOf } from './rooms.js';
import { LANGUAGE } from './words.js';

// Not loaded at all: what this server does not offer yet, and what belongs to the log-in page instead.
const LEFT_OUT = [
    'converse-omemo', // see docs/decisions.md
    'converse-omemo-views',
    'converse-register', // accounts are made by the site; its form asks another site for a list of servers
    'converse-headlines',
    'converse-headlines-view',
    'converse-bookmark-views', // the list of groupchats is enough: bookmarks are the ones one is in
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
        i18n: LANGUAGE || undefined, // who reads none of our languages may find theirs among Converse's
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

        // Group chats are this server's; rooms.js sets the service of the person's own domain.
        muc_domain: roomsServiceOf(config.domains[0]),
        locked_muc_domain: true,
        muc_nickname_from_jid: true,
        auto_register_muc_nickname: false, // or whoever looks in is a member for good
        // On a phone the list of participants would stand in place of the chat.
        hide_muc_participants: matchMedia('(max-width: 767px)').matches,

        visible_toolbar_buttons: { call: false, clear: true, emoji: true, location: false, spoiler: false },
        allow_registration: false,
        allow_user_trust_override: false,
        show_self_in_roster: false,
        allow_non_roster_messaging: true,
        enable_smacks: true,
        smacks_max_unacked_stanzas: 1, // what is sent again after a session that ended was really on the way (unacknowledged.js)
        csi_waiting_time: 60,
        auto_away: 600,
        // Being away elsewhere is not being away here, and who shows away by that would never be told to be. Tabs agree by tabs.js.
        synchronize_availability: false,
        loglevel: 'error',
    };
}
