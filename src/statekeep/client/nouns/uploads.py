"""Uploads of code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from statekeep.client.steps import File, Request, Steps, tell

_JAVASCRIPT: Final = "application/javascript"
_GZIP_MAGIC: Final = b"\x1f\x8b"


def upload(url: str, fields: Mapping[str, str], code: str | bytes) -> Steps[None]:
    """Send code to the address that the server gave for it. Gzipped code is told by its first bytes.

    A second upload replaces the first, so that it may be repeated.
    """
    content = code.encode() if isinstance(code, str) else code
    encoding = {"content-encoding": "gzip"} if content.startswith(_GZIP_MAGIC) else {}
    file = File(
        "code.js", content, _JAVASCRIPT, {**fields, "content-type": _JAVASCRIPT, **encoding}
    )
    return tell(Request("POST", url, file=file, is_authorized=False, is_repeatable=True))
