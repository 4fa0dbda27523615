"""Steps of the Python client, taken without I/O: a test says what comes of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from statekeep.client.course import Course
from statekeep.client.steps import Emit

Respond = Callable[[Any], Any]
"""What comes of a step. An ApiError is thrown at the steps where it is raised."""


class Script:
    """A shell that does nothing but ask the test. `emitted` is what there was for an iterator."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.emitted: list[Any] = []

    def take(self, steps: Any) -> Any:
        """What the steps return."""
        course = Course[Any](steps)
        while (step := course.step()) is not None:
            if isinstance(step, Emit):
                self.emitted.append(step.value)
                continue
            with course.told_of_errors():
                course.tell(self._respond(step))
        return course.result
