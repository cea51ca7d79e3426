-- What commands need: lists with buttons, what was spent, Claude's own commands, a restart that was asked for.

-- A list to choose from. The nonce is what the buttons carry.
CREATE TABLE picker (
    nonce        TEXT PRIMARY KEY,
    conversation TEXT NOT NULL,
    state        TEXT NOT NULL,
    message      INTEGER NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

-- What a conversation's session has used, and what the running Claude had told of its cost when it was last heard.
CREATE TABLE session_use (
    conversation   TEXT PRIMARY KEY,
    told_micro_usd INTEGER NOT NULL DEFAULT 0,
    cost_micro_usd INTEGER NOT NULL DEFAULT 0,
    input_tokens   INTEGER NOT NULL DEFAULT 0,
    output_tokens  INTEGER NOT NULL DEFAULT 0,
    turns          INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The same for each day, of all conversations together.
CREATE TABLE day_use (
    day            TEXT PRIMARY KEY, -- of the local calendar
    cost_micro_usd INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    turns          INTEGER NOT NULL,
    at             INTEGER NOT NULL
) STRICT;

CREATE TABLE claude_command (
    position    INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT NOT NULL
) STRICT;

-- Who is to be told when the bot is back.
CREATE TABLE restart (
    chat   INTEGER NOT NULL,
    thread INTEGER,
    at     INTEGER NOT NULL
) STRICT;
