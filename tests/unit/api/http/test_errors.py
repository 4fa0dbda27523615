from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from statekeep.api.http.errors import ErrorAnswers, status_of
from statekeep.domain import errors
from statekeep.wire.codecs import Malformed


def every_error(root: type[errors.StatekeepError]) -> Iterator[type[errors.StatekeepError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from every_error(kind)


def said(kind: type[errors.StatekeepError]) -> dict[str, str | None]:
    """A token exchange is refused as OAuth wants it (RFC 6749, 5.2)."""
    if issubclass(kind, errors.ExchangeRefused | errors.IssuerUnavailable):
        return {"error": kind.code, "error_description": "what is wrong"}
    return {"error": "what is wrong"}


@pytest.mark.parametrize("kind", list(every_error(errors.StatekeepError)))
def test_every_error_has_a_status_and_shows_its_message(
    kind: type[errors.StatekeepError],
) -> None:
    """No error of ours is unexpected."""
    reply = ErrorAnswers().of(kind("what is wrong"))
    body = msgspec.json.decode(reply.body)
    # Beside load that was shed, only code of an author's that is too slow is not the sender's affair.
    is_ours = issubclass(kind, errors.ComeBackLater | errors.HttpMappingTimeout)
    code = {} if kind.code is None else {"code": kind.code}
    assert reply.status == status_of(kind) < 500 or is_ours
    assert body == {**code, **said(kind)}
    assert (b"content-length", b"%d" % len(reply.body)) in reply.headers


@pytest.mark.parametrize("kind", list(every_error(errors.ComeBackLater)))
def test_who_may_come_back_is_told_when(kind: type[errors.ComeBackLater]) -> None:
    """In the header that clients know; where nobody says when, it is a second."""
    for error, seconds in ((kind("later", retry_after_seconds=7), b"7"), (kind("later"), b"1")):
        assert (b"retry-after", seconds) in ErrorAnswers().of(error).headers


def test_the_wrong_parameter_is_named() -> None:
    """Also where the body did not even have the right shape."""
    for error in (
        errors.InvalidParameter("no", parameter="slug"),
        errors.InvalidCode("no", parameter="slug"),
        Malformed("no", field="slug"),
    ):
        reply = ErrorAnswers().of(error)
        assert reply.status == 400
        assert msgspec.json.decode(reply.body)["parameter"] == "slug"


def test_the_authors_stack_stays_inside() -> None:
    """It is for the logs."""
    reply = ErrorAnswers().of(errors.MachineError("it threw", stack="at author.js:1"))
    assert b"author.js" not in reply.body


def test_incidents_have_names_nobody_can_count() -> None:
    """Two failures, two names; neither tells anything."""
    bodies = {ErrorAnswers().of(RuntimeError("secret")).body for _ in range(2)}
    assert len(bodies) == 2
    assert not any(b"secret" in body for body in bodies)
