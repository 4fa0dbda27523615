"""Named queries, read from a .sql file next to the code that runs them.

A query begins with a line `-- name: its_name` and ends where the next one begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_HEADING: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load_queries(package: str) -> Mapping[str, str]:
    """The queries in `queries.sql` of a package, by name. Raises ValueError where two have the same name."""
    text = files(package).joinpath("queries.sql").read_text(encoding="utf-8")
    # What stands before the first heading is about the file.
    _, *parts = _HEADING.split(text)
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) < len(names):
        raise ValueError(f"two queries of {package} have the same name")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}
