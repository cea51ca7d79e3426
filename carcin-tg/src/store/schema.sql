-- One database for each bot. Moments are milliseconds of the wall clock since 1970.

CREATE TABLE fact (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    next_update INTEGER NOT NULL,   -- the offset that confirms everything taken in
    journal     TEXT,               -- the daemon's journal, and how far it is consumed
    seq         INTEGER
) STRICT;
INSERT INTO fact (id, next_update) VALUES (1, 0);

-- The chats in which an allowed user has written.
CREATE TABLE chat (
    chat        INTEGER PRIMARY KEY,
    outage_told INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE inbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
    key          TEXT NOT NULL UNIQUE,              -- stable over redelivery
    lane         TEXT NOT NULL CHECK (lane IN ('stop', 'info', 'prompt', 'button')),
    chat         INTEGER NOT NULL,
    message      INTEGER,                           -- of a message, its id in the chat
    content      TEXT,                              -- of a message, its text
    raw          TEXT NOT NULL,                     -- the update as Telegram sent it
    state        TEXT NOT NULL CHECK (state IN ('received', 'submitted', 'accepted', 'refused', 'cancelled')),
    cancelled_by INTEGER,                           -- the /stop, or the edit, that came after it
    told         INTEGER NOT NULL DEFAULT 0,        -- the user knows that it waits
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_open ON inbox (lane, id) WHERE state IN ('received', 'submitted');
CREATE INDEX inbox_message ON inbox (chat, message);

-- Messages that are edited later: an identity before Telegram gives one.
CREATE TABLE message (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    chat       INTEGER NOT NULL,
    message_id INTEGER,             -- Telegram's, once it is sent
    body       TEXT NOT NULL,       -- what it is to show
    at         INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,   -- the order in which they arise
    chat       INTEGER NOT NULL,
    lane       TEXT NOT NULL CHECK (lane IN ('control', 'prose', 'live')),
    op         TEXT NOT NULL CHECK (op IN ('send', 'edit', 'file')),
    message    INTEGER,                             -- which message it creates or edits
    body       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'in_flight', 'sent', 'failed', 'superseded')),
    message_id INTEGER,                             -- Telegram's, once it is sent
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_open ON outbox (id) WHERE state IN ('pending', 'in_flight');
CREATE INDEX outbox_message ON outbox (message) WHERE state = 'pending';

-- What is going on in a conversation, as its live card shows it.
CREATE TABLE progress (
    conversation TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    message      INTEGER            -- the live card
) STRICT;

-- What Claude asks. The nonce is what the buttons carry.
CREATE TABLE request (
    nonce        TEXT PRIMARY KEY,
    request      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    ask          TEXT NOT NULL,
    message      INTEGER NOT NULL,
    outcome      TEXT,              -- NULL: open
    at           INTEGER NOT NULL,
    UNIQUE (conversation, request)
) STRICT;

-- Prompts that are not settled, and interrupted ones that can be run again.
CREATE TABLE prompt (
    prompt       TEXT PRIMARY KEY,
    conversation TEXT NOT NULL,
    key          TEXT NOT NULL,
    content      TEXT NOT NULL,
    nonce        TEXT UNIQUE,       -- what the button carries; NULL: not interrupted
    message      INTEGER,
    rerun        INTEGER NOT NULL DEFAULT 0,
    at           INTEGER NOT NULL
) STRICT;
