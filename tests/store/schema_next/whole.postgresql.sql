-- before
    last_login_ms BIGINT,                       -- last successful log-in, NULL before the first
    UNIQUE (domain, local)
-- after
    last_login_ms BIGINT,                       -- last successful log-in, NULL before the first
    note TEXT COLLATE "C" NOT NULL DEFAULT '',  -- what the administrator wrote
    UNIQUE (domain, local)
-- before
    photo_sha1 TEXT NOT NULL            -- hexadecimal SHA-1 of the photo's bytes (XEP-0153), '' without one
-- after
    photo_sha1 TEXT NOT NULL,           -- hexadecimal SHA-1 of the photo's bytes (XEP-0153), '' without one
    photo_type TEXT                     -- its media type
-- before
-- Last activity (XEP-0012).
-- after
CREATE INDEX account_note ON account (note);
-- Last activity (XEP-0012).
