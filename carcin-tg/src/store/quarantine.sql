-- The table has the name of what it does.

ALTER TABLE aside RENAME TO quarantine;
