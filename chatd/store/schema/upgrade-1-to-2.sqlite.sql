-- From schema version 1 to 2: group chat rooms.

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
    PRIMARY KEY (room, jid)
) STRICT, WITHOUT ROWID;
