"""API keys of an organization."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, Route
from statekeep.domain.errors import InvalidParameter, NotFound
from statekeep.domain.names import KeyId
from statekeep.wire import answers, requests


async def list_keys(call: Call[None]) -> answers.KeyPage:
    page = await call.services.keys.list(call.caller, call.cursor)
    return answers.KeyPage(views.shown(page, views.key_item), views.next_cursor(page))


async def create_key(call: Call[requests.CreateKey]) -> answers.NewKey:
    body = call.body
    key_id, secret = await call.services.keys.create(call.caller, body.name, body.use, body.scopes)
    return answers.NewKey(key_id, secret)


async def delete_key(call: Call[None]) -> None:
    await call.services.keys.delete(call.caller, KeyId(call.path["key"]))


ROUTES: Final = (
    Route(
        method="GET",
        path="/keys",
        summary="List keys",
        tag="Keys",
        handler=list_keys,
        scope="org.keys.write",
        answer=answers.KeyPage,
        query=(CURSOR,),
        errors=(InvalidParameter,),
    ),
    Route(
        method="POST",
        path="/keys",
        summary="Create a key",
        tag="Keys",
        handler=create_key,
        description="Wants `use` or `scopes`; where both are given, `scopes` win.",
        scope="org.keys.write",
        request=requests.CreateKey,
        answer=answers.NewKey,
        errors=(InvalidParameter,),
    ),
    Route(
        method="DELETE",
        path="/keys/{key}",
        summary="Delete a key",
        tag="Keys",
        handler=delete_key,
        description="Tokens signed with it are worth nothing from then on.",
        scope="org.keys.write",
        status=204,
        errors=(NotFound,),
    ),
)
