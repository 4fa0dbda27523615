"""What an answer that is no success becomes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from statekeep.api.http.errors import ErrorAnswers, body_of
from statekeep.client import errors as client_errors
from statekeep.client.errors import ApiError, error_of
from statekeep.domain import errors
from statekeep.domain.errors import StatekeepError
from statekeep.wire import codecs

EXPECTED = {
    errors.InvalidParameter: client_errors.InvalidParameterError,
    errors.HttpMappingFailed: client_errors.ClientError,
    errors.HttpMappingTimeout: client_errors.ServerError,
    errors.NoMigrationPath: client_errors.NoMigrationPathError,
    errors.SpecifyOrganization: client_errors.OrgHeaderRequiredError,
    errors.Unauthenticated: client_errors.UnauthenticatedError,
    errors.Forbidden: client_errors.UnauthorizedError,
    errors.MissingScope: client_errors.MissingScopeError,
    errors.RejectedByMachineAuthorizer: client_errors.RejectedByMachineAuthorizerError,
    errors.MissingUser: client_errors.MissingUserError,
    errors.MissingOrganization: client_errors.MissingOrgError,
    errors.NotFound: client_errors.NotFoundError,
    errors.HistoryGone: client_errors.HistoryGoneError,
    errors.AlreadyExists: client_errors.AlreadyExistsError,
    errors.InvalidState: client_errors.InvalidStateError,
    errors.TooLarge: client_errors.TooLargeError,
    errors.IdempotencyMismatch: client_errors.IdempotencyMismatchError,
    errors.MachineError: client_errors.MachineError,
    errors.ExchangeRefused: client_errors.TokenExchangeError,
    errors.ComeBackLater: client_errors.OverloadedError,
    errors.TooManyRequests: client_errors.TooManyRequestsError,
    errors.StatekeepError: client_errors.ServerError,
}


def kinds_below(kind: type[StatekeepError]) -> Iterator[type[StatekeepError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from kinds_below(child)


@pytest.mark.parametrize("kind", [*kinds_below(StatekeepError)], ids=lambda kind: kind.__name__)
def test_every_error_of_the_server_has_a_class(kind: type[StatekeepError]) -> None:
    """And keeps its message, its status and its code."""
    error = kind("it went wrong")
    body = codecs.encode(body_of(error))
    status = ErrorAnswers().status_of(error)
    told = error_of(status, body)
    assert type(told) is next(EXPECTED[base] for base in kind.__mro__ if base in EXPECTED)
    assert (str(told), told.status, told.code) == ("it went wrong", status, error.code)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ApiError),
        (400, client_errors.ClientError),
        (404, client_errors.NotFoundError),
        (409, client_errors.ConflictError),
        (418, ApiError),
        (502, client_errors.ServerError),
        (503, client_errors.OverloadedError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>\xff", b"[]", b'{"error":"x","code":"brand-new"}'])
def test_what_nobody_knows_counts_by_its_status(
    status: int, kind: type[ApiError], body: bytes
) -> None:
    """The page of a proxy, or a code that is newer than the client."""
    assert type(error_of(status, body)) is kind


def test_details_of_an_error() -> None:
    """The parameter, and when to come back."""
    body = msgspec.json.encode({"error": "x", "code": "invalid-parameter", "parameter": "slug"})
    assert error_of(400, body).parameter == "slug"
    assert error_of(429, b"{}", retry_after="7").retry_after_seconds == 7
    assert error_of(429, b"{}", retry_after="Wed, 21 Oct 2026").retry_after_seconds is None
