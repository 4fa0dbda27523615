"""`statekeep upgrades`: many instances carried over to another version, in the background."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.globals import NOTHING, NOTHING_T, GlobalOptions, Globals, GlobalsWithoutT
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import Machine, TargetVersion
from statekeep.cli.output import CommandFailed, show, tell
from statekeep.cli.progress import item_progress
from statekeep.cli.selection import ALL, Selection

if TYPE_CHECKING:
    from statekeep.client import Client
    from statekeep.client.models import BulkUpgradeProgress

app = noun("upgrades")

_POLL_SECONDS: Final = 0.5

_Upgrade = Annotated[
    str | None,
    Parameter(
        metavar="UPGRADE", help="ID of the bulk upgrade. The machine's newest where it is left out."
    ),
]


@app.command(
    name="start",
    help_epilogue=examples(
        "statekeep upgrades start --machine toggler --to ver_... --wait",
        "statekeep upgrades start -m toggler -t ver_... --from ver_... --instance kitchen hall",
        "statekeep upgrades start -m orders -t ver_... --index status --op eq --value open",
    ),
)
def start(
    *,
    machine: Machine,
    to: TargetVersion,
    which: Selection = ALL,
    wait: Annotated[
        bool, Parameter(help="Show how far it is until it is over, as `upgrades watch` does.")
    ] = False,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Start to carry existing instances over to another version, each once it has settled.

    It goes on across restarts of the server. What fails stays as it was, and `upgrades results` has the reasons.
    """
    with connected(options) as api:
        upgrade = api.bulk_upgrades.begin(machine, to_machine_version_id=to, **which.arguments())
        if wait:
            _watch(api, machine, upgrade, options)
            return
    show({"id": upgrade}, options.format)


@app.command(name="list", help_epilogue=examples("statekeep upgrades list --machine toggler"))
def list_upgrades(*, machine: Machine, options: Globals = NOTHING) -> None:
    """List bulk upgrades of a machine, newest first."""
    columns = {
        "id": "Upgrade",
        "status": "Status",
        "fromMachineVersionId": "From",
        "toMachineVersionId": "To",
        "createdAt": "Started",
        "finishedAt": "Finished",
        "reason": "Reason",
    }
    with connected(options) as api:
        show_list(options, api.bulk_upgrades.list(machine).pages(), columns)


@app.command(name="get", help_epilogue=examples("statekeep upgrades get --machine toggler"))
def get_upgrade(*, machine: Machine, upgrade: _Upgrade = None, options: Globals = NOTHING) -> None:
    """Tell how far a bulk upgrade is."""
    with connected(options) as api:
        found = api.bulk_upgrades.get(machine, _chosen(api, machine, upgrade))
        show(as_json(found), options.format)


@app.command(name="watch", help_epilogue=examples("statekeep upgrades watch --machine toggler"))
def watch(*, machine: Machine, upgrade: _Upgrade = None, options: Globals = NOTHING) -> None:
    """Show how far a bulk upgrade is until it is over or paused, and then what came of it.

    Ctrl-C ends the watching, not the upgrade. Ends with 1 where instances stayed as they were, or where it is not over.
    """
    with connected(options) as api:
        _watch(api, machine, _chosen(api, machine, upgrade), options)


@app.command(
    name="results",
    help_epilogue=examples(
        "statekeep upgrades results --machine toggler --outcome failed",
    ),
)
def list_results(
    *,
    machine: Machine,
    upgrade: _Upgrade = None,
    outcome: Annotated[
        Literal["pending", "waiting", "upgraded", "unchanged", "failed"] | None,
        Parameter(help="Only instances of which this came."),
    ] = None,
    options: Globals = NOTHING,
) -> None:
    """List what came of each instance."""
    columns = {
        "slug": "Instance",
        "outcome": "Outcome",
        "fromMachineVersionId": "From",
        "reason": "Reason",
        "message": "Message",
    }
    with connected(options) as api:
        chosen = _chosen(api, machine, upgrade)
        results = api.bulk_upgrades.list_results(machine, chosen, outcome=outcome)
        show_list(options, results.pages(), columns)


@app.command(name="pause", help_epilogue=examples("statekeep upgrades pause --machine toggler"))
def pause(*, machine: Machine, upgrade: _Upgrade = None, options: Globals = NOTHING) -> None:
    """Pause a bulk upgrade. Instances that are under way are finished first."""
    _set_status(machine, upgrade, "paused", options)
    tell("Paused upgrade")


@app.command(name="resume", help_epilogue=examples("statekeep upgrades resume --machine toggler"))
def resume(*, machine: Machine, upgrade: _Upgrade = None, options: Globals = NOTHING) -> None:
    """Let a paused bulk upgrade go on."""
    _set_status(machine, upgrade, "running", options)
    tell("Resumed upgrade")


@app.command(name="cancel", help_epilogue=examples("statekeep upgrades cancel --machine toggler"))
def cancel(*, machine: Machine, upgrade: _Upgrade = None, options: Globals = NOTHING) -> None:
    """Cancel a bulk upgrade for good. What is upgraded stays so."""
    _set_status(machine, upgrade, "cancelled", options)
    tell("Cancelled upgrade")


def _set_status(
    machine: str,
    upgrade: str | None,
    status: Literal["paused", "running", "cancelled"],
    options: GlobalOptions,
) -> None:
    with connected(options) as api:
        api.bulk_upgrades.set_status(machine, _chosen(api, machine, upgrade), status)


def _chosen(api: Client, machine: str, upgrade: str | None) -> str:
    if upgrade is not None:
        return upgrade
    newest = api.bulk_upgrades.list(machine).page().items
    if not newest:
        raise CommandFailed(f"{machine} has had no bulk upgrade: begin one with upgrades start")
    return newest[0].id


def _watch(api: Client, machine: str, upgrade: str, options: GlobalOptions) -> None:
    """Raises CommandFailed where it did not carry all instances over."""
    found = api.bulk_upgrades.get(machine, upgrade)
    with item_progress("Upgrading") as progress:
        while found.status == "running":
            total = found.total if found.is_total_known else None
            progress(found.done, total, f"{found.failed} failed, {found.waiting} waiting")
            time.sleep(_POLL_SECONDS)
            found = api.bulk_upgrades.get(machine, upgrade)
    show(as_json(found), options.format)
    _require_success(found)


def _require_success(found: BulkUpgradeProgress) -> None:
    if found.status != "done":
        reason = f": {found.reason}" if found.reason else ""
        raise CommandFailed(f"the upgrade is {found.status}{reason}")
    if found.failed:
        raise CommandFailed(
            f"{found.failed} of {found.total} instances stayed as they were:"
            " statekeep upgrades results --outcome failed has the reasons"
        )
