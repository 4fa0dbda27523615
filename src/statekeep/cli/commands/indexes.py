"""`statekeep indexes`: what instances can be found by. `instances query` finds them."""

from __future__ import annotations

from statekeep.cli.api import as_json, connected
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import Machine
from statekeep.cli.output import show_pages

app = noun("indexes")


@app.command(name="list", help_epilogue=examples("statekeep indexes list --machine orders"))
def list_indexes(*, machine: Machine, options: Globals = NOTHING) -> None:
    """List indexes of a machine, with how far existing instances are indexed where that is under way."""
    columns = {
        "name": "Index",
        "state": "State",
        "selector": "Selector",
        "done": "Done",
        "total": "Of",
    }
    with connected(options) as api:
        show_pages([as_json(api.indexes.list(machine))], columns, options.format)
