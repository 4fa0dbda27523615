"""Instances of machines. The routes without a handler are the hot ones: `hot.py` serves them."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, Route
from statekeep.application.confirmation import INSTANCE_PROOF, require_confirmation
from statekeep.domain.errors import (
    AlreadyExists,
    IdempotencyMismatch,
    InvalidParameter,
    InvalidState,
    MachineError,
    NotFound,
    Overloaded,
    RejectedByMachineAuthorizer,
    TooLarge,
)
from statekeep.domain.instance import InstanceStatus
from statekeep.wire import answers, requests

_INSTANCE: Final = "/machines/{machine}/i/{instance}"


async def list_instances(call: Call[None]) -> answers.InstancePage:
    page = await call.services.instances.list(call.caller, call.machine, call.cursor)
    return answers.InstancePage(views.shown(page, views.instance_item), views.next_cursor(page))


async def delete_instance(call: Call[requests.DeleteInstance]) -> None:
    require_confirmation(
        is_confirmed=call.body.danger_data_will_be_deleted_forever,
        proof=call.body.hmac_sha256_of_machine_instance_name_with_machine_name_key,
        key=call.machine,
        name=call.instance,
        proof_parameter=INSTANCE_PROOF,
    )
    await call.services.instances.delete(call.caller, call.machine, call.instance)


async def get_administrative_state(call: Call[None]) -> answers.AdministrativeState:
    state = await call.services.instances.read_admin(call.caller, call.machine, call.instance)
    return views.administrative_state(state)


async def list_transitions(call: Call[None]) -> answers.TransitionPage:
    page = await call.services.instances.transitions(
        call.caller, call.machine, call.instance, call.cursor
    )
    return answers.TransitionPage(views.shown(page, views.transition_item), views.next_cursor(page))


async def set_status(call: Call[requests.SetInstanceStatus]) -> None:
    await call.services.instances.set_status(
        call.caller, call.machine, call.instance, InstanceStatus(call.body.status)
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/machines/{machine}",
        summary="Create an instance",
        tag="Instances",
        description=(
            "Asks `allowWrite` of the machine, takes the initial transition and answers once the instance has"
            " settled or the settle timeout has passed."
        ),
        scope="instances.write",
        request=requests.CreateInstance,
        answer=answers.State,
        errors=(
            InvalidParameter,
            RejectedByMachineAuthorizer,
            NotFound,
            AlreadyExists,
            TooLarge,
            MachineError,
            Overloaded,
        ),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/i",
        summary="List instances",
        tag="Instances",
        handler=list_instances,
        scope="instances.read",
        answer=answers.InstancePage,
        query=(CURSOR,),
        errors=(InvalidParameter, NotFound),
    ),
    Route(
        method="GET",
        path=_INSTANCE,
        summary="Read an instance",
        tag="Instances",
        description="Asks `allowRead` of the machine and answers what the caller may see.",
        scope="state.read",
        answer=answers.State,
        errors=(RejectedByMachineAuthorizer, NotFound, MachineError, Overloaded),
    ),
    Route(
        method="DELETE",
        path=_INSTANCE,
        summary="Delete an instance",
        tag="Instances",
        handler=delete_instance,
        description="Deletes its state, history and timers, for ever.",
        scope="instances.admin",
        request=requests.DeleteInstance,
        is_body_optional=True,
        status=204,
        errors=(InvalidParameter, NotFound, Overloaded),
    ),
    Route(
        method="GET",
        path=f"{_INSTANCE}/admin",
        summary="Read the whole of an instance",
        tag="Instances",
        handler=get_administrative_state,
        description="With its whole context, and without asking `allowRead`.",
        scope="instances.admin",
        answer=answers.AdministrativeState,
        errors=(NotFound, MachineError, Overloaded),
    ),
    Route(
        method="POST",
        path=f"{_INSTANCE}/events",
        summary="Send an event",
        tag="Instances",
        description=(
            "Asks `allowWrite` of the machine, takes the transition and answers once the instance has settled or"
            " the settle timeout has passed. With an `Idempotency-Key` a request may be repeated: the event is"
            " delivered once, and every repetition gets the first answer."
        ),
        scope="events.write",
        request=requests.SendEvent,
        answer=answers.State,
        takes_idempotency_key=True,
        errors=(
            InvalidParameter,
            RejectedByMachineAuthorizer,
            NotFound,
            InvalidState,
            TooLarge,
            IdempotencyMismatch,
            MachineError,
            Overloaded,
        ),
    ),
    Route(
        method="GET",
        path=f"{_INSTANCE}/events",
        summary="List transitions",
        tag="Instances",
        handler=list_transitions,
        scope="events.read",
        answer=answers.TransitionPage,
        query=(CURSOR,),
        errors=(InvalidParameter, NotFound),
    ),
    Route(
        method="PUT",
        path=f"{_INSTANCE}/status",
        summary="Pause or resume an instance",
        tag="Instances",
        handler=set_status,
        description="A paused instance refuses events. Timers that are due meanwhile are tried five times in all, half a minute apart, and then kept as dead letters.",
        scope="instances.admin",
        request=requests.SetInstanceStatus,
        status=204,
        errors=(InvalidParameter, NotFound, Overloaded),
    ),
)
