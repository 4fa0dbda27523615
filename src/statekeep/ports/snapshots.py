"""What is in a snapshot, for those who do not know its form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class ReadContext(Protocol):
    """Finds the context in a snapshot."""

    def __call__(self, snapshot: bytes) -> Any:
        """The context as Python's values of JSON, with strings that can be encoded. Raises TooLarge where it is nested too deeply to be read."""
        ...


class Place(NamedTuple):
    """A state node of a version, by the keys from the root. A history state is no place for an instance."""

    path: tuple[str, ...]
    is_history: bool = False


class ReadPlaces(Protocol):
    """Finds the states of a version in what `Runtime.describe` answers."""

    def __call__(self, outline: bytes) -> Sequence[Place]:
        """In document order, the root first."""
        ...


class ReadStateValue(Protocol):
    """Finds the state value in a snapshot."""

    def __call__(self, snapshot: bytes) -> bytes:
        """As the JSON that it is there: the same states in the same order are the same bytes."""
        ...


class ReadLeaves(Protocol):
    """Finds the innermost active states in a state value."""

    def __call__(self, value: bytes) -> Sequence[tuple[str, ...]]:
        """Their paths. A machine without states has one: the root."""
        ...


class WriteStub(Protocol):
    """Writes a migration for its author to finish."""

    def __call__(
        self, start: str, target: str, before: Sequence[Place], after: Sequence[Place]
    ) -> str:
        """TypeScript that carries over what is in both versions, and throws for each state that the second does not have."""
        ...
