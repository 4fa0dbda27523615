"""Starts the load generator, and listens to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Final

import msgspec

from statekeep.cli.benchmarking.plan import Load, Plan, Progress, Report
from statekeep.cli.output import CommandFailed

_COMMAND: Final = (sys.executable, "-m", "statekeep.cli.benchmarking.generator")


def generate(plan: Plan, on_progress: Callable[[Progress], None]) -> Load:
    """Have a plan carried out by a process of its own. Ctrl-C ends it early: the Load says so.

    Raises CommandFailed where the process ends without one.
    """
    # A Ctrl-C is for us: the terminal sends it to the whole group of processes.
    with subprocess.Popen(
        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(msgspec.json.encode(plan) + b"\n")
                process.stdin.flush()
            return _listen(process.stdout, on_progress)
        except KeyboardInterrupt:
            process.stdin.close()
            return _listen(process.stdout, on_progress)
        finally:
            # It has told all it knows, or nobody listens any more.
            process.kill()


def _listen(output: IO[bytes], on_progress: Callable[[Progress], None]) -> Load:
    for line in output:
        report = msgspec.json.decode(line, type=Report)
        if isinstance(report, Load):
            return report
        on_progress(report)
    raise CommandFailed("the load generator has ended without a result; see above")
