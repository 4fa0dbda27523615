"""`statekeep export` and `statekeep import`: machines with all their instances out of a server, and into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from statekeep.cli.globals import NOTHING, NOTHING_O, Globals, GlobalsWithoutO
from statekeep.cli.output_files import Overwrite

_STANDARD = Path("-")


def export(
    *,
    machine: Annotated[str | None, Parameter(alias="-m", metavar="MACHINE")] = None,
    output: Annotated[
        Path, Parameter(alias="-o", metavar="FILE", allow_leading_hyphen=True)
    ] = _STANDARD,
    journal: Literal["all", "newest"] = "all",
    overwrite: Overwrite = False,
    options: GlobalsWithoutO = NOTHING_O,
) -> None:
    """Write an organization, or one of its machines, as lines of JSON, as it is at this moment. The server goes on meanwhile.

    Keys, identity providers, logs and idempotency keys stay where they are.

    Parameters
    ----------
    machine
        Only this machine.
    output
        File to write, which must not exist, gzipped where its name ends in .gz; - is standard output.
    journal
        Whole histories, or only the newest entry of each, which is the state.
    """
    from statekeep.cli.transfers import export_to

    export_to(output, options, machine=machine, journal=journal, overwrite=overwrite)


def import_(
    file: Annotated[Path, Parameter(metavar="FILE", allow_leading_hyphen=True)],
    /,
    *,
    options: Globals = NOTHING,
) -> None:
    """Read what export has written into an organization: all of it at once, or nothing.

    The machines must not exist there. Timers that became due since the export fire at once.

    Parameters
    ----------
    file
        File to read, gunzipped where its name ends in .gz; - is standard input.
    """
    from statekeep.cli.transfers import import_from

    import_from(file, options)
