"""`statekeep migrations`: code that carries instances from one version to another."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.building import build_migration
from statekeep.cli.globals import NOTHING, NOTHING_T, Globals, GlobalsWithoutT
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import NO_CODE, Code, Machine, TargetVersion
from statekeep.cli.output import CommandFailed, Misused, say, show
from statekeep.cli.output_files import Overwrite, require_free
from statekeep.cli.progress import item_progress
from statekeep.cli.selection import ALL, Selection

if TYPE_CHECKING:
    from statekeep.client import Client
    from statekeep.client.models import DryRun

app = noun("migrations")

_POLL_SECONDS: Final = 0.5

_From = Annotated[
    str,
    Parameter(
        name=("--from", "-f"), metavar="VERSION", help="Machine version ID that it leads from."
    ),
]


@app.command(
    name="create",
    help_epilogue=examples(
        "statekeep migrations create --machine toggler --from ver_... --to ver_... --node ./migration.ts",
        "statekeep migrations create -m toggler -f ver_... -t ver_... -j ./migration.js",
    ),
)
def create_migration(
    *,
    machine: Machine,
    from_: _From,
    to: TargetVersion,
    code: Code = NO_CODE,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Create a new migration between machine versions.

    The file exports upgradeState(oldPath, context) and upgradeContext(oldPaths, newPaths, context).
    """
    built = build_migration(code)
    with connected(options) as api:
        published = api.machine_version_migrations.create(
            machine, built, from_machine_version_id=from_, to_machine_version_id=to
        )
    show(as_json(published), options.format)


@app.command(name="list", help_epilogue=examples("statekeep migrations list --machine toggler"))
def list_migrations(*, machine: Machine, options: Globals = NOTHING) -> None:
    """List migrations of a machine, newest first."""
    columns = {
        "id": "Migration",
        "fromMachineVersionId": "From",
        "toMachineVersionId": "To",
        "createdAt": "Created",
    }
    with connected(options) as api:
        show_list(options, api.machine_version_migrations.list(machine).pages(), columns)


@app.command(
    name="dry-run",
    help_epilogue=examples(
        "statekeep migrations dry-run --machine toggler --to ver_...",
        "statekeep migrations dry-run -m toggler -f ver_... -t ver_... --node ./migration.ts",
        "statekeep migrations dry-run -m orders -t ver_... --index status --op eq --value open",
    ),
)
def dry_run(
    *,
    machine: Machine,
    to: TargetVersion,
    which: Selection = ALL,
    code: Code = NO_CODE,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Try migrations out on all existing instances, and change nothing.

    They are the published ones, or the one in a file. Ends with 1 where an instance would stay as it is, for use in scripts.
    """
    if code.is_given and which.from_ is None:
        raise Misused("a migration in a file needs --from")
    codes = [gzip.decompress(build_migration(code)).decode()] if code.is_given else []
    with connected(options) as api:
        run = api.machine_version_migrations.dry_run(
            machine, to_machine_version_id=to, codes=codes, **which.arguments()
        )
        report = _finished(api, machine, run)
    show(as_json(report), options.format)
    if report.failed:
        raise CommandFailed(f"{report.failed} of {report.done} instances would stay as they are")
    if report.state != "done":
        raise CommandFailed(f"the dry run stopped: {report.why}")


def _finished(api: Client, machine: str, run: DryRun) -> DryRun:
    """The whole report. Where nobody waits for it any more, nobody need go on."""
    with item_progress("Trying") as progress:
        try:
            while run.state == "running":
                progress(run.done, run.total, f"{run.failed} would fail")
                time.sleep(_POLL_SECONDS)
                run = api.machine_version_migrations.get_dry_run(machine, run.id)
        except KeyboardInterrupt:
            api.machine_version_migrations.end_dry_run(machine, run.id)
            raise
    return run


@app.command(
    name="stub",
    help_epilogue=examples(
        "statekeep migrations stub --machine toggler --from ver_... --to ver_... > migration.ts"
    ),
)
def write_stub(
    *,
    machine: Machine,
    from_: _From,
    to: TargetVersion,
    output: Annotated[
        Path | None, Parameter(metavar="FILE", help="File to write, which must not exist.")
    ] = None,
    overwrite: Overwrite = False,
    options: GlobalsWithoutT = NOTHING_T,
) -> None:
    """Write a migration to begin with, in TypeScript: it keeps the states that both versions have, and throws for the others."""
    if output is not None:
        require_free(output, overwrite=overwrite)
    with connected(options) as api:
        stub = api.machine_version_migrations.get_stub(
            machine, from_machine_version_id=from_, to_machine_version_id=to
        )
    if output is None:
        say(stub.rstrip("\n"))
        return
    try:
        output.write_text(stub, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"cannot write {output}: {error.strerror}") from error
