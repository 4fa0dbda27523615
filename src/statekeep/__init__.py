"""Statekeep: durable state machines, self-hosted.

Nothing is imported here, so that a part of the package can be used without paying for the rest.
"""

from importlib.metadata import version

__version__ = version("statekeep")
