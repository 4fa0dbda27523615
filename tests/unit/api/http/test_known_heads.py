"""Heads that need not be parsed again."""

from __future__ import annotations

from statekeep.api.http.known_heads import (
    KNOWN_HEAD_BYTES_MAX,
    KNOWN_HEADS_MAX,
    Head,
    KnownHeads,
)

HEAD = Head("POST /machines/{machine}", ["", "machines", "door"], {b"content-length": b"2"})
BYTES = b"POST /machines/door HTTP/1.1\r\ncontent-length: 2\r\n\r\n"


def test_a_known_head_is_found_with_any_body_of_its_length() -> None:
    """And with no other."""
    known = KnownHeads()
    assert known.find(BYTES + b"{}") is None
    known.remember(BYTES + b"{}", HEAD, b"{}")
    assert known.find(BYTES + b"[]") == (HEAD, b"[]")
    for other in (
        BYTES,
        BYTES + b"{",
        BYTES + b"{} ",
        BYTES[:-4] + b"{}",
        b"",
        b"{}",
        b"\r\n\r\n{}",
    ):
        assert known.find(other) is None


def test_only_what_is_one_whole_request_is_remembered() -> None:
    """What came before the head, or after the body, is part of something else."""
    known = KnownHeads()
    for data in (BYTES + b"{}x", b"x", b"", b"GET / HTTP/1.1\r\n\r\n" + BYTES + b"{}", BYTES):
        known.remember(data, HEAD, b"{}")
    assert len(known) == 0


def test_what_is_remembered_is_bounded() -> None:
    """In number, and each in size."""
    known = KnownHeads()
    known.remember(b"x" * KNOWN_HEAD_BYTES_MAX + BYTES + b"{}", HEAD, b"{}")
    assert len(known) == 0
    for n in range(KNOWN_HEADS_MAX + 1):
        known.remember(b"%d%b{}" % (n, BYTES), HEAD, b"{}")
    assert len(known) == 1
    assert known.find(b"%d%b{}" % (KNOWN_HEADS_MAX, BYTES)) is not None
