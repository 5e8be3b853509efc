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
