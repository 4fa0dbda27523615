"""Machines."""

from __future__ import annotations

from typing import Final

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, Route
from statekeep.domain.errors import AlreadyExists, InvalidParameter, InvalidState, NotFound
from statekeep.domain.names import parse_machine_name
from statekeep.wire import answers, requests


async def list_machines(call: Call[None]) -> answers.MachinePage:
    page = await call.services.machines.list(call.caller, call.cursor)
    return answers.MachinePage(views.shown(page, views.machine_item), views.next_cursor(page))


async def create_machine(call: Call[requests.CreateMachine]) -> None:
    name = parse_machine_name(call.body.slug)
    await call.services.machines.create(call.caller, name, call.body.indexes)


async def get_machine(call: Call[None]) -> answers.MachineAnswer:
    machine = await call.services.machines.get(call.caller, call.machine)
    return answers.MachineAnswer(views.machine_details(machine))


async def delete_machine(call: Call[requests.DeleteMachine]) -> None:
    await call.services.machines.delete(
        call.caller,
        call.machine,
        is_confirmed=call.body.danger_data_will_be_deleted_forever,
        proof=call.body.hmac_sha256_of_machine_name_with_machine_name_key,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/machines",
        summary="List machines",
        tag="Machines",
        handler=list_machines,
        scope="machines.read",
        answer=answers.MachinePage,
        query=(CURSOR,),
        errors=(InvalidParameter,),
    ),
    Route(
        method="POST",
        path="/machines",
        summary="Create a machine",
        tag="Machines",
        handler=create_machine,
        description="A machine is a name for versions and instances. It takes no instances before it has a version.",
        scope="machines.write",
        request=requests.CreateMachine,
        status=201,
        errors=(InvalidParameter, AlreadyExists),
    ),
    Route(
        method="GET",
        path="/machines/{machine}",
        summary="Get a machine",
        tag="Machines",
        handler=get_machine,
        scope="machines.read",
        answer=answers.MachineAnswer,
        errors=(NotFound,),
    ),
    Route(
        method="DELETE",
        path="/machines/{machine}",
        summary="Delete a machine",
        tag="Machines",
        handler=delete_machine,
        description="Deletes the machine with all its versions, for ever. It must have no instances.",
        scope="machines.admin",
        request=requests.DeleteMachine,
        is_body_optional=True,
        status=204,
        errors=(InvalidParameter, NotFound, InvalidState),
    ),
)
