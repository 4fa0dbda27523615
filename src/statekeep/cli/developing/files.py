"""The files that were named, and the machines that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statekeep.cli.output import CommandFailed, Misused
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.names import MachineName, parse_machine_name


@dataclass(frozen=True, slots=True)
class MachineFile:
    """An entry file, and the machine that is named after it: `src/turnstile.ts` is "turnstile"."""

    path: Path
    machine: MachineName


def machine_files(paths: Sequence[Path]) -> tuple[MachineFile, ...]:
    """Raises CommandFailed where there is no such file, and Misused where a name is none for a machine or two files have the same."""
    files = tuple(map(_machine_file, paths))
    by_machine: dict[str, MachineFile] = {}
    for file in files:
        other = by_machine.setdefault(file.machine, file)
        if other is not file:
            raise Misused(
                f"{other.path} and {file.path} would both be machine {file.machine}: rename one of them"
            )
    return files


def _machine_file(path: Path) -> MachineFile:
    if not path.is_file():
        raise CommandFailed(f"there is no file {path}: statekeep init writes one to begin with")
    try:
        return MachineFile(path, parse_machine_name(path.stem))
    except InvalidParameter as error:
        raise Misused(
            f"{path} cannot give its name to a machine: {error}. Rename the file"
        ) from error
