"""The HTTP API: one table of routes, served and described from it."""
