"""The HTTP API as one ASGI app."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from statekeep import __version__
from statekeep.api.http import openapi, routes
from statekeep.api.http.cors import Cors
from statekeep.api.http.endpoint import PathEndpoint, Responder, RouteResponder
from statekeep.api.http.errors import ErrorAnswers
from statekeep.api.http.hot import HotRoutes
from statekeep.api.http.http_api import HttpApiRoute
from statekeep.api.http.metrics_page import METRICS_PATH, MetricsPage, MetricsResponder
from statekeep.api.http.pages import (
    DocumentResponder,
    HealthResponder,
    PageResponder,
    upgrade_wanted,
)
from statekeep.api.http.routes.realtime import REALTIME_PATH
from statekeep.api.http.routes.tokens import DEVICE_AUTHORIZATION_PATH, TOKENS_PATH
from statekeep.api.http.routes.transfers import EXPORT_PATH, IMPORT_PATH, MACHINE_EXPORT_PATH
from statekeep.api.http.routes.versions import UPLOAD_PATH
from statekeep.api.http.services import Services
from statekeep.api.http.site.responders import site
from statekeep.api.http.stream import StreamRoute
from statekeep.api.http.token_requests import DeviceAuthorizationResponder, TokenResponder
from statekeep.api.http.transfers import ExportResponder, ImportResponder
from statekeep.api.http.uploads import UploadResponder
from statekeep.api.realtime.hub import Hub
from statekeep.ports.metrics import Metrics
from statekeep.ports.tracing import Tracer
from statekeep.wire import codecs
from statekeep.wire.answers import Error
from statekeep.wire.fields import INVITATION_CODE_PATTERN

_OUTSIDE_OF_TABLE: Final = {404: "not-found", 405: "method-not-allowed"}

Responders = dict[tuple[str, str], Responder]


def build_app(
    services: Services,
    *,
    is_ready: Callable[[], bool],
    public_url: str | None,
    errors: ErrorAnswers | None = None,
    cors: Cors | None = None,
    metrics: Metrics | None = None,
    metrics_page: MetricsPage | None = None,
    tracer: Tracer | None = None,
) -> HotRoutes:
    """An app that serves every route of the table.

    `public_url` is where the world reaches the server; None stands for wherever a request came to. `is_ready` is asked by `/healthz`.
    There is `/metrics` only where there is a `metrics_page`; it is no part of the API and not in its description.
    """
    errors, cors = errors or ErrorAnswers(), cors or Cors()
    base_url = None if public_url is None else public_url.rstrip("/")
    responders: Responders = {
        **_from_table(services, base_url),
        **_public(services, is_ready, base_url),
        **site(services, errors, base_url),
        (REALTIME_PATH, "GET"): upgrade_wanted,
    }
    if metrics_page is not None:
        responders[METRICS_PATH, "GET"] = MetricsResponder(metrics_page)
    hub = Hub(services, cors.allows)
    cold = Starlette(
        routes=_by_path(responders, errors),
        exception_handlers={HTTPException: _answer_framework_error},
    )
    # `/machines/` is not `/machines`: an empty name is no name.
    cold.router.redirect_slashes = False
    return HotRoutes(
        services.authenticator,
        services.instances,
        errors,
        hub,
        HttpApiRoute(
            services, errors, cors, StreamRoute(services, errors, cors, cors.around(cold))
        ),
        rate_limits=services.rate_limits,
        cors=cors,
        metrics=metrics,
        tracer=tracer,
    )


def _from_table(services: Services, base_url: str | None) -> Responders:
    return {
        (route.path, route.method): RouteResponder(route, services, base_url)
        for route in routes.ALL
        if route.handler is not None
    }


def _public(services: Services, is_ready: Callable[[], bool], base_url: str | None) -> Responders:
    document = openapi.describe(routes.ALL, version=__version__, server_url=base_url)
    return {
        (UPLOAD_PATH, "POST"): UploadResponder(services.versions),
        (TOKENS_PATH, "POST"): TokenResponder(services, base_url),
        (DEVICE_AUTHORIZATION_PATH, "POST"): DeviceAuthorizationResponder(
            services.people.device_logins, base_url
        ),
        (EXPORT_PATH, "GET"): ExportResponder(services),
        (MACHINE_EXPORT_PATH, "GET"): ExportResponder(services),
        (IMPORT_PATH, "POST"): ImportResponder(services),
        ("/healthz", "GET"): HealthResponder(is_ready),
        ("/openapi.json", "GET"): DocumentResponder(document),
        ("/docs", "GET"): PageResponder(document),
    }


def _by_path(responders: Responders, errors: ErrorAnswers) -> list[StarletteRoute]:
    paths: defaultdict[str, dict[str, Responder]] = defaultdict(dict)
    for (path, method), responder in responders.items():
        paths[path][method] = responder
    methods = {path: set(by_method) for path, by_method in paths.items()}
    for route in routes.ALL:
        # Hot methods never come this far, but `Allow` has to name them.
        methods.setdefault(route.path, set()).add(route.method)
    return [
        StarletteRoute(
            _for_framework(path), PathEndpoint(paths[path], errors), methods=sorted(allowed)
        )
        for path, allowed in sorted(methods.items(), key=lambda item: _parameters_in(item[0]))
    ]


class _InvitationCode(StringConvertor):
    """At the root of the API, where any other name is a path that may be wrong."""

    regex = INVITATION_CODE_PATTERN.strip("^$")


register_url_convertor("invitation", _InvitationCode())


def _for_framework(path: str) -> str:
    return path.replace("{invitation}", "{invitation:invitation}")


def _parameters_in(path: str) -> list[bool]:
    """Puts a path before one that has a parameter where it has a name: who asks for the name means it."""
    return [segment.startswith("{") for segment in path.split("/")]


async def _answer_framework_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _OUTSIDE_OF_TABLE.get(error.status_code, "invalid-parameter")
    body = Error(_explain(error), code=code)
    return Response(
        codecs.encode(body),
        status_code=error.status_code,
        headers=error.headers,
        media_type="application/json",
    )


def _explain(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is no such path; /docs lists what there is"
    if error.status_code == 405 and error.headers is not None:
        return f"this path takes {error.headers['Allow']} only; /docs lists what there is"
    return error.detail
