"""Looks into the source map at the end of a module."""

from __future__ import annotations

import base64
import json
from typing import Any


def source_map_of(code: bytes) -> dict[str, Any]:
    """The map, decoded."""
    _, _, encoded = code.rstrip().rpartition(b"//# sourceMappingURL=data:application/json;base64,")
    found: dict[str, Any] = json.loads(base64.b64decode(encoded))
    return found


def sources_of(code: bytes) -> list[str]:
    """The names of the sources."""
    sources: list[str] = source_map_of(code)["sources"]
    return sources
