-- Both are there for dead letters only, which are listed by machine, those that died last first.
ALTER TABLE timers ADD COLUMN machine_id INTEGER;
ALTER TABLE timers ADD COLUMN died INTEGER;

UPDATE timers SET machine_id = dead.machine_id, died = dead.number
FROM (
  SELECT timers.instance_id, timers.seq, instances.machine_id, row_number() OVER (ORDER BY due_at) AS number
  FROM timers JOIN instances ON instances.id = timers.instance_id WHERE timers.is_dead = 1
) AS dead
WHERE timers.instance_id = dead.instance_id AND timers.seq = dead.seq;

CREATE INDEX dead_letters ON timers (machine_id, died) WHERE died IS NOT NULL;
