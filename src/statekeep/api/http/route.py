"""What a route is: enough to serve it and to describe it, said once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from statekeep.api.http.services import Services
from statekeep.domain.access import AuthContext
from statekeep.domain.errors import InvalidParameter, NotFound, StatekeepError
from statekeep.domain.limits import REQUEST_BYTES_MAX
from statekeep.domain.names import (
    InstanceName,
    MachineName,
    parse_instance_name,
    parse_machine_name,
)
from statekeep.wire.answers import Answer
from statekeep.wire.requests import Request

Body = TypeVar("Body")

_NAMES_REMEMBERED: Final = 10_000
"""Names that passed their check lately. Nearly every event is for one of them, and to find it is ten times cheaper than to check it."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Body]):
    """One request, read and checked as far as can be without knowing what it is for."""

    services: Services
    caller: AuthContext
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Body
    base_url: str
    """Where the caller reaches this server, without a slash at the end."""

    @property
    def machine(self) -> MachineName:
        """The machine in the path. Raises NotFound where no machine can have that name."""
        return machine_in_path(self.path["machine"])

    @property
    def instance(self) -> InstanceName:
        """The instance in the path. Raises NotFound where no instance can have that name."""
        return instance_in_path(self.path["instance"])

    @property
    def cursor(self) -> str | None:
        """Where the page begins; None for the first."""
        return self.query.get("cursor") or None


Handler = Callable[[Call[Any]], Awaitable[Answer | str | None]]


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A parameter of the query string. Most may be left out."""

    name: str
    description: str
    is_required: bool = False


CURSOR = QueryParameter("cursor", "The `cursor` of the page before.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    `handler` None stands for a route that is only described here: `hot.py` serves the hot ones, `app.py` those that need no
    caller. `more_scopes` are needed beside `scope`. `status` is the answer's where nothing goes wrong; `errors` lists what else is worth expecting, beside what
    every route with a caller may answer. `is_body_optional` is for requests whose fields may all be left out. `form` is the
    JSON schema of a form of type `form_type`, where that is what is sent. `text_media_type` is that of an answer that is text, and no JSON.
    """

    method: str
    path: str
    summary: str
    tag: str
    handler: Handler | None = None
    description: str = ""
    scope: str | None = None
    more_scopes: tuple[str, ...] = ()
    is_public: bool = False
    request: type[Request] | None = None
    is_body_optional: bool = False
    form: Mapping[str, Any] | None = None
    form_type: str = "multipart/form-data"
    answer: type[Answer] | None = None
    answer_media_type: str = "application/json"
    text_media_type: str | None = None
    status: int = 200
    errors: tuple[type[StatekeepError], ...] = ()
    query: tuple[QueryParameter, ...] = ()
    takes_idempotency_key: bool = False
    request_bytes_max: int = REQUEST_BYTES_MAX


@lru_cache(maxsize=_NAMES_REMEMBERED)
def machine_in_path(text: str) -> MachineName:
    """A machine's name as part of a path. Raises NotFound where no machine can have that name."""
    try:
        return parse_machine_name(text)
    except InvalidParameter as error:
        raise NotFound("there is no such machine") from error


@lru_cache(maxsize=_NAMES_REMEMBERED)
def instance_in_path(text: str) -> InstanceName:
    """An instance's name as part of a path. Raises NotFound where no instance can have that name."""
    try:
        return parse_instance_name(text)
    except InvalidParameter as error:
        raise NotFound("there is no such instance") from error
