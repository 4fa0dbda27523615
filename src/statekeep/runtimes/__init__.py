"""Adapters of the runtime port: one protocol, one host process per version of a machine."""
