"""What a shell is: one that blocks, or one that awaits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Protocol, TypeVar

from statekeep.client.steps import Emits, Steps

T = TypeVar("T")


class Blocking(Protocol):
    """Blocks until the steps are taken."""

    def take(self, steps: Steps[T]) -> T:
        """What they return. Raises the ApiError that they raise."""
        ...

    def iterate(self, steps: Emits[T]) -> Generator[T, None, None]:
        """What they emit. Whatever was opened for them is closed when the iterator is."""
        ...


class Awaiting(Protocol):
    """Awaits them."""

    async def take(self, steps: Steps[T]) -> T:
        """What they return. Raises the ApiError that they raise."""
        ...

    def iterate(self, steps: Emits[T]) -> AsyncGenerator[T, None]:
        """What they emit. Whatever was opened for them is closed when the iterator is."""
        ...
