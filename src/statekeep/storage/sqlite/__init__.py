"""The store on one machine: one SQLite file, possessed by one process."""
