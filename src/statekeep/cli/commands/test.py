"""`statekeep test`: machine files tried out, without a server and without a test being written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from statekeep.cli.globals import Format
from statekeep.cli.options import JsonObject
from statekeep.cli.output import CommandFailed, complain, say, show
from statekeep.cli.progress import busy

if TYPE_CHECKING:
    from statekeep.testing.cases import ExploreOptions
    from statekeep.testing.smoke import SmokeTest

_Count = Annotated[int, Parameter(validator=Number(gte=1), metavar="COUNT")]


def test(
    file: Annotated[Path, Parameter(metavar="FILE")],
    /,
    *files: Annotated[Path, Parameter(metavar="FILE", show=False)],
    auth_context: Annotated[JsonObject | None, Parameter(alias="-a")] = None,
    events: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    without: Annotated[tuple[str, ...], Parameter(metavar="EVENT", negative="")] = (),
    context: JsonObject | None = None,
    outputs: JsonObject | None = None,
    ignore_context: bool = False,
    situations_max: _Count = 1_000,
    depth_max: _Count = 50,
    coverage_min: Annotated[
        float, Parameter(validator=Number(gte=0, lte=100), metavar="PERCENT")
    ] = 0,
    allow_network: bool = False,
    format: Format | None = None,
) -> int:
    """Try out machines: every event in every state they can be in, what time brings, and what children answer.

    Tells which transitions throw, which states and transitions nothing leads to, and where nothing leads on. Ends with 1 where something throws, and where less is covered
    than was demanded. Needs no server.

    Parameters
    ----------
    file
        Machine files, TypeScript or JavaScript, to be bundled with what they import.
    files
        More of them.
    auth_context
        Who sends the events, such as '{"sub": "user_1234"}'; allowWrite is asked then. Without it nobody is asked.
    events
        JSON file with a list of events, to have fields: [{"type": "deposit", "amount": 5}]. Those of the chart that are not in it are tried without fields.
    without
        Event not to be tried. May be given several times.
    context
        JSON object that instances are created with.
    outputs
        JSON object of lists, by the id of a child: what it may come to.
    ignore_context
        Take situations for the same that differ only in their context, as where it grows for ever.
    situations_max
        How many situations to go on from.
    depth_max
        How many events, timers and answers after each other.
    coverage_min
        Fail where less of the states or of the transitions is seen, in percent.
    allow_network
        Let the code reach the network. Actions and promises run.
    format
        How the result looks. Unless chosen, it is text on a terminal and JSON elsewhere.
    """
    options = _options(
        as_=auth_context,
        events=None if events is None else _read_events(events),
        without=without,
        context=context,
        outputs=outputs,
        ignore_context=ignore_context,
        situations_max=situations_max,
        depth_max=depth_max,
        allow_network=allow_network,
    )
    results = [_tried(each, options, coverage_min) for each in (file, *files)]
    if format == "table" or (format is None and sys.stdout.isatty()):
        say("\n".join(line for result in results for line in result.lines()))
    else:
        show([result.to_json() for result in results])
    failed = [str(result.file) for result in results if not result.has_passed]
    if failed:
        complain(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _tried(file: Path, options: ExploreOptions, coverage_min: float) -> SmokeTest:
    from statekeep.testing.smoke import smoke_test

    with busy(f"Testing {file}"):
        return smoke_test(file, options, coverage_min=coverage_min)


def _options(**given: Any) -> ExploreOptions:
    return {name: value for name, value in given.items() if value is not None}  # type: ignore[return-value]


def _read_events(file: Path) -> list[Any]:
    try:
        events = json.loads(file.read_text())
    except OSError as error:
        raise CommandFailed(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise CommandFailed(f"{file} is not JSON: {error}") from error
    if not isinstance(events, list) or not all(map(_is_event, events)):
        raise CommandFailed(
            f'{file} is not a list of events: ["toggle", {{"type": "deposit", "amount": 5}}]'
        )
    return events


def _is_event(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, dict) and isinstance(value.get("type"), str)
    )
