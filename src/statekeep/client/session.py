"""How a client talks to its server, but for the talking: headers, tokens, what is worth another try, and what an answer means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from statekeep import __version__
from statekeep.client.errors import (
    ApiError,
    ConnectionFailedError,
    NotConnectedError,
    OverloadedError,
    TooManyRequestsError,
    UnauthenticatedError,
    error_of,
)
from statekeep.client.steps import (
    Answer,
    Content,
    Dial,
    Exclusively,
    Request,
    Steps,
    Transmission,
    encode,
    present,
)
from statekeep.client.tokens import TokenConfig, TokenSource

JSON: Final = "application/json"
REALTIME: Final = "/rt"
FORM: Final = "application/x-www-form-urlencoded"
_USER_AGENT: Final = f"statekeep-client/{__version__}"
_GATEWAY_STATUSES: Final = (502, 503, 504)
"""Those of a proxy that may have handed the request on."""


class Session:
    """A server, and who asks it."""

    def __init__(
        self,
        token: TokenConfig | None,
        *,
        api_url: str,
        org_id: str | None,
        act_as: Mapping[str, Any] | None,
    ) -> None:
        self.api_url = _checked(api_url)
        self.org_id = org_id
        self._tokens = TokenSource(token)
        self._headers: dict[str, str] = {}
        if org_id is not None:
            self._headers["x-statebacked-org-id"] = org_id
        if act_as is not None:
            self._headers["x-statebacked-act"] = encode(act_as).decode()

    def send(self, request: Request) -> Steps[Answer]:
        """The answer to a request. One that the server finds to be nobody's is sent once more, where there may be another token."""
        if not request.is_authorized:
            return (yield from _passed_on(self.transmission(request, None)))
        token: str | None = yield Exclusively(self._tokens.current())
        try:
            return (yield from _passed_on(self.transmission(request, token)))
        except UnauthenticatedError:
            if not self._tokens.give_up(token):
                raise
        token = yield Exclusively(self._tokens.current())
        return (yield from _passed_on(self.transmission(request, token)))

    def connect(self) -> Steps[str | None]:
        """A realtime socket. Its token goes into a header: URLs are written into logs on the way."""
        token: str | None = yield Exclusively(self._tokens.current())
        opening = self.transmission(Request("GET", REALTIME), token)
        # http becomes ws, and https wss.
        url = f"ws{opening.url.removeprefix('http')}"
        yield Dial(opening.request, url, opening.headers)
        return token

    def give_up(self, token: str | None) -> bool:
        """The server refused the token. Whether there may be another one."""
        return self._tokens.give_up(token)

    def transmission(self, request: Request, token: str | None) -> Transmission:
        """A request with everything that goes over the wire."""
        target = request.target
        url = self.api_url + target if target.startswith("/") else target
        query = urlencode(present(request.query))
        content, media_type = _content_of(request)
        headers = {
            "user-agent": _USER_AGENT,
            **(self._headers if request.is_authorized else {}),
            **present({"content-type": media_type}),
            **({} if token is None else {"authorization": f"Bearer {token}"}),
            **request.headers,
        }
        return Transmission(request, f"{url}?{query}" if query else url, headers, content)


def answer_of(request: Request, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What came, where it means success. Raises the ApiError that it means otherwise."""
    if 200 <= status < 300 or request.is_any_status_welcome:
        return Answer(status, headers, body)
    raise error_of(status, body, retry_after=headers.get("retry-after"))


def is_worth_another_try(request: Request, error: BaseException) -> bool:
    """Whether the same request may go well later, and does no harm where it went well before."""
    if isinstance(error, NotConnectedError):
        return True
    if not isinstance(error, ApiError) or not isinstance(request.content, bytes | None):
        return False
    if isinstance(error, TooManyRequestsError | OverloadedError) and error.code is not None:
        # Our server has said that it did nothing.
        return True
    is_in_doubt = isinstance(error, ConnectionFailedError) or error.status in _GATEWAY_STATUSES
    return is_in_doubt and request.may_be_repeated


def _passed_on(transmission: Transmission) -> Steps[Answer]:
    answer: Answer = yield transmission
    return answer


def _content_of(request: Request) -> tuple[Content | None, str | None]:
    if request.body is not None:
        return encode(present(request.body)), JSON
    if request.form is not None:
        return urlencode(request.form).encode(), FORM
    return request.content, None


def _checked(api_url: str) -> str:
    parts = urlsplit(api_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{api_url!r} is no URL of a server: expected https://host")
    return api_url.rstrip("/")
