-- Of what Claude asks, where it worked then: from there its paths are told for as long as the message stands.
ALTER TABLE request ADD COLUMN folder TEXT NOT NULL DEFAULT '';
