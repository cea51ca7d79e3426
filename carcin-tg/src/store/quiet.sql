-- Chats in which Telegram wants silence, also of the program that is started next.
CREATE TABLE quiet (
    chat  INTEGER PRIMARY KEY,
    until INTEGER NOT NULL      -- of the wall clock
) STRICT;
