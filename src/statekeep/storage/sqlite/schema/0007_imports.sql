-- Machines that are being imported. Until they are published their rows in `machines` have names that nobody can ask for, and what finds instances by anything
-- but the name of their machine looks here first. Empty but for the time of an import.
CREATE TABLE staged_machines (
  machine_id INTEGER PRIMARY KEY REFERENCES machines (id) ON DELETE CASCADE,
  import_id TEXT NOT NULL,
  name TEXT NOT NULL
) STRICT;
