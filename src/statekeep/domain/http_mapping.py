"""HTTP requests as an author's handler gets them, what it makes of them, and what may be answered (SPEC 9).

What must stay true: an answer on its way out has been through `checked`. The server's origin belongs to many authors and to the API
itself, so no header may speak for more than its own answer (docs/security.md, "HTTP mapping").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple

from statekeep.domain.event import Event
from statekeep.domain.limits import HTTP_RESPONSE_HEADERS_BYTES_MAX, HTTP_RESPONSE_HEADERS_MAX

Header = tuple[str, str]


class BodyKind(Enum):
    """How a handler gets to see a body."""

    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


class HttpRequest(NamedTuple):
    """A request for a handler. Names of headers are in lower case, `query` is what stands behind the question mark.

    A body of kind JSON or TEXT is valid UTF-8; one that is empty is none, whatever its kind.
    """

    method: str
    headers: Mapping[str, str]
    query: str
    body: bytes
    kind: BodyKind


class Meaning(NamedTuple):
    """What a handler made of a request: an event for an instance, on behalf of whom `auth` (a JSON object) says.

    With an `initial_context` (a JSON object) a missing instance is created first. `instance` is unchecked.
    """

    instance: str
    event: Event
    auth: bytes
    initial_context: bytes | None


class HttpAnswer(NamedTuple):
    """An answer to a request. `media_type` is that of the body, where no header says it; None where there is no body."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    media_type: str | None


HANDLER_FAILED: Final = "the endpoint failed; the log of its machine has the reason"
"""What strangers are told where the author did not choose the words."""
ACCEPTED: Final = HttpAnswer(200, (), b'{"ok":true}', "application/json")
"""What is answered where the author's code says nothing usable (SPEC 9)."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
"""RFC 9110, 5.6.2."""
_FIELD_VALUE: Final = re.compile(
    r"(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)
"""RFC 9110, 5.5: no control characters, and so no line breaks, and no space around it."""

_OF_THE_CONNECTION: Final = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The server's to say (RFC 9110, 7.6.1)."""
_OF_THE_ORIGIN: Final = frozenset(
    {
        "accept-ch",
        "alt-svc",
        "clear-site-data",
        "critical-ch",
        "nel",
        "origin-agent-cluster",
        "public-key-pins",
        "report-to",
        "reporting-endpoints",
        "sec-session-registration",
        "secure-session-registration",
        "service-worker-allowed",
        "set-cookie",
        "set-cookie2",
        "set-login",
        "strict-transport-security",
        "use-as-dictionary",
    }
)
"""What browsers remember or obey for everything else at the same address."""
_FORCED: Final = frozenset({"x-content-type-options"})
_SANDBOX: Final[tuple[Header, ...]] = (
    ("x-content-type-options", "nosniff"),
    # Where there are several policies all of them hold, so that this one cannot be taken back.
    ("content-security-policy", "sandbox"),
)
BODILESS: Final = frozenset({204, 304})
"""Statuses of answers that have no body, and so no length of one (RFC 9110, 8.6)."""
_EMPTY: Final = BODILESS | {205}
"""Those that may have no content; a 205 still says that it has none (RFC 9110, 15.3.6)."""


class UnusableAnswer(Exception):
    """An answer that no client could be sent. The text is for its author."""


class CheckedAnswer(NamedTuple):
    """An answer that may leave, and the names of the headers that it lost."""

    answer: HttpAnswer
    dropped: tuple[str, ...]


def checked(answer: HttpAnswer) -> CheckedAnswer:
    """The answer as it may leave: its headers in lower case, without those that are not an author's to give, with those that keep it in its place.

    Raises UnusableAnswer where its status or a header is none, or there are more headers than clients read.
    """
    if not 200 <= answer.status <= 599:
        raise UnusableAnswer(
            f"statusCode has to be a whole number from 200 to 599, not {answer.status}"
        )
    _require_short(answer.headers)
    headers = [_checked_header(name, value) for name, value in answer.headers]
    kept = [header for header in headers if header[0] not in _NOT_THE_AUTHORS]
    dropped = sorted({name for name, _ in headers if name in _OF_THE_CONNECTION | _OF_THE_ORIGIN})
    body = b"" if answer.status in _EMPTY else answer.body
    defaults = _defaults(answer, {name for name, _ in kept})
    safe = answer._replace(headers=(*kept, *defaults, *_SANDBOX), body=body)
    return CheckedAnswer(safe, tuple(dropped))


_NOT_THE_AUTHORS: Final = _OF_THE_CONNECTION | _OF_THE_ORIGIN | _FORCED


def _require_short(headers: Sequence[Header]) -> None:
    if len(headers) > HTTP_RESPONSE_HEADERS_MAX:
        raise UnusableAnswer(
            f"it has {len(headers)} headers; {HTTP_RESPONSE_HEADERS_MAX} are allowed"
        )
    size = sum(len(name) + len(value) for name, value in headers)
    if size > HTTP_RESPONSE_HEADERS_BYTES_MAX:
        raise UnusableAnswer(
            f"its headers have {size} characters; {HTTP_RESPONSE_HEADERS_BYTES_MAX} are allowed"
        )


def _checked_header(name: str, value: str) -> Header:
    if _TOKEN.fullmatch(name) is None:
        raise UnusableAnswer(f"{name!r} is no name of a header")
    value = value.strip(" \t")
    if _FIELD_VALUE.fullmatch(value) is None:
        raise UnusableAnswer(
            f"the header {name} has characters that no header may have: line breaks and other control characters, or some beyond Latin-1"
        )
    return name.lower(), value


def _defaults(answer: HttpAnswer, given: set[str]) -> list[Header]:
    defaults: list[Header] = []
    if "cache-control" not in given:
        defaults.append(("cache-control", "no-store"))
    if "content-type" not in given and answer.media_type and answer.status not in _EMPTY:
        defaults.append(("content-type", answer.media_type))
    return defaults
