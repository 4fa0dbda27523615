"""`statekeep retention`: how long a machine keeps what it has done and printed."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.api import as_json, connected
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import Machine
from statekeep.cli.output import show

app = noun("retention")


@app.command(name="get", help_epilogue=examples("statekeep retention get --machine toggler"))
def get_retention(*, machine: Machine, options: Globals = NOTHING) -> None:
    """Get what was chosen for a machine, and what is in effect where the server's defaults fill in the rest."""
    with connected(options) as api:
        show(as_json(api.machines.get_retention(machine)), options.format)


@app.command(
    name="set",
    help_epilogue=examples(
        "statekeep retention set --machine toggler --max-age 30d",
        "statekeep retention set --machine toggler --max-age 30d --max-entries 1000 --logs-max-age 7d",
        "statekeep retention set --machine toggler",
    ),
)
def set_retention(
    *,
    machine: Machine,
    max_age: Annotated[
        str | None,
        Parameter(
            metavar="TIME", help="How long transitions of an instance are kept, such as 30d."
        ),
    ] = None,
    max_entries: Annotated[
        int | None,
        Parameter(metavar="N", help="How many transitions of an instance are kept."),
    ] = None,
    logs_max_age: Annotated[
        str | None,
        Parameter(metavar="TIME", help="How long what the machine printed is kept, such as 7d."),
    ] = None,
    options: Globals = NOTHING,
) -> None:
    """Choose all of it: for what is left out the server's defaults count.

    What is beyond the bounds is gone within minutes, for ever; the newest transition of an instance never is.
    """
    with connected(options) as api:
        chosen = api.machines.set_retention(
            machine,
            journal_max_age=max_age,
            journal_max_entries=max_entries,
            logs_max_age=logs_max_age,
        )
    show(as_json(chosen), options.format)
