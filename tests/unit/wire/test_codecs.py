from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statekeep.wire import codecs, requests

read_machine = codecs.decoder_for(requests.CreateMachine)


def test_fields_are_in_camel_case_and_unknown_ones_ignored() -> None:
    """As the published clients write them, and newer ones may."""
    body = b'{"danger": 1, "dangerDataWillBeDeletedForever": true}'
    read = codecs.decoder_for(requests.DeleteMachine)(body)
    assert read.danger_data_will_be_deleted_forever is True


def test_nothing_is_an_empty_object() -> None:
    """Clients send an empty body where all fields may be left out."""
    assert codecs.decoder_for(requests.PublishVersion)(b"") == requests.PublishVersion()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "slug"),
        (b'{"slug": 1}', "slug"),
        (b'{"slug": "x", "indexes": ["a", 2]}', "indexes"),
        (b"[]", None),
        (b"{", None),
        (b'{"slug": "\xff"}', None),
        (b"[" * 100_000, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_malformed_names_the_field(body: bytes, field: str | None) -> None:
    """Where there is one to name."""
    with pytest.raises(codecs.Malformed) as caught:
        read_machine(body)
    assert caught.value.field == field
    assert caught.value.message


@pytest.mark.parametrize(
    ("instant", "written"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=UTC), "2026-01-31T12:00:00.999Z"),
        (
            datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-30T23:00:00.000Z",
        ),
    ],
)
def test_timestamps_are_as_javascript_writes_them(instant: datetime, written: str) -> None:
    """Milliseconds always, UTC, a Z."""
    assert codecs.timestamp(instant) == written


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_read_to_the_millisecond_and_written_as_it_was(instant: datetime) -> None:
    """Over all the years that can be written: a float of seconds could not."""
    written = codecs.timestamp(instant)
    ms = codecs.milliseconds(written)
    assert ms is not None
    assert codecs.timestamp_of_milliseconds(ms) == written
    assert codecs.milliseconds(instant.isoformat()) == ms


@pytest.mark.parametrize("text", ["", "now", "-1h", "2026-13-01", "10000-01-01T00:00:00Z", "12:00"])
def test_what_is_no_instant_is_none(text: str) -> None:
    """Relative times are the command line's to resolve."""
    assert codecs.milliseconds(text) is None
