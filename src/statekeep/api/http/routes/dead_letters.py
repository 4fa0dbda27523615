"""Timers and messages that were given up."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, QueryParameter, Route
from statekeep.domain.errors import InvalidParameter, NotFound, Overloaded
from statekeep.domain.names import parse_instance_name
from statekeep.wire import answers, requests

_DEAD_LETTERS: Final = "/machines/{machine}/dead-letters"
_INSTANCE: Final = QueryParameter("instance", "Only those of this instance.")


async def list_dead_letters(call: Call[None]) -> answers.DeadLetterPage:
    name = call.query.get("instance")
    page = await call.services.dead_letters.list(
        call.caller,
        call.machine,
        instance=None if not name else parse_instance_name(name, parameter="instance"),
        cursor=call.cursor,
    )
    items = views.shown(page, views.dead_letter_item)
    return answers.DeadLetterPage(items, views.next_cursor(page))


async def retry_dead_letter(call: Call[None]) -> None:
    await call.services.dead_letters.retry(call.caller, call.machine, call.path["letter"])


async def retry_dead_letters(call: Call[requests.RetryDeadLetters]) -> answers.RetriedDeadLetters:
    name = call.body.instance
    retried = await call.services.dead_letters.retry_all(
        call.caller,
        call.machine,
        instance=None if name is None else parse_instance_name(name, parameter="instance"),
        cursor=call.body.cursor,
    )
    return answers.RetriedDeadLetters(
        retried.letters, UNSET if retried.cursor is None else retried.cursor
    )


async def discard_dead_letter(call: Call[None]) -> None:
    await call.services.dead_letters.discard(call.caller, call.machine, call.path["letter"])


ROUTES: Final = (
    Route(
        method="GET",
        path=_DEAD_LETTERS,
        summary="List dead letters",
        tag="Dead letters",
        handler=list_dead_letters,
        description="Delayed events and messages to other instances that were tried five times and given up, the last to die first.",
        scope="instances.admin",
        answer=answers.DeadLetterPage,
        query=(_INSTANCE, CURSOR),
        errors=(InvalidParameter, NotFound),
    ),
    Route(
        method="POST",
        path=f"{_DEAD_LETTERS}/retry",
        summary="Retry dead letters",
        tag="Dead letters",
        handler=retry_dead_letters,
        description=(
            "Those of the machine, or of one instance, at most 1,000 of them: send the `cursor` of the answer along to go on."
            " Each is delivered at once, and has all five tries before it."
        ),
        scope="instances.admin",
        request=requests.RetryDeadLetters,
        is_body_optional=True,
        answer=answers.RetriedDeadLetters,
        errors=(InvalidParameter, NotFound, Overloaded),
    ),
    Route(
        method="POST",
        path=f"{_DEAD_LETTERS}/{{letter}}/retry",
        summary="Retry a dead letter",
        tag="Dead letters",
        handler=retry_dead_letter,
        description="It is delivered at once, and has all five tries before it. It is no dead letter from then on, unless it dies again.",
        scope="instances.admin",
        status=204,
        errors=(NotFound, Overloaded),
    ),
    Route(
        method="DELETE",
        path=f"{_DEAD_LETTERS}/{{letter}}",
        summary="Discard a dead letter",
        tag="Dead letters",
        handler=discard_dead_letter,
        description="It is gone for ever.",
        scope="instances.admin",
        status=204,
        errors=(NotFound, Overloaded),
    ),
)
