-- From schema version 2 to 3: who set a room's subject; voice given or taken is kept for the next visit.

ALTER TABLE room ADD COLUMN subject_mark TEXT NOT NULL DEFAULT '';
ALTER TABLE room_affiliation ADD COLUMN role TEXT NOT NULL DEFAULT '';
