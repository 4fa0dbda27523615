"""What the heads of hot requests were found to say. Clients send the same ones over and over, and the same bytes say the same: they are parsed once.

Nothing that depends on anything but those bytes is kept: who the caller is, and whether they are still good, is looked up for each request.
"""

from __future__ import annotations

from typing import Final, NamedTuple

KNOWN_HEADS_MAX: Final = 2_048
"""4 to 8 MB of those with five to twelve short headers, 30 MB where each has as many as there may be. Then they are collected anew."""
KNOWN_HEAD_BYTES_MAX: Final = 2 * 1024

_END: Final = b"\r\n\r\n"


class Head(NamedTuple):
    """The head of a request that HotRoutes takes."""

    route: str
    segments: list[str]
    """Of its path."""
    headers: dict[bytes, bytes]


class KnownHeads:
    """Heads by their bytes, each with the length of the body that it announces."""

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[Head, int]] = {}

    def __len__(self) -> int:
        return len(self._heads)

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body, where these bytes are one whole request with a known head."""
        end = data.find(_END) + len(_END)
        known = self._heads.get(data[:end])
        if known is None or len(data) - end != known[1]:
            return None
        return known[0], data[end:]

    def remember(self, data: bytes, head: Head, body: bytes) -> None:
        """A parser found this head and this body at the end of these bytes. Nothing where there is more in them, or less."""
        end = data.find(_END) + len(_END)
        if data[end:] != body or not len(_END) < end <= KNOWN_HEAD_BYTES_MAX:
            return
        if len(self._heads) >= KNOWN_HEADS_MAX:
            self._heads.clear()
        self._heads[data[:end]] = (head, len(body))
