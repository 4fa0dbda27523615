"""`statekeep machines`: names with versions, indexes and instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.building import build_machine
from statekeep.cli.confirmation import Yes, confirm_name, warn_of
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import (
    NO_CODE,
    Code,
    Index,
    IndexSelectors,
    Machine,
    SkipValidation,
    VersionReference,
)
from statekeep.cli.output import CommandFailed, show, tell

if TYPE_CHECKING:
    from statekeep.client import Client

app = noun("machines")


@app.command(name="list", help_epilogue=examples("statekeep machines list"))
def list_machines(*, options: Globals = NOTHING) -> None:
    """List machine definitions."""
    columns = {
        "name": "Machine",
        "createdAt": "Created",
        "currentVersion.id": "Current version",
        "currentVersion.clientInfo": "Reference",
    }
    with connected(options) as api:
        show_list(options, api.machines.list().pages(), columns, _row)


def _row(machine: dict[str, Any]) -> dict[str, Any]:
    renamed = {"name": machine["slug"], "createdAt": machine["createdAt"]}
    current = machine.get("currentVersion")
    return renamed if current is None else {**renamed, "currentVersion": current}


@app.command(name="get", help_epilogue=examples("statekeep machines get --machine toggler"))
def get_machine(*, machine: Machine, options: Globals = NOTHING) -> None:
    """Get a machine definition."""
    with connected(options) as api:
        found = as_json(api.machines.get(machine))
    # Scripts read both: smply shows the answer as it came, and its fields beside it.
    show({"machine": found, **found}, options.format)


@app.command(
    name="create",
    help_epilogue=examples(
        "statekeep machines create --machine toggler --node ./toggler.ts",
        "statekeep machines create -m orders --index customer --index status",
        """statekeep machines create -m orders -n orders.ts --index-selectors '{"customer": "$.public.customer"}'""",
    ),
)
def create_machine(
    *,
    machine: Machine,
    version_reference: VersionReference = "0.0.1",
    code: Code = NO_CODE,
    index: Index = (),
    index_selectors: IndexSelectors = None,
    skip_validation: SkipValidation = False,
    options: Globals = NOTHING,
) -> None:
    """Create a machine definition, with its first version where a file is given.

    Without one, a version must be added with `machine-versions create` before the machine takes instances.
    """
    # First what takes longest to put right: a machine whose code cannot be built is not made.
    built = build_machine(code, skip_validation=skip_validation) if code.is_given else None
    output: dict[str, Any] = {"name": machine}
    with connected(options) as api:
        api.machines.create(machine, indexes=index_selectors or index)
        if built is not None:
            with _taken_back(api, machine):
                output["currentVersion"] = as_json(
                    api.machine_versions.create(
                        machine,
                        built,
                        client_info=version_reference,
                        make_current=True,
                        index_selectors=index_selectors,
                    )
                )
    show(output, options.format)


@contextmanager
def _taken_back(api: Client, machine: str) -> Iterator[None]:
    """A machine that was just made is deleted where its first version is refused, so that the same command can be typed again.

    Raises CommandFailed, and says so, where it is still there: nothing is known of a version whose answer was lost.
    """
    from statekeep.client.errors import ApiError, InvalidParameterError, TooLargeError

    try:
        yield
    except (InvalidParameterError, TooLargeError) as refusal:
        try:
            api.machines.dangerously.delete(machine, danger_data_will_be_deleted_forever=True)
        except ApiError:
            raise CommandFailed(f"{refusal}. {_made(machine)}") from refusal
        raise
    except ApiError as error:
        raise CommandFailed(f"{error}. {_made(machine)}") from error


def _made(machine: str) -> str:
    return f"The machine was made: add a version with statekeep machine-versions create --machine {machine}"


@app.command(name="delete", help_epilogue=examples("statekeep machines delete --machine toggler"))
def delete_machine(*, machine: Machine, yes: Yes = False, options: Globals = NOTHING) -> None:
    """Delete a machine definition and any associated versions and migrations. It must have no instances any more."""
    warn_of(
        "Deleting a machine cannot be undone.",
        "The machine and all of its versions and migrations will be permanently deleted.",
        is_confirmed=yes,
    )
    question = f'Re-enter the machine name ("{machine}") to confirm deletion:'
    confirm_name(question, machine, "Machine name", is_confirmed=yes)
    with connected(options) as api:
        from statekeep.client.errors import ConflictError

        try:
            api.machines.dangerously.delete(machine, danger_data_will_be_deleted_forever=True)
        except ConflictError as error:
            raise CommandFailed(
                "Machine has associated instances so cannot be deleted. You can delete the instances and then retry"
                " deleting the machine."
            ) from error
    tell("Deleted machine")
