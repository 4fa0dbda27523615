-- From one version of a machine to another.
CREATE TABLE migrations (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  -- Numbers of versions. No foreign key, as they go with the machine only.
  from_version INTEGER NOT NULL,
  to_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  code_hash BLOB NOT NULL
) STRICT;

CREATE INDEX migrations_of_machine ON migrations (machine_id);

CREATE TABLE migration_modules (
  migration INTEGER PRIMARY KEY REFERENCES migrations (number) ON DELETE CASCADE,
  deflated BLOB NOT NULL
) STRICT;

-- The versions that instances had: `version` made the states before `revision`.
CREATE TABLE upgrades (
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (instance_id, revision)
) STRICT, WITHOUT ROWID;
