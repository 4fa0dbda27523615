-- Entries of instances in the indexes of their machines. Values are compared byte by byte, which for UTF-8 is the order of code points. The table is its own index:
-- every query walks a range of (value, instance_id), forwards or backwards.
CREATE TABLE index_entries (
  machine_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  instance_id INTEGER NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
  PRIMARY KEY (machine_id, name, value, instance_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX index_entries_of_instance ON index_entries (instance_id);

-- Fills that are not finished. A generation is the number of the version that began it; `names` is a JSON list of indexes, NULL for all of the machine.
CREATE TABLE index_fills (
  machine_id INTEGER PRIMARY KEY REFERENCES machines (id) ON DELETE CASCADE,
  generation INTEGER NOT NULL,
  names TEXT,
  position INTEGER NOT NULL DEFAULT 0,
  last INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Instances that were there before there were entries.
INSERT INTO index_fills (machine_id, generation) SELECT id, 0 FROM machines WHERE indexes <> '[]';
