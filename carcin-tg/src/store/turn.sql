-- What is streamed by edits, chats that cannot be written to, and messages that are deleted.

ALTER TABLE progress ADD COLUMN stream INTEGER; -- the message in which a text grows until it is finished

ALTER TABLE chat ADD COLUMN gone INTEGER NOT NULL DEFAULT 0; -- blocked, left or deleted: nothing is sent there

-- The operations are what the program knows; a check of their names would have every new one copy the table.
CREATE TABLE outbox_new (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,   -- the order in which they arise
    chat       INTEGER NOT NULL,
    lane       TEXT NOT NULL CHECK (lane IN ('control', 'prose', 'live')),
    op         TEXT NOT NULL,
    message    INTEGER,                             -- which message it creates, edits or deletes
    body       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'in_flight', 'sent', 'failed', 'superseded')),
    message_id INTEGER,                             -- Telegram's, once it is sent
    at         INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_new (id, chat, lane, op, message, body, state, message_id, at)
    SELECT id, chat, lane, op, message, body, state, message_id, at FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_new RENAME TO outbox;
CREATE INDEX outbox_open ON outbox (id) WHERE state IN ('pending', 'in_flight');
CREATE INDEX outbox_message ON outbox (message) WHERE state = 'pending';
