-- Columns have the names of what they hold.

ALTER TABLE outbox RENAME COLUMN lane TO priority;
