"""The OpenAPI 3.1 document, made of the table of routes. It describes all that is served but itself and pages for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from statekeep.api.http.errors import status_of
from statekeep.api.http.route import Route
from statekeep.domain.errors import (
    InvalidParameter,
    MissingOrganization,
    MissingScope,
    SpecifyOrganization,
    StatekeepError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)
from statekeep.domain.limits import IDEMPOTENCY_KEY_LENGTH_MAX
from statekeep.wire.answers import Error
from statekeep.wire.fields import (
    INSTANCE_NAME_PATTERN,
    INVITATION_CODE_PATTERN,
    MACHINE_NAME_PATTERN,
)

Document = dict[str, Any]

_REASONS: Final = {
    101: "The protocol is WebSocket from here on.",
    200: "Done.",
    201: "Done.",
    204: "Done.",
    400: "Something in the request is wrong; `parameter` names it.",
    401: "No token, or a bad one.",
    403: "The caller may not.",
    404: "There is no such thing, or it belongs to another organization.",
    409: "Not now, or the name is taken.",
    410: "What was asked for is not kept any more.",
    413: "Too large; nothing changed.",
    422: "The author's code failed, or an idempotency key was used for something else; nothing changed.",
    429: "Too many requests of this caller. Come back after `Retry-After` seconds.",
    500: "The server failed. Its log has the incident.",
    503: "Not now. Come back after `Retry-After` seconds.",
    504: "The author's code did not answer in time.",
}
_PATH_PARAMETERS: Final = {
    "machine": ("Name of the machine.", MACHINE_NAME_PATTERN),
    "instance": ("Name of the instance.", INSTANCE_NAME_PATTERN),
    "index": ("Name of the index.", MACHINE_NAME_PATTERN),
    "signed": ("The `machineVersionId` of the answer that began the version.", None),
    "version": ("Id of the version.", None),
    "upgrade": ("Id of the bulk upgrade.", None),
    "run": ("Id of the dry run.", None),
    "token": ("What the answer that began the version says.", None),
    "key": ("Id of the key.", None),
    "user": ("Id of the member.", None),
    "id": ("Id of the invitation.", None),
    "invitation": ("The code of the invitation.", INVITATION_CODE_PATTERN),
    "session": ("Id of the session.", None),
    "service": ("Name of the token provider.", INSTANCE_NAME_PATTERN),
    "organization": ("Id of the organization.", None),
    "slug": ("A key of the `httpApiMapper` of the machine's current version.", None),
    "letter": ("Id of the dead letter.", None),
}
_CALLER_ERRORS: Final = (Unauthenticated, MissingOrganization, InvalidParameter, TooManyRequests)
_ORGANIZATION_ERRORS: Final = (SpecifyOrganization, MissingScope)


def describe(routes: Sequence[Route], *, version: str, server_url: str | None = None) -> Document:
    """The document that describes `routes`."""
    shapes = _shapes(routes)
    _, schemas = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Statekeep",
            "version": version,
            "summary": "Durable state machines over HTTP.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        **({} if server_url is None else {"servers": [{"url": server_url}]}),
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": _paths(routes),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token signed with an API key, or the session of a member.",
                }
            },
        },
    }


def _shapes(routes: Iterable[Route]) -> list[Any]:
    used = [shape for route in routes for shape in (route.request, route.answer) if shape]
    return [*dict.fromkeys(used), Error]


def _paths(routes: Iterable[Route]) -> Document:
    paths: Document = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> Document:
    operation: Document = {
        "operationId": _operation_id(route),
        "tags": [route.tag],
        "summary": route.summary,
        "description": _description(route),
        "parameters": _parameters(route),
        "responses": _responses(route),
        "security": [] if route.is_public else [{"token": []}],
    }
    content = _request_content(route)
    if content:
        operation["requestBody"] = {"required": not route.is_body_optional, "content": content}
    if not operation["description"]:
        del operation["description"]
    return operation


def _request_content(route: Route) -> Document:
    if route.form is not None:
        return {route.form_type: {"schema": route.form}}
    if route.request is not None:
        return {"application/json": {"schema": _reference(route.request)}}
    return {}


def _operation_id(route: Route) -> str:
    words = route.summary.split()
    return words[0].lower() + "".join(word.capitalize() for word in words[1:])


def _description(route: Route) -> str:
    scopes = [f"`{scope}`" for scope in (route.scope, *route.more_scopes) if scope]
    named = " and ".join(filter(None, (", ".join(scopes[:-1]), *scopes[-1:])))
    scope = f"Needs the scope{'s' if len(scopes) > 1 else ''} {named}." if scopes else ""
    return "\n\n".join(filter(None, (route.description, scope)))


def _parameters(route: Route) -> list[Document]:
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", route.path)]
    parameters += [
        {
            "name": parameter.name,
            "in": "query",
            "description": parameter.description,
            **(
                {"required": True, "schema": {"type": "string", "format": "date-time"}}
                if parameter.is_required
                else {"allowEmptyValue": True, "schema": {"type": "string"}}
            ),
        }
        for parameter in route.query
    ]
    if not route.is_public:
        parameters += _CALLER_HEADERS
    if route.takes_idempotency_key:
        parameters.append(_IDEMPOTENCY_KEY)
    return parameters


def _path_parameter(name: str) -> Document:
    description, pattern = _PATH_PARAMETERS[name]
    schema = {"type": "string", "minLength": 1, **({"pattern": pattern} if pattern else {})}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


_CALLER_HEADERS: Final = [
    {
        "name": "x-statebacked-org-id",
        "in": "header",
        "description": "The organization that is meant; needed by members of several.",
        "schema": {"type": "string", "pattern": "^(org_[A-Za-z0-9_-]{22})?$"},
    },
    {
        "name": "x-statebacked-act",
        "in": "header",
        "description": "Claims of the end user for whom the caller acts; for callers that could make a key.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
]
_IDEMPOTENCY_KEY: Final = {
    "name": "idempotency-key",
    "in": "header",
    "description": "Any text that is this event's alone.",
    "schema": {
        "type": "string",
        "pattern": rf"^[!-~]{{1,{IDEMPOTENCY_KEY_LENGTH_MAX}}}$",
    },
}


def _responses(route: Route) -> Document:
    responses: Document = {str(route.status): _success(route)}
    errors = _errors(route)
    for status in sorted({status_of(kind) for kind in errors} | {500}):
        codes = {kind.code for kind in errors if kind.code and status_of(kind) == status}
        responses[str(status)] = _error_response(status, sorted(codes))
    return responses


def _success(route: Route) -> Document:
    response: Document = {"description": _REASONS[route.status]}
    if route.answer is not None:
        response["content"] = {route.answer_media_type: {"schema": _reference(route.answer)}}
    if route.text_media_type is not None:
        response["content"] = {route.text_media_type: {"schema": {"type": "string"}}}
    return response


def _errors(route: Route) -> set[type[StatekeepError]]:
    errors = set(route.errors)
    if not route.is_public:
        errors.update(_CALLER_ERRORS)
    if route.scope is not None:
        errors.update(_ORGANIZATION_ERRORS)
    if route.request is not None:
        errors.update((InvalidParameter, TooLarge))
    return errors


def _error_response(status: int, codes: Sequence[str]) -> Document:
    named = ", ".join(f"`{code}`" for code in codes)
    response: Document = {
        "description": f"{_REASONS[status]} {named}".rstrip(),
        "content": {"application/json": {"schema": _reference(Error)}},
    }
    if status in (429, 503):
        response["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."}
        }
    return response


def _reference(shape: type) -> Document:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}
