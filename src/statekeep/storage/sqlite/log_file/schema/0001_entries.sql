-- Timestamps are milliseconds since the epoch. Rows are appended, and removed from the oldest on.

CREATE TABLE entries (
  number INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  ts INTEGER NOT NULL,
  machine TEXT NOT NULL,
  instance TEXT,
  version TEXT NOT NULL,
  is_error INTEGER NOT NULL,
  size INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;

CREATE INDEX entries_by_time ON entries (organization_id, ts);

-- What is kept of each organization. The newest timestamp stays when the entries go: it must not be given out again.
CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  newest INTEGER NOT NULL,
  size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
