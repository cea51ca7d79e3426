-- Topics that are gone, groups that have another id, and what Telegram shows of each message.

CREATE TABLE topic (
    chat   INTEGER NOT NULL,
    thread INTEGER NOT NULL,
    name   TEXT,                        -- where it was heard
    gone   INTEGER NOT NULL DEFAULT 0,  -- deleted or closed: nothing is sent there
    PRIMARY KEY (chat, thread)
) STRICT;

-- Groups that have become supergroups.
CREATE TABLE moved (
    chat   INTEGER PRIMARY KEY,
    target INTEGER NOT NULL
) STRICT;

ALTER TABLE outbox ADD COLUMN thread INTEGER;                        -- the topic that it is for
ALTER TABLE message ADD COLUMN thread INTEGER;
ALTER TABLE message ADD COLUMN diverted INTEGER NOT NULL DEFAULT 0;  -- it is elsewhere, as its place is gone
ALTER TABLE message ADD COLUMN shown TEXT;                           -- what Telegram shows; NULL: not known for sure
