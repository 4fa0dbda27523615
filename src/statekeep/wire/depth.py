"""How deep JSON is nested, without decoding it."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

JSON_DEPTH_MAX: Final = 500
"""The same as `domain.limits` has, and for what is said there."""
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def is_too_deep(text: bytes, depth_max: int = JSON_DEPTH_MAX) -> bool:
    """Are there more than `depth_max` objects and lists around some value? Of what is no JSON any answer may be given."""
    # Nearly always there are not so many of them in all.
    if text.count(b"[") + text.count(b"{") <= depth_max:
        return False
    brackets = _STRING.sub(b"", text).translate(None, _OTHERS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > depth_max
