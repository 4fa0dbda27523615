-- Times of people's doings are microseconds since the epoch; those of instances are milliseconds with fractions, as clients see them.
-- What no statement compares is JSON. Lists are ordered by the number of their rows; those that others keep are never used again (AUTOINCREMENT).

CREATE TABLE organizations (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  allow_anonymous_access INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
  user_id TEXT NOT NULL REFERENCES users (id),
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  role TEXT NOT NULL,
  PRIMARY KEY (user_id, organization_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  sealed_secret BLOB NOT NULL
) STRICT;

CREATE INDEX keys_of_organization ON keys (organization_id);

-- An audience or issuer that matches any is '', as no two rows with NULL are alike. The unique pairs begin with the issuer: tokens name
-- one of those and any number of audiences.
CREATE TABLE identity_providers (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  audience TEXT NOT NULL,
  issuer TEXT NOT NULL,
  algorithms TEXT NOT NULL,
  jwks_url TEXT,
  sealed_key BLOB,
  mapping TEXT NOT NULL,
  UNIQUE (organization_id, issuer, audience)
) STRICT;

CREATE INDEX identity_providers_of_organization ON identity_providers (organization_id);

-- No foreign key to `keys`: a provider outlives its key, and is given another.
CREATE TABLE token_providers (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  service TEXT NOT NULL,
  key_id TEXT NOT NULL,
  mapping TEXT NOT NULL,
  UNIQUE (organization_id, service)
) STRICT;

CREATE INDEX token_providers_of_organization ON token_providers (organization_id);

CREATE TABLE machines (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  indexes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- A number of versions. No foreign key: it would make the removal of a version search all machines.
  current_version INTEGER,
  UNIQUE (organization_id, name)
) STRICT;

CREATE INDEX machines_of_organization ON machines (organization_id);

CREATE TABLE versions (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  client_info TEXT,
  index_selectors TEXT NOT NULL,
  xstate_major INTEGER NOT NULL,
  code_hash BLOB NOT NULL
) STRICT;

CREATE INDEX versions_of_machine ON versions (machine_id);

-- Apart from the versions, whose rows are read with every claim.
CREATE TABLE modules (
  version INTEGER PRIMARY KEY REFERENCES versions (number) ON DELETE CASCADE,
  deflated BLOB NOT NULL
) STRICT;

CREATE TABLE uploads (
  version_id TEXT NOT NULL PRIMARY KEY,
  code BLOB NOT NULL,
  is_gzipped INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_by_expiry ON uploads (expires_at);

-- What seldom changes about an instance.
CREATE TABLE instances (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  machine_id INTEGER NOT NULL REFERENCES machines (id),
  name TEXT NOT NULL,
  -- Numbers of versions, without a foreign key for the same reason as above. Versions go with their machine only, and that has to be empty.
  version INTEGER NOT NULL,
  desired_version INTEGER,
  status TEXT NOT NULL DEFAULT 'running',
  created_at INTEGER NOT NULL,
  UNIQUE (machine_id, name)
) STRICT;

CREATE INDEX instances_of_machine ON instances (machine_id);

-- What every event changes: where an instance stands. Small rows of their own, because a commit writes whole pages: with these columns
-- in `instances` a batch of commits took 1.7 times as long.
CREATE TABLE standings (
  instance_id INTEGER PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  journal_id INTEGER NOT NULL,
  next_timer_seq INTEGER NOT NULL,
  -- JSON list of the children that are owed an answer; NULL for none.
  due TEXT
) STRICT;

CREATE INDEX unsettled ON standings (instance_id) WHERE due IS NOT NULL;

-- Appended to by every event, so it has no other index: `standings` points at the newest entry of an instance, and each entry at the one
-- before. No foreign key either: the change of the standing in the same transaction proves that the instance exists.
CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  instance_id INTEGER NOT NULL,
  previous_id INTEGER,
  revision INTEGER NOT NULL,
  ts REAL NOT NULL,
  origin INTEGER NOT NULL,
  event BLOB NOT NULL,
  snapshot BLOB NOT NULL
) STRICT;

-- Newest entries of deleted instances. They are removed a few at a time, however long the journal.
CREATE TABLE orphaned_journals (
  journal_id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE timers (
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  send_id TEXT NOT NULL,
  due_at REAL NOT NULL,
  event BLOB NOT NULL,
  after BLOB,
  tries INTEGER NOT NULL,
  is_dead INTEGER NOT NULL,
  PRIMARY KEY (instance_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX living_timers ON timers (due_at, instance_id, seq) WHERE is_dead = 0;

-- Rows of their own and not WITHOUT ROWID: answers are large, and these are appended.
CREATE TABLE idempotency_keys (
  number INTEGER PRIMARY KEY,
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  body_hash BLOB NOT NULL,
  answer BLOB,
  expires_at REAL NOT NULL,
  UNIQUE (instance_id, key)
) STRICT;

CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
