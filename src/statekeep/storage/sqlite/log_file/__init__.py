"""The file of log entries: beside the database, so that no commit of events ever waits for an entry (docs/decisions/0007)."""
