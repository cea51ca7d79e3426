-- Of /cwd, which folder it means, from the moment it may be changed: a relative path means another one afterwards.
ALTER TABLE inbox ADD COLUMN folder TEXT;
