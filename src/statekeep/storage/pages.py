"""Pages of lists and the cursors between them, alike in every store.

Lists run from the newest item to the oldest, by a number that each item keeps. A cursor names the item with which the next page begins, so what
is added meanwhile is never on a later page. It also carries a digest of the list it belongs to: one made for another list is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from typing import Final, TypeVar

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import PAGE_SIZE
from statekeep.ports.pages import Page

Item = TypeVar("Item")

NEWEST: Final = 2**63 - 1
"""Where a list begins that is read without a cursor."""
ROWS_MAX: Final = PAGE_SIZE + 1
"""What has to be read for one page: the item beyond it tells that there is another, and where that begins."""

_LAYOUT: Final = struct.Struct(">4sq")


def first_number(cursor: str | None, listing: str) -> int:
    """The number of the item that the page begins with, unless that is gone.

    Raises InvalidParameter for a cursor that did not come from `listing`.
    """
    if cursor is None:
        return NEWEST
    try:
        digest, number = _LAYOUT.unpack(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, struct.error):
        raise InvalidParameter("this is no cursor", parameter="cursor") from None
    if digest != _digest(listing):
        raise InvalidParameter("this cursor belongs to another list", parameter="cursor")
    return int(number)


def page_of(numbered: Sequence[tuple[int, Item]], listing: str) -> Page[Item]:
    """A page of up to ROWS_MAX items, each with its number, newest first."""
    items = [item for _, item in numbered[:PAGE_SIZE]]
    if len(numbered) <= PAGE_SIZE:
        return Page(items, None)
    packed = _LAYOUT.pack(_digest(listing), numbered[PAGE_SIZE][0])
    return Page(items, base64.urlsafe_b64encode(packed).decode())


def _digest(listing: str) -> bytes:
    return hashlib.blake2s(listing.encode(), digest_size=4).digest()
