-- Which file a message has, so that an edit that changes nothing else is noticed. NULL: from before; empty: none.
ALTER TABLE inbox ADD COLUMN media TEXT;
