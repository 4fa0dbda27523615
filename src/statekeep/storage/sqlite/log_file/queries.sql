-- Of the file of log entries. Every query finds its rows by an index.

-- The columns are in the order of the fields of domain.log.LogEntry.
-- name: append
INSERT INTO entries (ts, organization_id, machine, instance, version, is_error, text, size)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: newest
SELECT newest FROM organizations WHERE id = :organization_id;

-- name: count_in
INSERT INTO organizations (id, newest, size) VALUES (:organization_id, :newest, :size)
ON CONFLICT (id) DO UPDATE SET newest = excluded.newest, size = size + excluded.size;

-- name: read
SELECT ts, organization_id, machine, instance, version, is_error, text, size FROM entries
WHERE organization_id = :organization_id AND ts > :after_ms AND ts <= :until_ms
  AND (:instance_name IS NULL OR instance = :instance_name)
  AND (:version_id IS NULL OR version = :version_id)
ORDER BY ts, number LIMIT :limit;

-- Left to itself SQLite takes two bounds of time for better than the name of a machine, and reads past all others' entries.
-- name: read_of_machine
SELECT ts, organization_id, machine, instance, version, is_error, text, size FROM entries INDEXED BY entries_by_machine
WHERE organization_id = :organization_id AND machine = :machine_name AND ts > :after_ms AND ts <= :until_ms
  AND (:instance_name IS NULL OR instance = :instance_name)
  AND (:version_id IS NULL OR version = :version_id)
ORDER BY ts, number LIMIT :limit;

-- name: organizations
SELECT id FROM organizations WHERE size > 0;

-- name: size
SELECT size FROM organizations WHERE id = :organization_id;

-- name: oldest
SELECT ts, size FROM entries WHERE organization_id = :organization_id ORDER BY ts, number LIMIT :limit;

-- name: remove_oldest
DELETE FROM entries WHERE number IN (
  SELECT number FROM entries WHERE organization_id = :organization_id ORDER BY ts, number LIMIT :limit
);

-- name: remove_oldest_of_machine
DELETE FROM entries WHERE number IN (
  SELECT number FROM entries WHERE organization_id = :organization_id AND machine = :machine_name AND ts < :before_ms
  ORDER BY ts, number LIMIT :limit
) RETURNING size;

-- name: count_out
UPDATE organizations SET size = size - :size WHERE id = :organization_id;
