"""What is in a snapshot, for those who do not know its form."""

from __future__ import annotations

from typing import Any, Protocol


class ReadContext(Protocol):
    """Finds the context in a snapshot."""

    def __call__(self, snapshot: bytes) -> Any:
        """The context as Python's values of JSON, with strings that can be encoded. Raises TooLarge where it is nested too deeply to be read."""
        ...
