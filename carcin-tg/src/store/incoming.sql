-- Messages with files, messages that go as one prompt, and prompts that wait beside a running turn.

ALTER TABLE inbox ADD COLUMN thread INTEGER;                     -- the topic
ALTER TABLE inbox ADD COLUMN sender INTEGER;
ALTER TABLE inbox ADD COLUMN burst INTEGER NOT NULL DEFAULT 0;   -- 0: goes alone, 1: joins others, 2: waits for others
ALTER TABLE inbox ADD COLUMN needs INTEGER NOT NULL DEFAULT 0;   -- its file is to be fetched first
ALTER TABLE inbox ADD COLUMN part TEXT;                          -- what the fetched file gives to the prompt
ALTER TABLE inbox ADD COLUMN note INTEGER;                       -- the message that tells of the fetching
ALTER TABLE inbox ADD COLUMN composed TEXT;                      -- the prompt, from the moment it may be submitted
ALTER TABLE inbox ADD COLUMN joined INTEGER;                     -- the row with whose prompt it goes
CREATE INDEX inbox_joined ON inbox (joined) WHERE joined IS NOT NULL;

-- Prompts that came while Claude worked. The nonce is what the buttons carry.
CREATE TABLE steer (
    nonce   TEXT PRIMARY KEY,
    key     TEXT NOT NULL UNIQUE,       -- under which the message was first submitted
    prompt  TEXT,                       -- the prompt that waits now; NULL: it is on its way to another place
    content TEXT NOT NULL,
    message INTEGER NOT NULL,           -- the one that carries the buttons
    place   TEXT NOT NULL CHECK (place IN ('steer', 'queue', 'now')),
    stopped INTEGER NOT NULL DEFAULT 0, -- the turn was stopped for it
    over    INTEGER NOT NULL DEFAULT 0, -- it waits no longer
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX steer_prompt ON steer (prompt) WHERE over = 0;
