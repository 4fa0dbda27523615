-- JSON; NULL for whatever the server does by default.
ALTER TABLE machines ADD COLUMN retention TEXT;

-- Where journals begin that do not begin with the first entry any more: of the oldest entry that is kept.
CREATE TABLE journal_cuts (
  instance_id INTEGER PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  ts REAL NOT NULL
) STRICT;
