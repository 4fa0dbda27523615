"""Forms of type application/x-www-form-urlencoded, as pages and OAuth clients send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

FORM: Final = "application/x-www-form-urlencoded"
_FIELDS_MAX: Final = 20
"""RFC 8693 knows nine."""


def is_form(headers: Mapping[bytes, bytes]) -> bool:
    """Does the request say that its body is one?"""
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type == FORM.encode()


def read_form(body: bytes) -> dict[str, str]:
    """The fields; an empty one is none (RFC 6749, 3.2). Raises ValueError where it cannot be read or a field is there more than once."""
    pairs = parse_qsl(body.decode("ascii"), max_num_fields=_FIELDS_MAX, errors="strict")
    form = dict(pairs)
    if len(form) < len(pairs):
        raise ValueError("a field is there more than once")
    return form
