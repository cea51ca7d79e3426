-- How far an answer has come that takes more than a press; NULL: it has not begun.
ALTER TABLE request ADD COLUMN draft TEXT;
-- The message that reminded of it; NULL: none did.
ALTER TABLE request ADD COLUMN reminder INTEGER;

-- Whose next message in a chat, or in a topic of it, answers which request.
CREATE TABLE awaiting (
    chat   INTEGER NOT NULL,
    thread INTEGER NOT NULL,        -- 0: none
    user   INTEGER NOT NULL,
    nonce  TEXT NOT NULL UNIQUE,    -- one person writes the answer to a request
    since  INTEGER NOT NULL,        -- the row of the inbox with the press that asked for it
    PRIMARY KEY (chat, thread, user)
) STRICT;

-- Messages that are answers: never prompts, whatever becomes of the request meanwhile.
CREATE TABLE reply (
    inbox INTEGER PRIMARY KEY,
    nonce TEXT NOT NULL
) STRICT;
