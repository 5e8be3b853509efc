-- chatd's database, schema version 5, for SQLite. v5.postgresql.sql says the same for PostgreSQL.
-- Times are milliseconds since 1970 (UTC). Addresses are in the normal form of RFC 7622. XML is UTF-8.

-- What the store knows about itself.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,     -- 'schema': the version; 'last_id': no id up to it is given out again
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One person of one domain.
CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used twice
    local TEXT NOT NULL,                        -- local part of the address
    domain TEXT NOT NULL,                       -- domain part of the address
    disabled INTEGER NOT NULL DEFAULT 0,        -- 1: may not log in
    created_ms INTEGER NOT NULL,                -- when it was made
    last_login_ms INTEGER,                      -- last successful log-in, NULL before the first
    UNIQUE (domain, local)
) STRICT;

-- Accounts that are being deleted: the account itself is gone, its archive goes piece by piece. Whatever is
-- still here when the store is opened was interrupted and is gone on with.
CREATE TABLE account_gone (
    account INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- What is kept of a password, for one SCRAM mechanism (RFC 5802 section 3).
CREATE TABLE verifier (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    mechanism TEXT NOT NULL,            -- 'SCRAM-SHA-1' or 'SCRAM-SHA-256'
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,        -- of PBKDF2
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, mechanism)
) STRICT, WITHOUT ROWID;

-- The state of an account's roster as a whole (RFC 6121 2.6, roster versioning).
CREATE TABLE roster (
    account INTEGER NOT NULL PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,           -- rises with each change
    floor INTEGER NOT NULL DEFAULT 0    -- changes since a version below this are no longer known
) STRICT;

-- One contact of one account (RFC 6121 2.1).
CREATE TABLE roster_item (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,                  -- bare address of the contact
    name TEXT NOT NULL,                 -- the handle, '' for none
    subscription TEXT NOT NULL,         -- 'none', 'to', 'from' or 'both'
    ask INTEGER NOT NULL,               -- 1: our subscribe waits for an answer
    pending_in BLOB,                    -- the contact's subscribe stanza that waits for our answer
    approved INTEGER NOT NULL,          -- 1: approved before it was asked for (RFC 6121 3.4)
    groups TEXT NOT NULL,               -- JSON list of names; never searched
    listed INTEGER NOT NULL,            -- 0: only keeps pending_in, not part of the roster
    version INTEGER NOT NULL,           -- the roster's version when it was last changed
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- Contacts that were removed, for clients that ask for the changes since a version.
CREATE TABLE roster_removed (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,                  -- bare address of the contact
    version INTEGER NOT NULL,           -- the roster's version when it was removed
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- Blocked addresses (XEP-0191).
CREATE TABLE blocked (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,                  -- any form XEP-0191 knows: user, resource or domain
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- Private XML storage (XEP-0049).
CREATE TABLE private (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                 -- 'NAMESPACE NAME' of the stored element
    value BLOB NOT NULL,                -- the element
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

-- vCards (XEP-0054).
CREATE TABLE vcard (
    account INTEGER NOT NULL PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    value BLOB NOT NULL,                -- the <vCard/> element
    photo_sha1 TEXT NOT NULL            -- hexadecimal SHA-1 of the photo's bytes (XEP-0153), '' without one
) STRICT;

-- Last activity (XEP-0012).
CREATE TABLE last (
    account INTEGER NOT NULL PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    stamp_ms INTEGER NOT NULL,          -- when the last resource went away
    status TEXT NOT NULL                -- what its last presence said
) STRICT;

-- Messages kept for somebody who is away (XEP-0160). No reference to the account: these rows are written by group
-- commit, and one that comes after its account is gone must not spoil the rest.
CREATE TABLE offline (
    account INTEGER NOT NULL,
    id INTEGER NOT NULL,                -- from the store's ids, so they sort as they came
    stamp_ms INTEGER NOT NULL,          -- when it came
    stanza BLOB NOT NULL,               -- the message with its own xmlns
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- What a person wants archived (XEP-0441). No row: the domain's default.
CREATE TABLE archive_prefs (
    account INTEGER NOT NULL PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    default_for TEXT NOT NULL,          -- 'always', 'never' or 'roster': for whom no list speaks
    always TEXT NOT NULL,               -- JSON list of addresses that are archived
    never TEXT NOT NULL                 -- JSON list of addresses that are not
) STRICT;

-- Archived messages (XEP-0313), in the order they came. New rows go to the end of the table and to no index, so a
-- commit writes few pages; archive_index follows later (see chatd/store/late_index.py).
-- No reference to the account, as in offline.
CREATE TABLE archive (
    seq INTEGER PRIMARY KEY,            -- order of arrival; what archive_index points to
    account INTEGER NOT NULL,           -- whose archive
    id INTEGER NOT NULL,                -- the archive id: milliseconds << 20 | number (chatd/store/ids.py)
    with_bare TEXT NOT NULL,            -- bare address of the other side
    with_resource TEXT NOT NULL,        -- its resource, '' for none
    stamp_ms INTEGER NOT NULL,          -- when the message came
    stanza BLOB NOT NULL                -- the message with its own xmlns
) STRICT;

-- The keys of the archive's rows.
CREATE TABLE archive_index (
    account INTEGER NOT NULL,
    id INTEGER NOT NULL,
    with_bare TEXT NOT NULL,
    seq INTEGER NOT NULL,               -- the row in archive
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- For queries about one contact; holds all columns, so that the table itself is not read.
CREATE INDEX archive_with ON archive_index (account, with_bare, id, seq);

-- One row: how far archive_index reaches.
CREATE TABLE archive_mark (
    seq INTEGER NOT NULL                -- all rows of archive up to this one are in archive_index
) STRICT;
INSERT INTO archive_mark (seq) VALUES (0);

-- What queries read; the same names as in PostgreSQL. CROSS JOIN keeps SQLite from turning the order round.
CREATE VIEW archive_keys AS SELECT account, id, with_bare FROM archive_index;
CREATE VIEW archive_rows AS
    SELECT i.account, i.id, i.with_bare, a.with_resource, a.stamp_ms, a.stanza
    FROM archive_index i CROSS JOIN archive a ON a.seq = i.seq;

-- Group chat rooms (XEP-0045). The archive of a room stands in archive under account = -id.
CREATE TABLE room (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used twice
    local TEXT NOT NULL,                        -- local part of the address
    domain TEXT NOT NULL,                       -- domain part of the address
    created_ms INTEGER NOT NULL,                -- when it was made
    secret BLOB NOT NULL,                       -- key of its occupant ids (XEP-0421)
    persistent INTEGER NOT NULL,                -- 0: ends with its last occupant, so also with the daemon
    config TEXT NOT NULL,                       -- JSON: the settings that differ from the defaults
    subject TEXT NOT NULL,                      -- what is talked about, '' for nothing
    subject_nick TEXT NOT NULL,                 -- who said so
    subject_ms INTEGER NOT NULL,                -- and when; 0: never
    hats TEXT NOT NULL,                         -- JSON: titles by URI, and who wears them (XEP-0317)
    vcard BLOB,                                 -- its <vCard/> (XEP-0054), for the picture
    subject_mark TEXT NOT NULL DEFAULT '',      -- the occupant id (XEP-0421) of who set the subject, '' for nobody
    UNIQUE (domain, local)
) STRICT;

-- Who has a lasting standing in a room, or asked for one.
CREATE TABLE room_affiliation (
    room INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    jid TEXT NOT NULL,                  -- bare address
    affiliation TEXT NOT NULL,          -- 'owner', 'admin', 'member', 'outcast', or 'none' for who asked
    nick TEXT NOT NULL,                 -- the nickname kept for this person, '' for none
    reason TEXT NOT NULL,               -- what was said when it was given, '' for nothing
    pending INTEGER NOT NULL,           -- 1: asks to become a member under that nickname
    role TEXT NOT NULL DEFAULT '',      -- kept for the next visit: 'visitor', 'participant', or '' for the usual one
    PRIMARY KEY (room, jid)
) STRICT, WITHOUT ROWID;

-- Meetings: rooms of meet.DOMAIN, with what a room alone does not have.
CREATE TABLE meeting (
    room INTEGER NOT NULL PRIMARY KEY REFERENCES room (id) ON DELETE CASCADE,
    creator TEXT NOT NULL,              -- bare address of the account that made it
    used_ms INTEGER NOT NULL,           -- when somebody was last in it, or when it was made
    expires_ms INTEGER NOT NULL,        -- when it ends at the latest; 0: by the site's rule only
    e2ee INTEGER NOT NULL,              -- 1: the pages encrypt from end to end
    may TEXT NOT NULL,                  -- JSON: what participants may do
    present TEXT NOT NULL               -- JSON: what lasts until it has been empty for a while, such as who was let in
) STRICT;

-- Recordings of meetings; the files themselves are in the folder of recordings.
CREATE TABLE recording (
    id TEXT NOT NULL PRIMARY KEY,       -- stands in its address
    meeting TEXT NOT NULL,              -- bare address of the room; no reference, because the file has to go first
    engine_id TEXT NOT NULL,            -- what the media engine calls it
    state TEXT NOT NULL,                -- 'starting', 'recording', 'composing', 'ready' or 'failed'
    path TEXT NOT NULL,                 -- of the file, inside the folder; '' before there is one
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,          -- 0: not yet
    bytes INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    started_by TEXT NOT NULL,           -- nickname
    error TEXT NOT NULL                 -- why it failed, '' otherwise
) STRICT;

-- Tokens that a Webmail was given for its users to sign on with (docs/webmail.md), as their SHA-256.
CREATE TABLE webmail_token (
    hash BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    webmail TEXT NOT NULL,              -- the name of the Webmail
    session BLOB NOT NULL,              -- SHA-256 of its name and the id of the session there
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL         -- from then on it lets nobody in
) STRICT, WITHOUT ROWID;

-- What the signed requests of a Webmail had as nonce, so that none is taken twice; kept while it could be.
CREATE TABLE webmail_nonce (
    webmail TEXT NOT NULL,
    nonce TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (webmail, nonce)
) STRICT, WITHOUT ROWID;

-- Nodes on which an account publishes (XEP-0060, XEP-0163).
CREATE TABLE pep_node (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    node TEXT NOT NULL,                 -- its name
    settings TEXT NOT NULL,             -- JSON: the settings that differ from the defaults
    affiliations TEXT NOT NULL,         -- JSON: standing by bare address; the account itself owns it
    subscriptions TEXT NOT NULL,        -- JSON: state by the address of those who subscribed by themselves
    bytes INTEGER NOT NULL,             -- of the payloads of its items
    PRIMARY KEY (account, node)
) STRICT, WITHOUT ROWID;

-- What is published on them.
CREATE TABLE pep_item (
    account INTEGER NOT NULL,
    node TEXT NOT NULL,
    id TEXT NOT NULL,                   -- chosen by the publisher
    seq INTEGER NOT NULL,               -- rises with each publication on the node: the highest is the last item
    publisher TEXT NOT NULL,            -- bare address
    payload BLOB NOT NULL,              -- the element in the item, with its own xmlns
    PRIMARY KEY (account, node, id),
    FOREIGN KEY (account, node) REFERENCES pep_node (account, node) ON DELETE CASCADE
) STRICT;

-- For the last items, and those too many.
CREATE INDEX pep_item_seq ON pep_item (account, node, seq);

-- Files that people sent (XEP-0363), and slots that wait for one; the files are in the folder of uploads, named by
-- token. No reference to the account: its files have to go first.
CREATE TABLE upload (
    token TEXT NOT NULL PRIMARY KEY,    -- stands in its address
    account INTEGER NOT NULL,           -- whose it is
    secret BLOB NOT NULL,               -- SHA-256 of what must be shown with the file
    name TEXT NOT NULL,                 -- the file's name, as it is shown
    type TEXT NOT NULL,                 -- its media type, '' where nobody said one
    bytes INTEGER NOT NULL,             -- its size
    made_ms INTEGER NOT NULL,           -- when the slot was given
    slot_ms INTEGER NOT NULL,           -- until when the file may come
    stored_ms INTEGER NOT NULL,         -- when it was there; 0: it is a slot
    expires_ms INTEGER NOT NULL         -- when it is to be deleted; 0: never
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_of ON upload (account);

-- Clients that are told through their app server that something has come (XEP-0357).
CREATE TABLE push (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    service TEXT NOT NULL,              -- address of the app server
    node TEXT NOT NULL,                 -- what it calls the client, '' for nothing
    resource TEXT NOT NULL,             -- of the client that asked for it
    options BLOB,                       -- the form to publish with, NULL for none
    enabled_ms INTEGER NOT NULL,        -- when it was asked for
    PRIMARY KEY (account, service, node)
) STRICT, WITHOUT ROWID;

-- What people reported to whoever runs this server (XEP-0377). It outlives the accounts it speaks of.
CREATE TABLE report (
    id INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used twice
    stamp_ms INTEGER NOT NULL,                  -- when it came
    reporter TEXT NOT NULL,                     -- bare address of who reported
    reported TEXT NOT NULL,                     -- address that was reported
    reason TEXT NOT NULL,                       -- a URI, such as urn:xmpp:reporting:spam
    says TEXT NOT NULL,                         -- what the reporter wrote, '' for nothing
    messages TEXT NOT NULL,                     -- JSON: the messages that were pointed at
    forward TEXT NOT NULL                       -- JSON: to whom the reporter lets it be passed on
) STRICT;

-- Tokens that clients log in with instead of a password (XEP-0484); the secret itself is made of seed and the site's.
CREATE TABLE fast_token (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    client TEXT NOT NULL,               -- the id of its user agent (XEP-0388), a UUID
    slot TEXT NOT NULL,                 -- 'new' until it is used for the first time, then 'current'
    mechanism TEXT NOT NULL,            -- the only one it is good for
    seed BLOB NOT NULL,                 -- random
    issued_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,             -- what the client counted last, 0 if it does not
    software TEXT NOT NULL,             -- what the client says it is, '' for nothing
    device TEXT NOT NULL,               -- and what it runs on
    PRIMARY KEY (account, client, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX fast_token_expires ON fast_token (expires_ms);

-- Invitations that were not used yet (XEP-0401).
CREATE TABLE invitation (
    digest BLOB NOT NULL PRIMARY KEY,   -- SHA-256 of the token; the token itself has who was invited
    domain TEXT NOT NULL,
    local TEXT NOT NULL,                -- the name that an account made by it gets, '' for any
    inviter TEXT NOT NULL,              -- bare address of who becomes a contact, '' for nobody
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What all of a domain are told (XEP-0133): kind 'motd', each account once; 'welcome', each that is new.
CREATE TABLE notice (
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    stamp_ms INTEGER NOT NULL,              -- when it was set; correcting it changes nothing
    PRIMARY KEY (domain, kind)
) STRICT, WITHOUT ROWID;

-- Who has been told the message of the day.
CREATE TABLE notice_told (
    account INTEGER NOT NULL PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    stamp_ms INTEGER NOT NULL               -- of the newest that was told
) STRICT, WITHOUT ROWID;
