"""The endpoints of machines, described. `http_api.py` of the folder above serves them: with any method, past this table."""

from __future__ import annotations

from typing import Final

from statekeep.api.http.route import Route
from statekeep.domain.errors import (
    HttpMappingFailed,
    HttpMappingTimeout,
    IdempotencyMismatch,
    InvalidParameter,
    InvalidState,
    MachineError,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
    TooLarge,
    TooManyRequests,
)

HTTP_API_PATH: Final = "/http-api/{organization}/machines/{machine}/{slug}"

_DESCRIPTION: Final = (
    "Needs no token: the handler that the machine's current version exports under this slug decides. It turns the request into an event"
    " for an instance, and the `responseMapper` makes the answer of what became of it: any status, headers and body. Methods other than"
    " those that are listed here are answered alike."
)


def _described(method: str) -> Route:
    return Route(
        method=method,
        path=HTTP_API_PATH,
        summary=f"Call an endpoint of a machine with {method}",
        tag="HTTP endpoints",
        description=_DESCRIPTION,
        is_public=True,
        takes_idempotency_key=True,
        errors=(
            HttpMappingFailed,
            HttpMappingTimeout,
            InvalidParameter,
            RejectedByMachineAuthorizer,
            NotFound,
            InvalidState,
            TooLarge,
            IdempotencyMismatch,
            MachineError,
            TooManyRequests,
            Overloaded,
        ),
    )


ROUTES: Final = tuple(
    _described(method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
)
