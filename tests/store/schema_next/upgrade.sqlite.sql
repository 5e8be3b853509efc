-- What the tests take for the next version of the schema: an account gets a note, a contact loses `approved`.
ALTER TABLE account ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE TABLE vcard_new (
    account INTEGER NOT NULL PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    value BLOB NOT NULL,
    photo_sha1 TEXT NOT NULL,
    photo_type TEXT
) STRICT;
INSERT INTO vcard_new (account, value, photo_sha1) SELECT account, value, photo_sha1 FROM vcard;
DROP TABLE vcard;
ALTER TABLE vcard_new RENAME TO vcard;
-- A table that others refer to, rebuilt: what refers to it must stay.
CREATE TABLE account_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    last_login_ms INTEGER,
    note TEXT NOT NULL DEFAULT '',
    UNIQUE (domain, local)
) STRICT;
INSERT INTO account_new SELECT id, local, domain, disabled, created_ms, last_login_ms, note FROM account;
DROP TABLE account;
ALTER TABLE account_new RENAME TO account;
CREATE INDEX account_note ON account (note);
