"""`statekeep logs`: what machines print, and what throws in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import CycloptsError, Parameter

from statekeep.cli.api import as_json, connected
from statekeep.cli.globals import NOTHING_T, GlobalsWithoutT
from statekeep.cli.instants import parse_instant
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import OneInstance, OneMachine
from statekeep.cli.output import say, show
from statekeep.system import SystemClock

if TYPE_CHECKING:
    from statekeep.client.models import LogEntry

app = noun("logs")


@dataclass(frozen=True, kw_only=True)
class LogFilter:
    """Which entries."""

    from_: Annotated[
        str, Parameter(name=("--from", "-f"), metavar="TIME", allow_leading_hyphen=True)
    ]
    """Begin: ISO 8601, or relative to now, such as -1h."""

    to: Annotated[str | None, Parameter(alias="-t", metavar="TIME", allow_leading_hyphen=True)] = (
        None
    )
    """End: ISO 8601, or relative to --from, such as 1h."""

    machine: OneMachine = None
    instance: OneInstance = None
    version: Annotated[str | None, Parameter(alias="-v", metavar="VERSION")] = None
    """Of this machine version only."""

    def arguments(self) -> tuple[datetime, dict[str, Any]]:
        """What the client takes. Raises CycloptsError."""
        now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
        begin = _instant("--from", self.from_, now)
        end = None if self.to is None else _instant("--to", self.to, begin)
        if end is not None and end < begin:
            raise CycloptsError(msg="--to must be after --from.")
        return begin, {
            "to": end,
            "machine_name": self.machine,
            "instance_name": self.instance,
            "machine_version_id": self.version,
        }


def _instant(option: str, text: str, base: datetime) -> datetime:
    try:
        return parse_instant(text, base)
    except ValueError as error:
        example = "2026-11-24T17:00:00Z, 2026-11-24, -10m or 1h"
        raise CycloptsError(
            msg=f'{option}: expected a time such as {example}, not "{text}".'
        ) from error


Filter = Annotated[LogFilter, Parameter(name="*")]
Clean = Annotated[
    bool,
    Parameter(
        alias="-c", help="Only the lines that were printed, under a heading for each source."
    ),
]


@app.command(
    name="get",
    help_epilogue=examples(
        "statekeep logs get --from -10m",
        "statekeep logs get --from 2026-11-24T17:00:00Z --to 5m --machine toggler --clean",
    ),
)
def get_logs(*, which: Filter, clean: Clean = False, options: GlobalsWithoutT = NOTHING_T) -> None:
    """Retrieve one batch of logs: at most 100 entries, and where to go on."""
    begin, more = which.arguments()
    with connected(options) as api:
        page = api.logs.retrieve(begin, **more)
    if clean:
        _print_clean(page.logs)
    else:
        show(as_json(page), options.format)


@app.command(
    name="watch",
    help_epilogue=examples(
        "statekeep logs watch --from -10m",
        "statekeep logs watch --from -1m --machine toggler --instance kitchen --clean",
    ),
)
def watch_logs(
    *, which: Filter, clean: Clean = False, options: GlobalsWithoutT = NOTHING_T
) -> None:
    """Read all relevant logs and poll for new logs, until Ctrl-C or --to."""
    begin, more = which.arguments()
    with connected(options) as api:
        entries = api.logs.watch(begin, **more)
        if clean:
            _print_clean(entries)
            return
        for entry in entries:
            show(as_json(entry), options.format)


def _print_clean(entries: Iterable[LogEntry]) -> None:
    """As smply does it: a heading whenever the source is another one, and the text."""
    last = None
    for entry in entries:
        source = {
            "machineName": entry.machine_name,
            "instanceName": entry.instance_name,
            "machineVersionId": entry.machine_version_id,
            "orgId": entry.org_id,
        }
        heading = (source, entry.output_type)
        if heading != last:
            if last is not None:
                say()
            say(
                json.dumps({"msg": "logs for", **source}, separators=(",", ":"), ensure_ascii=False)
            )
            say(f"\n{entry.output_type}\n")
            last = heading
        say(entry.log)
