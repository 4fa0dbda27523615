"""Identity providers and token providers of an organization."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, Route
from statekeep.application.identity_providers import TOKENS_SCOPE, ProviderSettings
from statekeep.domain.errors import InvalidParameter, InvalidState, NotFound
from statekeep.domain.limits import PROVIDER_REQUEST_BYTES_MAX
from statekeep.wire import answers, requests

_TAG: Final = "Token exchange"


async def list_identity_providers(call: Call[None]) -> answers.IdentityProviderPage:
    page = await call.services.identity_providers.list(call.caller, call.cursor)
    items = views.shown(page, views.identity_provider_item)
    return answers.IdentityProviderPage(items, views.next_cursor(page))


async def put_identity_provider(call: Call[requests.PutIdentityProvider]) -> None:
    body = call.body
    settings = ProviderSettings(
        body.aud, body.iss, body.key, body.jwks_url, body.algs, body.mapping
    )
    await call.services.identity_providers.put(call.caller, settings)


async def delete_identity_provider(call: Call[requests.DeleteIdentityProvider]) -> None:
    await call.services.identity_providers.delete(call.caller, call.body.aud, call.body.iss)


async def list_token_providers(call: Call[None]) -> answers.TokenProviderPage:
    page = await call.services.token_providers.list(call.caller, call.cursor)
    items = views.shown(page, views.token_provider_item)
    return answers.TokenProviderPage(items, views.next_cursor(page))


async def put_token_provider(call: Call[requests.PutTokenProvider]) -> None:
    body = call.body
    await call.services.token_providers.put(call.caller, body.service, body.key_id, body.mapping)


async def delete_token_provider(call: Call[None]) -> None:
    await call.services.token_providers.delete(call.caller, call.path["service"])


ROUTES: Final = (
    Route(
        method="GET",
        path="/idps",
        summary="List identity providers",
        tag=_TAG,
        handler=list_identity_providers,
        scope=TOKENS_SCOPE,
        answer=answers.IdentityProviderPage,
        query=(CURSOR,),
        errors=(InvalidParameter,),
    ),
    Route(
        method="POST",
        path="/idps",
        summary="Put an identity provider",
        tag=_TAG,
        handler=put_identity_provider,
        description=(
            "Replaces the one with the same `aud` and `iss`. If its key, `jwksUrl` or `algs` change, tokens that were exchanged"
            " through it before are worth nothing from then on."
        ),
        scope=TOKENS_SCOPE,
        request=requests.PutIdentityProvider,
        request_bytes_max=PROVIDER_REQUEST_BYTES_MAX,
        status=204,
        errors=(InvalidState,),
    ),
    Route(
        method="DELETE",
        path="/idps",
        summary="Delete an identity provider",
        tag=_TAG,
        handler=delete_identity_provider,
        description=(
            "By the `aud` and `iss` that it was put with. Tokens that were exchanged through it are worth nothing from then on."
        ),
        scope=TOKENS_SCOPE,
        request=requests.DeleteIdentityProvider,
        request_bytes_max=PROVIDER_REQUEST_BYTES_MAX,
        status=204,
        errors=(NotFound,),
    ),
    Route(
        method="GET",
        path="/token-providers",
        summary="List token providers",
        tag=_TAG,
        handler=list_token_providers,
        scope=TOKENS_SCOPE,
        answer=answers.TokenProviderPage,
        query=(CURSOR,),
        errors=(InvalidParameter,),
    ),
    Route(
        method="POST",
        path="/token-providers",
        summary="Put a token provider",
        tag=_TAG,
        handler=put_token_provider,
        description=(
            "Changes key and mapping of the one with the same service. A key with administrative scopes wants a caller that has them too."
        ),
        scope=TOKENS_SCOPE,
        request=requests.PutTokenProvider,
        request_bytes_max=PROVIDER_REQUEST_BYTES_MAX,
        status=204,
        errors=(InvalidState,),
    ),
    Route(
        method="DELETE",
        path="/token-providers/{service}",
        summary="Delete a token provider",
        tag=_TAG,
        handler=delete_token_provider,
        description="Tokens that it made are worth nothing from then on.",
        scope=TOKENS_SCOPE,
        status=204,
        errors=(NotFound,),
    ),
)
