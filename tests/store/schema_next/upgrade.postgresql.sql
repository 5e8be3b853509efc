-- What the tests take for the next version of the schema.
ALTER TABLE account ADD COLUMN note TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE vcard ADD COLUMN photo_type TEXT;
CREATE INDEX account_note ON account (note);
