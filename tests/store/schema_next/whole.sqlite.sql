-- before
    last_login_ms INTEGER,                      -- last successful log-in, NULL before the first
-- after
    last_login_ms INTEGER,                      -- last successful log-in, NULL before the first
    note TEXT NOT NULL DEFAULT '',              -- what the administrator wrote
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
