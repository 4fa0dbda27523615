-- Jobs that carry many instances over to one version.
CREATE TABLE bulk_upgrades (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  machine_id INTEGER NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  -- Numbers of versions. No foreign key, as they go with the machine only.
  to_version INTEGER NOT NULL,
  -- Which instances: of this version, with such an entry in this index, with one of these names (a JSON list). NULL for whichever.
  from_version INTEGER,
  index_name TEXT,
  comparison TEXT,
  value TEXT,
  names TEXT,
  created_at INTEGER NOT NULL,
  status TEXT NOT NULL,
  reason TEXT,
  finished_at INTEGER,
  -- Instances up to `position` of those up to `last` have been selected.
  position INTEGER NOT NULL,
  last INTEGER NOT NULL
) STRICT;

CREATE INDEX bulk_upgrades_of_machine ON bulk_upgrades (machine_id);

CREATE INDEX running_bulk_upgrades ON bulk_upgrades (number) WHERE status = 'running';

-- One row for each instance of a job, from when it is selected.
CREATE TABLE bulk_upgrade_results (
  job INTEGER NOT NULL REFERENCES bulk_upgrades (number) ON DELETE CASCADE,
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  -- The number of the version that it had then.
  version INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  tries INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job, instance_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX bulk_upgrade_results_by_outcome ON bulk_upgrade_results (job, outcome, instance_id);

CREATE INDEX bulk_upgrade_results_of_instance ON bulk_upgrade_results (instance_id);
