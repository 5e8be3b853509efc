-- From schema version 4 to 5: what is published for one's contacts, files, tokens of Webmail.

-- Tokens that a Webmail was given for its users to sign on with (docs/webmail.md), as their SHA-256.
CREATE TABLE webmail_token (
    hash BYTEA NOT NULL PRIMARY KEY,
    account BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    webmail TEXT COLLATE "C" NOT NULL,              -- the name of the Webmail
    session BYTEA NOT NULL,              -- SHA-256 of its name and the id of the session there
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL         -- from then on it lets nobody in
);

-- What the signed requests of a Webmail had as nonce, so that none is taken twice; kept while it could be.
CREATE TABLE webmail_nonce (
    webmail TEXT COLLATE "C" NOT NULL,
    nonce TEXT COLLATE "C" NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (webmail, nonce)
);

-- Nodes on which an account publishes (XEP-0060, XEP-0163).
CREATE TABLE pep_node (
    account BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    node TEXT COLLATE "C" NOT NULL,                 -- its name
    settings TEXT NOT NULL,             -- JSON: the settings that differ from the defaults
    affiliations TEXT NOT NULL,         -- JSON: standing by bare address; the account itself owns it
    subscriptions TEXT NOT NULL,        -- JSON: state by the address of those who subscribed by themselves
    bytes BIGINT NOT NULL,             -- of the payloads of its items
    PRIMARY KEY (account, node)
);

-- What is published on them.
CREATE TABLE pep_item (
    account BIGINT NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,                   -- chosen by the publisher
    seq BIGINT NOT NULL,               -- rises with each publication on the node: the highest is the last item
    publisher TEXT NOT NULL,            -- bare address
    payload BYTEA NOT NULL,              -- the element in the item, with its own xmlns
    PRIMARY KEY (account, node, id),
    FOREIGN KEY (account, node) REFERENCES pep_node (account, node) ON DELETE CASCADE
);

-- For the last items, and those too many.
CREATE INDEX pep_item_seq ON pep_item (account, node, seq);
