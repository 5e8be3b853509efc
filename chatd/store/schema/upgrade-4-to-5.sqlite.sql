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
