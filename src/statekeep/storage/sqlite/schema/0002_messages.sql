-- Messages to other instances are timers of their sender. JSON of what is not the same for all; NULL for timers of the instance itself.
ALTER TABLE timers ADD COLUMN message TEXT;
-- Messages that led to this one, without a pause.
ALTER TABLE timers ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
-- Why the last delivery failed.
ALTER TABLE timers ADD COLUMN failure TEXT;
