"""`statekeep dead-letters`: delayed events and messages that were given up."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.api import connected, show_list
from statekeep.cli.confirmation import Yes, confirm
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import Machine, OneInstance
from statekeep.cli.output import Misused, show, tell

app = noun("dead-letters")


@app.command(
    name="list",
    help_epilogue=examples(
        "statekeep dead-letters list --machine toggler",
        "statekeep dead-letters list --machine toggler --instance kitchen",
    ),
)
def list_dead_letters(
    *, machine: Machine, instance: OneInstance = None, options: Globals = NOTHING
) -> None:
    """List what was tried five times and given up, the last to die first."""
    columns = {
        "id": "Letter",
        "instance": "Instance",
        "kind": "Kind",
        "event": "Event",
        "to.machineInstanceName": "To",
        "dueAt": "Due",
        "failure": "Failure",
    }
    with connected(options) as api:
        letters = api.dead_letters.list(machine, machine_instance_name=instance)
        show_list(options, letters.pages(), columns)


@app.command(
    name="retry",
    help_epilogue=examples(
        "statekeep dead-letters retry --machine toggler --letter LETTER",
        "statekeep dead-letters retry --machine toggler --instance kitchen",
        "statekeep dead-letters retry --machine toggler --all",
    ),
)
def retry(
    *,
    machine: Machine,
    letter: Annotated[str | None, Parameter(alias="-l", metavar="LETTER", help="This one.")] = None,
    instance: OneInstance = None,
    all_: Annotated[bool, Parameter(name="--all", help="All of the machine.")] = False,
    options: Globals = NOTHING,
) -> None:
    """Deliver dead letters now, with all five tries before them."""
    if [bool(letter), bool(instance), all_].count(True) != 1:
        raise Misused("exactly one of --letter, --instance and --all must be specified")
    with connected(options) as api:
        if letter:
            api.dead_letters.retry(machine, letter)
            retried = 1
        else:
            retried = api.dead_letters.retry_all(machine, machine_instance_name=instance)
    show({"retried": retried}, options.format)


@app.command(
    name="discard",
    help_epilogue=examples("statekeep dead-letters discard --machine toggler --letter LETTER"),
)
def discard(
    *,
    machine: Machine,
    letter: Annotated[str, Parameter(alias="-l", metavar="LETTER", help="This one.")],
    yes: Yes = False,
    options: Globals = NOTHING,
) -> None:
    """Discard a dead letter for ever."""
    confirm("Are you sure you want to discard this dead letter? (y/n)", is_confirmed=yes)
    with connected(options) as api:
        api.dead_letters.discard(machine, letter)
    tell("Discarded dead letter")
