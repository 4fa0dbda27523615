"""`statekeep bench`: how many events a second a server takes, and how soon it answers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from statekeep.cli.benchmarking.phases import Phase
from statekeep.cli.connection import find_target
from statekeep.cli.globals import NOTHING, GlobalOptions, Globals
from statekeep.cli.output import CommandFailed, complain, warn

if TYPE_CHECKING:
    from statekeep.cli.benchmarking.benchmark import Benchmark, Wanted

_CONNECTIONS_MAX: Final = 1_000
_INSTANCES_MAX: Final = 100_000
_SECONDS_MAX: Final = 3_600


def bench(
    *,
    local: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    phases: Annotated[
        tuple[Phase, ...], Parameter(name="--phase", alias="-p", negative="", consume_multiple=True)
    ] = tuple(Phase),
    duration: Annotated[
        float, Parameter(alias="-d", metavar="SECONDS", validator=Number(gt=0, lte=_SECONDS_MAX))
    ] = 5,
    connections: Annotated[
        int, Parameter(alias="-c", metavar="COUNT", validator=Number(gte=1, lte=_CONNECTIONS_MAX))
    ] = 32,
    instances: Annotated[
        int, Parameter(alias="-n", metavar="COUNT", validator=Number(gte=1, lte=_INSTANCES_MAX))
    ] = 1_000,
    options: Globals = NOTHING,
) -> int:
    """Measure how many events a second a server takes, and how soon it answers.

    Makes a machine of its own, named statekeep-bench-..., with a key of its own, loads its instances phase by phase, and deletes all of that in the end, also after Ctrl-C, which shows what was measured so far. Whoever runs it has to be allowed to make keys. The server has all that work to do, so think twice before measuring one that others need. Ends with 1 where requests failed or an event was lost.

    Parameters
    ----------
    local
        Measure a new server on this machine, which is there for nothing else and gone afterwards. What else says which server is not looked at.
    phases
        What to measure: single (events to one instance over one connection), many (to many instances), hot (to one instance over many connections), create (new instances). All of them unless named.
    duration
        How long each phase takes.
    connections
        How many connections send at once, each its next request once the last is answered.
    instances
        How many instances many sends to.
    """
    from statekeep.cli.benchmarking.benchmark import Wanted

    chosen = [phase for phase in Phase if phase in phases]
    wanted = Wanted(phases=chosen, connections=connections, instances=instances, seconds=duration)
    with _ended_as_by_ctrl_c(), ExitStack() as stack:
        benchmark = _begun(wanted, options, is_local=local, stack=stack)
        as_table = options.format == "table" or (options.format is None and sys.stdout.isatty())
        try:
            benchmark.run()
        finally:
            if benchmark.report.phases:
                benchmark.report.show(as_table=as_table)
    for doubt in benchmark.report.doubts():
        warn(doubt)
    problems = [*benchmark.report.problems()]
    for problem in problems:
        complain(problem)
    return 1 if problems else 0


def _begun(
    wanted: Wanted, options: GlobalOptions, *, is_local: bool, stack: ExitStack
) -> Benchmark:
    from statekeep.cli.benchmarking.benchmark import Benchmark, benchmark_of_own_server

    if is_local:
        return stack.enter_context(benchmark_of_own_server(wanted))
    try:
        target = find_target(options)
    except CommandFailed as error:
        raise CommandFailed(f"{error}; or measure a server of its own with --local") from error
    return Benchmark(target, wanted)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """What ends the process otherwise, such as a job that takes too long, lets it clear away, too."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
