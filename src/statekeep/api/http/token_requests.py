"""Requests for tokens, by whoever has none yet: the exchange of another token (RFC 8693) and device login (RFC 8628), as forms."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from statekeep.api.http import people_views
from statekeep.api.http.body import read_body
from statekeep.api.http.forms import FORM, is_form, read_form
from statekeep.api.http.reply import Reply, answer_reply
from statekeep.api.http.routes.tokens import (
    ACCESS_TOKEN,
    AUDIENCE_BASE,
    DEVICE_GRANT_TYPE,
    EXCHANGE_GRANT_TYPE,
    JWT,
)
from statekeep.api.http.services import Services
from statekeep.application.device_logins import DeviceLogins
from statekeep.domain.errors import InvalidExchange, InvalidTarget, UnsupportedGrantType
from statekeep.domain.limits import TOKEN_REQUEST_BYTES_MAX
from statekeep.domain.names import OrganizationId, ServiceName
from statekeep.wire import people


class TokenResponder:
    """Gives tokens. `public_url` is where the world reaches the server; None stands for wherever a request came to."""

    def __init__(self, services: Services, public_url: str | None) -> None:
        self._exchange = services.exchange
        self._device_logins = services.people.device_logins
        self._rate_limits = services.rate_limits
        self._public_url = public_url

    async def __call__(self, request: Request) -> Reply:
        form = await _read_request(request)
        match _required(form, "grant_type"):
            case grant_type if grant_type == EXCHANGE_GRANT_TYPE:
                base_url = self._public_url or str(request.base_url).rstrip("/")
                return answer_reply(200, await self._exchanged(form, base_url))
            case grant_type if grant_type == DEVICE_GRANT_TYPE:
                admitted = await self._device_logins.poll(_required(form, "device_code"))
                return answer_reply(200, people_views.device_token(admitted))
            case _:
                raise UnsupportedGrantType(
                    f"grant_type has to be {EXCHANGE_GRANT_TYPE} or {DEVICE_GRANT_TYPE}"
                )

    async def _exchanged(self, form: Mapping[str, str], base_url: str) -> people.IssuedToken:
        # Ours are JSON Web Tokens, so both names fit. What kind the subject token is its signature tells.
        if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
            raise InvalidExchange(f"requested_token_type can be {ACCESS_TOKEN} or {JWT}")
        target = _read_audience(_required(form, "audience"), base_url)
        subject_token = _required(form, "subject_token")
        self._rate_limits.admit_exchange(target[0])
        exchanged = await self._exchange.exchange(*target, subject_token)
        return people.IssuedToken(
            exchanged.token, exchanged.expires_in_seconds, issued_token_type=ACCESS_TOKEN
        )


class DeviceAuthorizationResponder:
    """Begins device logins (RFC 8628, 3.1)."""

    def __init__(self, device_logins: DeviceLogins, public_url: str | None) -> None:
        self._device_logins = device_logins
        self._public_url = public_url

    async def __call__(self, request: Request) -> Reply:
        form = await _read_request(request)
        begun = self._device_logins.begin(_required(form, "client_id"), form.get("device_name"))
        base_url = self._public_url or str(request.base_url).rstrip("/")
        return answer_reply(200, people_views.device_authorization(begun, base_url))


async def _read_request(request: Request) -> dict[str, str]:
    headers = dict(request.scope["headers"])
    if not is_form(headers):
        raise InvalidExchange(f"the request is a form of type {FORM}")
    body = await read_body(headers, request.receive, bytes_max=TOKEN_REQUEST_BYTES_MAX)
    try:
        # RFC 8693 would allow several audiences. We give one token for one service.
        return read_form(body)
    except ValueError as error:
        raise InvalidExchange(f"the form cannot be read: {error}") from error


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
