-- From schema version 4 to 5: what is published for one's contacts, files, tokens of Webmail.

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
