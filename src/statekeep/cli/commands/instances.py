"""`statekeep instances`: machines at work. `machine-instances` is another name for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter, Token, validators

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.confirmation import Yes, confirm_name, warn_of
from statekeep.cli.globals import (
    NOTHING,
    NOTHING_O,
    NOTHING_T,
    Globals,
    GlobalsWithoutO,
    GlobalsWithoutT,
)
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import (
    AuthContext,
    EndUserToken,
    Instance,
    JsonObject,
    Machine,
    expected,
    require_one_identity,
)
from statekeep.cli.output import Misused, show, tell

app = noun("instances")


@app.command(name="list", help_epilogue=examples("statekeep instances list --machine toggler"))
def list_instances(*, machine: Machine, options: Globals = NOTHING) -> None:
    """List machine instances."""
    columns = {
        "name": "Instance",
        "createdAt": "Created",
        "status": "Status",
        "machineVersion.id": "Version",
        "machineVersion.clientInfo": "Reference",
        "desiredMachineVersion.id": "Desired version",
    }
    with connected(options) as api:
        show_list(options, api.machine_instances.list(machine).pages(), columns, _instance_row)


def _instance_row(instance: dict[str, Any]) -> dict[str, Any]:
    names = ("createdAt", "machineVersion", "status", "desiredMachineVersion")
    known = {name: instance[name] for name in names if name in instance}
    return {"name": instance["slug"], **known}


@app.command(
    name="query",
    help_epilogue=examples(
        "statekeep instances query --machine orders --index status --op eq --value open",
        "statekeep instances query -m orders -i total --op gte --value -5 --sort desc",
    ),
)
def query_instances(
    *,
    machine: Machine,
    index: Annotated[str, Parameter(alias="-i", metavar="INDEX", help="Name of the index.")],
    op: Annotated[
        Literal["eq", "ne", "gt", "gte", "lt", "lte"] | None,
        Parameter(
            alias="-o", help="How indexed values compare with --value. All, where neither is given."
        ),
    ] = None,
    value: Annotated[
        str | None,
        Parameter(
            alias="-v",
            metavar="VALUE",
            allow_leading_hyphen=True,
            help="What --op compares with.",
        ),
    ] = None,
    sort: Annotated[
        Literal["asc", "desc"] | None,
        Parameter(alias="-s", help="Order of the indexed values; asc where it is left out."),
    ] = None,
    options: GlobalsWithoutO = NOTHING_O,
) -> None:
    """Query for machine instances by what an index has of them."""
    if (op is None) != (value is None):
        raise Misused("op and value must both be specified or neither must be specified")
    columns = {"name": "Instance", "indexValue": "Value"}
    with connected(options) as api:
        found = api.indexes.query(machine, index, op=op, value=value, dir=sort)
        show_list(options, found.pages(), columns, _match_row)


def _match_row(match: dict[str, Any]) -> dict[str, Any]:
    return {"name": match["slug"], "indexValue": match["indexValue"]}


@app.command(name="get", help_epilogue=examples("statekeep instances get -m toggler -i kitchen"))
def get_instance(*, machine: Machine, instance: Instance, options: Globals = NOTHING) -> None:
    """Get a machine instance as its operator sees it: with its whole context, and without asking allowRead."""
    with connected(options) as api:
        show(as_json(api.machine_instances.admin.get(machine, instance)), options.format)


@app.command(
    name="create",
    help_epilogue=examples(
        """statekeep instances create -m toggler -i kitchen --auth-context '{"sub": "user_1234"}'""",
        """statekeep instances create -m toggler -i kitchen -t "$TOKEN" --context '{"public": {"room": "kitchen"}}'""",
    ),
)
def create_instance(
    *,
    machine: Machine,
    instance: Instance,
    token: EndUserToken = None,
    auth_context: AuthContext = None,
    context: Annotated[
        JsonObject | None,
        Parameter(alias="-c", help="Initial context. Its keys replace those of the machine's own."),
    ] = None,
    version: Annotated[
        str | None,
        Parameter(
            alias="-v",
            metavar="VERSION",
            help="Machine version ID. The current version of the machine where it is left out.",
        ),
    ] = None,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Create a new machine instance."""
    require_one_identity(token, auth_context)
    with connected(options, token=token, act_as=auth_context) as api:
        state = api.machine_instances.create(
            machine, instance, context=context, machine_version_id=version
        )
    show(as_json(state), options.format)


def _read_event(_type: type, tokens: Sequence[Token]) -> Any:
    """What begins like an object has to be one: smply took it for the name of an event, which no machine has."""
    text = tokens[0].value
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise expected("the name of an event, or JSON", tokens[0]) from error


@app.command(
    name="send-event",
    help_epilogue=examples(
        """statekeep instances send-event -m toggler -i kitchen --auth-context '{"sub": "user_1234"}' --event toggle""",
        """statekeep instances send-event -m toggler -i kitchen -t "$TOKEN" --event '{"type": "dim", "percent": 40}'""",
    ),
)
def send_event(
    *,
    machine: Machine,
    instance: Instance,
    event: Annotated[
        Any,
        Parameter(
            alias="-e",
            metavar="EVENT",
            converter=_read_event,
            n_tokens=1,
            accepts_keys=False,
            allow_leading_hyphen=True,
            help='Name of the event, or JSON such as \'{"type": "dim", "percent": 40}\'.',
        ),
    ],
    token: EndUserToken = None,
    auth_context: AuthContext = None,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Send an event to a machine instance, and print its state once it has settled."""
    require_one_identity(token, auth_context)
    with connected(options, token=token, act_as=auth_context) as api:
        show(as_json(api.machine_instances.send_event(machine, instance, event)), options.format)


@app.command(
    name="watch",
    help_epilogue=examples(
        """statekeep instances watch -m toggler -i kitchen --auth-context '{"sub": "user_1234"}'""",
        """statekeep instances watch -m toggler -i kitchen -t "$TOKEN" --since 0""",
    ),
)
def watch_instance(
    *,
    machine: Machine,
    instance: Instance,
    since: Annotated[
        int | None,
        Parameter(
            metavar="REVISION",
            validator=validators.Number(gte=0),
            help="Begin with what came after this revision; 0 is the whole history. The state as it is, where it is left out.",
        ),
    ] = None,
    token: EndUserToken = None,
    auth_context: AuthContext = None,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Print the state of a machine instance, and then every state that follows, as it comes, until Ctrl-C.

    A lost connection is made anew, and no state is missed. It ends where allowRead says no.
    """
    require_one_identity(token, auth_context)
    with (
        connected(options, token=token, act_as=auth_context) as api,
        closing(api.machine_instances.subscribe(machine, instance, since=since)) as updates,
    ):
        for update in updates:
            show(as_json(update), options.format)


@app.command(
    name="set-desired-version",
    help_epilogue=examples(
        "statekeep instances set-desired-version -m toggler -i kitchen -v ver_..."
    ),
)
def set_desired_version(
    *,
    machine: Machine,
    instance: Instance,
    version: Annotated[
        str,
        Parameter(alias="-v", metavar="VERSION", help="Machine version ID to carry it over to."),
    ],
    options: Globals = NOTHING,
) -> None:
    """Set the desired version for this instance. It is carried over before its next event."""
    with connected(options) as api:
        api.machine_instances.admin.update_desired_version(machine, instance, version)
    tell("Successfully set desired version")


@app.command(
    name="list-transitions",
    help_epilogue=examples("statekeep instances list-transitions -m toggler -i kitchen"),
)
def list_transitions(*, machine: Machine, instance: Instance, options: Globals = NOTHING) -> None:
    """List the transitions for this instance, newest first."""
    columns = {"createdAt": "Time", "state": "State", "event": "Event"}
    with connected(options) as api:
        show_list(
            options, api.machine_instances.list_transitions(machine, instance).pages(), columns
        )


@app.command(
    name="set-status",
    help_epilogue=examples(
        "statekeep instances set-status -m toggler -i kitchen --status paused",
        "statekeep instances set-status -m toggler -i kitchen --status running",
    ),
)
def set_status(
    *,
    machine: Machine,
    instance: Instance,
    status: Annotated[Literal["running", "paused"], Parameter(alias="-s", help="Status to set.")],
    yes: Yes = False,
    options: Globals = NOTHING,
) -> None:
    """Set the status (running or paused) for this instance."""
    if status == "paused":
        warn_of(
            "Pausing an instance is one of the only ways it can get into an invalid state.",
            "Paused instances reject all events, including delayed/scheduled events.",
            "Delayed events are only retried 5 times before they become dead letters, so pausing a machine may keep some"
            " from it until you retry them (dead-letters retry).",
            is_confirmed=yes,
        )
        question = f'Re-enter the instance name ("{instance}") to confirm you want to pause it:'
        confirm_name(question, instance, "Instance name", is_confirmed=yes)
    with connected(options) as api:
        api.machine_instances.dangerously.set_status(machine, instance, status)
    tell("Set instance status")


@app.command(
    name="delete", help_epilogue=examples("statekeep instances delete -m toggler -i kitchen")
)
def delete_instance(
    *, machine: Machine, instance: Instance, yes: Yes = False, options: Globals = NOTHING
) -> None:
    """Delete a machine instance."""
    warn_of(
        "Deleting an instance cannot be undone.",
        "The instance and its current state, all historical transitions, and any pending upgrades will be permanently deleted.",
        is_confirmed=yes,
    )
    question = f'Re-enter the instance name ("{instance}") to confirm deletion:'
    confirm_name(question, instance, "Instance name", is_confirmed=yes)
    with connected(options) as api:
        api.machine_instances.dangerously.delete(
            machine, instance, danger_data_will_be_deleted_forever=True
        )
    tell("Deleted instance")


machine_instances = App(name="machine-instances", show=False)
machine_instances.update(app)
