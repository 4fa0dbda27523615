"""Adapters of the store. Each backend uses its own driver and no other backend; memory is the reference."""
