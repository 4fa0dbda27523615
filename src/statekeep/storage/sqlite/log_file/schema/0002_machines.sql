-- Machines keep their entries for times of their own, and are asked for by name.
CREATE INDEX entries_by_machine ON entries (organization_id, machine, ts);
