"""Steps under way: what both shells do with a generator of steps between one step and the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from statekeep.client.errors import ApiError
from statekeep.client.steps import Emits, Steps

T = TypeVar("T")


class Course(Generic[T]):
    """Where one is in a generator of steps."""

    result: T
    """What the steps have returned, once there is none left."""

    def __init__(self, steps: Steps[T] | Emits[Any]) -> None:
        self._steps: Any = steps
        self._resume: Callable[[], Any] = partial(next, self._steps)

    def step(self) -> Any:
        """The next step, or None where there is none left."""
        resume, self._resume = self._resume, partial(next, self._steps)
        try:
            return resume()
        except StopIteration as end:
            self.result = end.value
            return None

    def tell(self, outcome: object) -> None:
        """What came of the last step."""
        self._resume = partial(self._steps.send, outcome)

    @contextmanager
    def told_of_errors(self) -> Iterator[None]:
        """Around a step: the steps get to know of an ApiError, and may go on."""
        try:
            yield
        except ApiError as error:
            # How a step was taken is the same for all: what is of use to a reader are their own lines and the operation's.
            self._resume = partial(self._steps.throw, error.with_traceback(None))
