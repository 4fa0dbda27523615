"""Adapters of the notifier port."""
