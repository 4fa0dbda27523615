"""Places at which tests kill the process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from statekeep import crash_points

PROGRAM = """
import sys
from statekeep import crash_points
if len(sys.argv) > 1:
    crash_points.arm(sys.argv[1], hits=int(sys.argv[2]))
for number in range(3):
    for point in sorted(crash_points.CRASH_POINTS):
        crash_points.reach(point)
    print(number, flush=True)
"""


def run(*arguments: str) -> tuple[int, list[str]]:
    """The status of the process and the lines it printed."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout.split()


def test_nothing_happens_unless_one_is_armed():
    """Every point can be passed any number of times."""
    assert run() == (0, ["0", "1", "2"])


@pytest.mark.parametrize("point", sorted(crash_points.CRASH_POINTS))
def test_the_process_is_killed_where_it_was_told(point):
    """At the hit that was asked for, and by a signal that it cannot catch."""
    assert run(point, "1") == (-signal.SIGKILL, [])
    assert run(point, "3") == (-signal.SIGKILL, ["0", "1"])


def test_a_name_that_is_none_is_refused():
    """Else a test would prove nothing and nobody would notice."""
    with pytest.raises(ValueError, match="before-commit"):
        crash_points.arm("before-comit")
