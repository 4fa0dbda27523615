"""The reference: a store that keeps every promise but the one to survive."""
