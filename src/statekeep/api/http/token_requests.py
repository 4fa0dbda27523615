"""Requests for an exchange of tokens: forms as RFC 8693, 2.1 wants them, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from statekeep.api.http.body import read_body
from statekeep.api.http.reply import Reply, answer_reply
from statekeep.api.http.routes.tokens import (
    ACCESS_TOKEN,
    AUDIENCE_BASE,
    FORM,
    GRANT_TYPE,
    JWT,
)
from statekeep.application.exchange import TokenExchange
from statekeep.application.rate_limits import RateLimits
from statekeep.domain.errors import InvalidExchange, InvalidTarget, UnsupportedGrantType
from statekeep.domain.limits import TOKEN_REQUEST_BYTES_MAX
from statekeep.domain.names import OrganizationId, ServiceName
from statekeep.wire import answers

_FIELDS_MAX: Final = 20
"""RFC 8693 knows nine."""


class TokenResponder:
    """Exchanges tokens. `public_url` is where the world reaches the server; None stands for wherever a request came to."""

    def __init__(
        self, exchange: TokenExchange, rate_limits: RateLimits, public_url: str | None
    ) -> None:
        self._exchange = exchange
        self._rate_limits = rate_limits
        self._public_url = public_url

    async def __call__(self, request: Request) -> Reply:
        headers = dict(request.scope["headers"])
        _require_form(headers)
        body = await read_body(headers, request.receive, bytes_max=TOKEN_REQUEST_BYTES_MAX)
        form = _read_form(body)
        _require_kinds(form)
        base_url = self._public_url or str(request.base_url).rstrip("/")
        target = _read_audience(_required(form, "audience"), base_url)
        subject_token = _required(form, "subject_token")
        self._rate_limits.admit_exchange(target[0])
        exchanged = await self._exchange.exchange(*target, subject_token)
        answer = answers.ExchangedToken(exchanged.token, exchanged.expires_in_seconds)
        return answer_reply(200, answer)


def _require_form(headers: Mapping[bytes, bytes]) -> None:
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != FORM.encode():
        raise InvalidExchange(f"the request is a form of type {FORM}")


def _read_form(body: bytes) -> dict[str, str]:
    """The fields; an empty one is none (RFC 6749, 3.2). Raises InvalidExchange."""
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise InvalidExchange(f"the form cannot be read: {error}") from error
    form = dict(pairs)
    if len(form) < len(pairs):
        # RFC 8693 would allow several audiences. We give one token for one service.
        raise InvalidExchange("a parameter is there more than once")
    return form


def _require_kinds(form: Mapping[str, str]) -> None:
    if _required(form, "grant_type") != GRANT_TYPE:
        raise UnsupportedGrantType(f"grant_type has to be {GRANT_TYPE}")
    # Ours are JSON Web Tokens, so both names fit. What kind the subject token is its signature tells.
    if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise InvalidExchange(f"requested_token_type can be {ACCESS_TOKEN} or {JWT}")


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise InvalidExchange(f"{name} is missing")
    return form[name]


def _read_audience(audience: str, base_url: str) -> tuple[OrganizationId, ServiceName]:
    for base in (AUDIENCE_BASE, base_url):
        if audience.startswith(f"{base}/"):
            organization_id, _, service = audience.removeprefix(f"{base}/").partition("/")
            if organization_id and service and "/" not in service:
                return OrganizationId(organization_id), ServiceName(service)
    raise InvalidTarget(f"audience has the form {AUDIENCE_BASE}/ORGANIZATION/SERVICE")
