"""What can be measured."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """A way to load a server. They come in this order."""

    SINGLE = "single"
    """Events to one instance, one after the other."""
    MANY = "many"
    """Events to many instances at once."""
    HOT = "hot"
    """Events to one instance at once."""
    CREATE = "create"
    """New instances at once."""

    @property
    def is_about_one(self) -> bool:
        """Do all its events go to the same instance?"""
        return self in (Phase.SINGLE, Phase.HOT)
