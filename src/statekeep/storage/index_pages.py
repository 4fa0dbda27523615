"""Pages of an index, alike in every store.

The entries of an index stand in the order of their places: (value, instance number). What a filter admits is one range of places, or two where a value is left out; a
page is read from the first of them on. A cursor names the last place of its page, so that an entry which stays where it is appears once, whatever moves meanwhile. It
carries a digest of the query: one made for another is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, NamedTuple

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.index import Comparison, IndexQuery

_DIGEST_BYTES: Final = 8
_NUMBER_BYTES: Final = 8
_LAST_NUMBER: Final = 2**63 - 1


class Place(NamedTuple):
    """Where an entry stands. A value in bytes is past every text: SQLite sees it so too."""

    value: str | bytes
    instance_id: int


class PlaceRange(NamedTuple):
    """The places between two that do not belong to it."""

    low: Place
    high: Place


FIRST: Final = Place("", -1)
LAST: Final = Place(b"", 0)


def ranges_of(query: IndexQuery, cursor: str | None) -> list[PlaceRange]:
    """What is still to be read, in the order of the query. Raises InvalidParameter for a cursor that is not of this query."""
    ranges = _admitted(query)
    if query.is_descending:
        ranges.reverse()
    if cursor is None:
        return ranges
    place = place_in(cursor, query)
    return [rest for one in ranges for rest in _past(place, one, query.is_descending)]


def cursor_after(query: IndexQuery, place: Place) -> str:
    """Asks for what follows a place."""
    assert isinstance(place.value, str)
    number = place.instance_id.to_bytes(_NUMBER_BYTES, "big")
    return base64.urlsafe_b64encode(_digest(query) + number + place.value.encode()).decode()


def place_in(cursor: str, query: IndexQuery) -> Place:
    """The place that a cursor names. Raises InvalidParameter for one that is not of this query."""
    try:
        packed = base64.b64decode(cursor, altchars=b"-_", validate=True)
        digest, rest = packed[:_DIGEST_BYTES], packed[_DIGEST_BYTES:]
        number = int.from_bytes(rest[:_NUMBER_BYTES], "big")
        value = rest[_NUMBER_BYTES:].decode()
    except (ValueError, binascii.Error):
        raise InvalidParameter("this is no cursor", parameter="cursor") from None
    if digest != _digest(query) or len(rest) < _NUMBER_BYTES or number > _LAST_NUMBER:
        raise InvalidParameter("this cursor belongs to another query", parameter="cursor")
    return Place(value, number)


def _admitted(query: IndexQuery) -> list[PlaceRange]:
    """In ascending order."""
    if query.filter is None:
        return [PlaceRange(FIRST, LAST)]
    before, after = Place(query.filter.value, -1), Place(query.filter.value, _LAST_NUMBER)
    match query.filter.comparison:
        case Comparison.EQUAL:
            return [PlaceRange(before, after)]
        case Comparison.NOT_EQUAL:
            return [PlaceRange(FIRST, before), PlaceRange(after, LAST)]
        case Comparison.GREATER:
            return [PlaceRange(after, LAST)]
        case Comparison.GREATER_OR_EQUAL:
            return [PlaceRange(before, LAST)]
        case Comparison.LESS:
            return [PlaceRange(FIRST, before)]
        case Comparison.LESS_OR_EQUAL:
            return [PlaceRange(FIRST, after)]


def _past(place: Place, one: PlaceRange, is_descending: bool) -> list[PlaceRange]:
    """What of a range is past a place: nothing, a part, or all."""
    if is_descending:
        return (
            [PlaceRange(one.low, min(one.high, place, key=_rank))]
            if _is_before(one.low, place)
            else []
        )
    return (
        [PlaceRange(max(one.low, place, key=_rank), one.high)]
        if _is_before(place, one.high)
        else []
    )


def _rank(place: Place) -> tuple[bool, str | bytes, int]:
    return (isinstance(place.value, bytes), *place)


def _is_before(one: Place, other: Place) -> bool:
    return _rank(one) < _rank(other)


def _digest(query: IndexQuery) -> bytes:
    # The limit may change from page to page.
    named = repr(query._replace(limit=0)).encode("utf-8", "surrogatepass")
    return hashlib.blake2s(named, digest_size=_DIGEST_BYTES).digest()
