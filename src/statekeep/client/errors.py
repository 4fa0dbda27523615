"""What can go wrong between a client and its server. Names and tree are those of `@statebacked/client`, with what it does not know added.

ApiError
├── ClientError                        400: the request is wrong
│   ├── InvalidParameterError              `parameter` names what
│   ├── OrgHeaderRequiredError             a member of several organizations did not say which one
│   ├── NoMigrationPathError
│   └── TokenExchangeError                 no token is given for this one
├── UnauthenticatedError               401: no token, or a bad one
├── UnauthorizedError                  403: the caller is known and may not
│   ├── MissingScopeError
│   ├── RejectedByMachineAuthorizerError
│   ├── MissingUserError
│   └── MissingOrgError
├── NotFoundError                      404: absent, or of another organization
├── ConflictError                      409
│   ├── AlreadyExistsError
│   └── InvalidStateError                  right request, wrong moment
├── HistoryGoneError                   410: it happened, and is not kept any more
├── TooLargeError                      413
├── UnprocessableError                 422
│   ├── MachineError                       the author's code threw, looped or died; nothing changed
│   └── IdempotencyMismatchError           an idempotency key was used before for something else
├── TooManyRequestsError               429: this caller has to slow down
├── ServerError                        500 and above
│   └── OverloadedError                    503: nothing was done, and later it may be
├── UnreadableAnswerError              it is no answer of a Statekeep server
└── ConnectionFailedError              there is no answer: nobody knows what the server did
    └── NotConnectedError                  ... but that it never got the request
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec


class ApiError(Exception):
    """Root of all errors of a client. `status` and `code` are those of the answer, where there is one; `message` is for people."""

    of_status: ClassVar[int | None] = None
    of_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        parameter: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.parameter = parameter
        self.retry_after_seconds = retry_after_seconds


class ClientError(ApiError):
    """The request is wrong; nothing changed."""

    of_status = 400


class InvalidParameterError(ClientError):
    """`parameter` names what is wrong, where it is one thing."""

    of_code = "invalid-parameter"


class OrgHeaderRequiredError(ClientError):
    """The caller is a member of several organizations: give the client an `org_id`."""

    of_code = "specify-org"


class NoMigrationPathError(ClientError):
    """No chain of migrations leads from the instance's version to the wanted one."""

    of_code = "no-migration-path"


class TokenExchangeError(ClientError):
    """A token is not taken in exchange. `code` is that of RFC 6749, 5.2 or RFC 8693, 2.2.2."""


class UnauthenticatedError(ApiError):
    """No token, or one that proves nothing."""

    of_status = 401


class UnauthorizedError(ApiError):
    """The caller is known and may not."""

    of_status = 403


class MissingScopeError(UnauthorizedError):
    """The caller's key or role lacks the scope that the request needs."""

    of_code = "missing-scope"


class RejectedByMachineAuthorizerError(UnauthorizedError):
    """The machine's `allowRead` or `allowWrite` did not answer true."""

    of_code = "rejected-by-machine-authorizer"


class MissingUserError(UnauthorizedError):
    """The request needs a member's session; a key is nobody."""

    of_code = "missing-user"


class MissingOrgError(UnauthorizedError):
    """The caller belongs to no organization, or not to the one it named."""

    of_code = "missing-org"


class NotFoundError(ApiError):
    """There is no such thing, or it belongs to another organization."""

    of_status = 404


class ConflictError(ApiError):
    """Not as things are now."""

    of_status = 409


class AlreadyExistsError(ConflictError):
    """The name is taken."""

    of_code = "already-exists"


class InvalidStateError(ConflictError):
    """Not now: the instance is paused, the machine still has instances, or there are as many as there may be."""

    of_code = "invalid-state"


class HistoryGoneError(ApiError):
    """Transitions that somebody wants to go on from are not kept any more. The message says from where one can go on."""

    of_status = 410


class TooLargeError(ApiError):
    """A bound was exceeded; nothing changed."""

    of_status = 413


class UnprocessableError(ApiError):
    """The request was understood and could not be followed; nothing changed."""

    of_status = 422


class MachineError(UnprocessableError):
    """The author's code threw, looped or took its process down: the event failed and nothing changed. The logs have the stack."""

    of_code = "machine-error"


class IdempotencyMismatchError(UnprocessableError):
    """The idempotency key was used before with another body."""

    of_code = "idempotency-key-reused"


class TooManyRequestsError(ApiError):
    """The caller's rate is used up. After `retry_after_seconds` there is room again."""

    of_status = 429


class ServerError(ApiError):
    """The server, or what stands before it, failed."""


class OverloadedError(ServerError):
    """Load was shed, or the server is starting or stopping. Nothing was done."""

    of_status = 503


class UnreadableAnswerError(ApiError):
    """What came is no answer of a Statekeep server: another program is at this address, or something stands in between."""


class ConnectionFailedError(ApiError):
    """The connection was lost, or the answer did not come in time. Nobody knows whether the request was carried out."""


class NotConnectedError(ConnectionFailedError):
    """No connection came about, so that the server never saw the request."""


class _Body(msgspec.Struct):
    """An error as the server writes it; RFC 6749, 5.2 for `/tokens`."""

    error: str
    code: str | None = None
    parameter: str | None = None
    error_description: str | None = None


def error_of(status: int, body: bytes, *, retry_after: str | None = None) -> ApiError:
    """The error that an answer stands for. What is no JSON of ours, as the page of a proxy, counts by its status."""
    try:
        told = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = _Body(f"the server answered with status {status}")
    is_of_oauth = status == ClientError.of_status and told.error_description is not None
    kind = TokenExchangeError if is_of_oauth else kind_of(status, told.code)
    return kind(
        told.error_description or told.error,
        status=status,
        code=told.code,
        parameter=told.parameter,
        retry_after_seconds=_seconds(retry_after),
    )


def kind_of(status: int, code: str | None) -> type[ApiError]:
    """The narrowest class for a status and a code, which may be newer than this client."""
    general = next((kind for kind in ApiError.__subclasses__() if kind.of_status == status), None)
    if general is None:
        server_error = OverloadedError if status == OverloadedError.of_status else ServerError
        return server_error if status >= 500 else ApiError
    narrow = (kind for kind in _below(general) if code is not None and kind.of_code == code)
    return next(narrow, general)


def _below(kind: type[ApiError]) -> Iterator[type[ApiError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _seconds(retry_after: str | None) -> float | None:
    # RFC 9110, 10.2.3 allows a date too. Ours are seconds, and a date of a proxy is only a hint.
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
