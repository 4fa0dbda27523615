"""Errors as answers: the only place that turns codes into statuses."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from msgspec import UNSET

from statekeep.api.http.reply import Headers, Reply, json_reply
from statekeep.domain import errors
from statekeep.wire import codecs
from statekeep.wire.answers import Error

_log = structlog.get_logger(__name__)

STATUS_OF: Final[Mapping[type[errors.StatekeepError], int]] = {
    errors.InvalidParameter: 400,
    errors.NoMigrationPath: 400,
    errors.SpecifyOrganization: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.InvalidState: 409,
    errors.HistoryGone: 410,
    errors.TooLarge: 413,
    errors.IdempotencyMismatch: 422,
    errors.MachineError: 422,
    errors.TooManyRequests: 429,
    errors.HttpMappingFailed: 400,
    errors.HttpMappingTimeout: 504,
    # RFC 6749, 5.2.
    errors.ExchangeRefused: 400,
    errors.ComeBackLater: 503,
    errors.StatekeepError: 500,
}


def status_of(kind: type[errors.StatekeepError]) -> int:
    """The status of an error: its own, or that of the nearest error above it."""
    return next(STATUS_OF[base] for base in kind.__mro__ if base in STATUS_OF)


class ErrorAnswers:
    """Makes answers of errors. `new_incident_id` names what nobody expected, so that a report can be found in the log."""

    def __init__(self, new_incident_id: Callable[[], str] = lambda: secrets.token_hex(8)) -> None:
        self._new_incident_id = new_incident_id

    def status_of(self, error: BaseException) -> int:
        """That of the answer which `of` makes."""
        if isinstance(error, codecs.Malformed):
            return STATUS_OF[errors.InvalidParameter]
        return status_of(type(error)) if isinstance(error, errors.StatekeepError) else 500

    def of(self, error: Exception) -> Reply:
        """The answer to a request that ended in `error`. What is not one of ours is logged and told by its incident id only."""
        if isinstance(error, codecs.Malformed):
            error = errors.InvalidParameter(error.message, parameter=error.field)
        if isinstance(error, errors.StatekeepError):
            return _of_ours(error)
        return self._of_unexpected(error)

    def _of_unexpected(self, error: Exception) -> Reply:
        incident = self._new_incident_id()
        _log.error("request_failed", incident=incident, exc_info=error)
        body = Error(f"something went wrong here; the server's log has it as incident {incident}")
        return json_reply(500, codecs.encode(body))


def _of_ours(error: errors.StatekeepError) -> Reply:
    return json_reply(status_of(type(error)), codecs.encode(body_of(error)), _extra_headers(error))


def body_of(error: errors.StatekeepError) -> Error:
    """What the caller gets to know of it."""
    if isinstance(error, errors.ExchangeRefused | errors.IssuerUnavailable):
        assert error.code is not None
        # Clients of RFC 6749 read `error`; the official one reads `code`, and shows `error`.
        return Error(error.code, code=error.code, error_description=error.message)
    parameter = error.parameter if isinstance(error, errors.InvalidParameter) else None
    return Error(
        error.message,
        code=UNSET if error.code is None else error.code,
        parameter=UNSET if parameter is None else parameter,
    )


def _extra_headers(error: errors.StatekeepError) -> Headers:
    if isinstance(error, errors.ComeBackLater):
        return [(b"retry-after", b"%d" % error.retry_after_seconds)]
    if isinstance(error, errors.Unauthenticated):
        return [(b"www-authenticate", b'Bearer realm="statekeep"')]
    return []
