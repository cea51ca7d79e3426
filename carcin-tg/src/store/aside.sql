-- Rows that cannot be read, as they were: taken out of their tables' work, and kept for a while to be looked at.

CREATE TABLE aside (
    id      INTEGER PRIMARY KEY,
    source  TEXT NOT NULL,          -- the table
    row     INTEGER NOT NULL,       -- its rowid there
    why     TEXT NOT NULL,
    content TEXT NOT NULL,          -- the row, as JSON
    at      INTEGER NOT NULL
) STRICT;
