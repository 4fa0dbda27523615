"""Which part of the context fills which index of a machine."""

from __future__ import annotations

from collections.abc import Mapping

import jsonpath

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import INDEX_SELECTOR_LENGTH_MAX
from statekeep.domain.machine import Machine, MachineVersion


def merge_selectors(
    machine: Machine, current: MachineVersion | None, named: Mapping[str, str]
) -> dict[str, str]:
    """The selectors of a new version: those named, and for each other index the current version's.

    Raises InvalidParameter where the machine has no such index or a selector is no JSONPath.
    """
    for index, selector in named.items():
        if index not in machine.indexes:
            raise InvalidParameter(
                f"machine {machine.name} has no index {index}", parameter="indexSelectors"
            )
        _require_jsonpath(index, selector)
    kept = {} if current is None else current.index_selectors
    return {**kept, **named}


def _require_jsonpath(index: str, selector: str) -> None:
    if len(selector) > INDEX_SELECTOR_LENGTH_MAX:
        raise InvalidParameter(
            f"the selector of {index} is longer than {INDEX_SELECTOR_LENGTH_MAX} characters",
            parameter="indexSelectors",
        )
    try:
        jsonpath.compile(selector)
    except (jsonpath.JSONPathError, ArithmeticError, ValueError, RecursionError) as error:
        # The library's messages go on with a drawing of where the error is.
        why = str(error).partition("\n")[0]
        raise InvalidParameter(
            f"the selector of {index} is no JSONPath: {why}", parameter="indexSelectors"
        ) from error
