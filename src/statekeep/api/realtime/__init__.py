"""The realtime socket."""
