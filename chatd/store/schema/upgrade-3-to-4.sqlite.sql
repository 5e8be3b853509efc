-- From schema version 3 to 4: meetings and their recordings.

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
