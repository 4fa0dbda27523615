"""The pytest plugin, in runs of pytest as an author starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOOR = Path(__file__).parent / "machines" / "door.js"


def test_a_machine_is_found_beside_the_test_and_in_the_project(pytester, run_pytest):
    folder = pytester.mkpydir("tests")
    (folder / "near.js").write_text(DOOR.read_text())
    (pytester.path / "far.js").write_text(DOOR.read_text())
    (folder / "test_doors.py").write_text(
        "def test_near(machine): assert machine('near.js').start(as_={'sub': 'ada'}).state == 'closed'\n"
        "def test_far(machine): assert machine('far.js').start(as_={'sub': 'ada'}).state == 'closed'\n"
        "def test_nowhere(machine): machine('lost.js')\n"
    )
    result = run_pytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*FileNotFoundError: there is no machine file *lost.js, and no *"])


def test_a_failure_shows_the_test_and_the_way_of_the_instance_and_nothing_of_ours(
    pytester, run_pytest
):
    pytester.path.joinpath("door.js").write_text(DOOR.read_text())
    pytester.makepyfile(
        """
        def test_state(machine):
            door = machine("door.js").start(as_={"sub": "ada"})
            door.send("open")
            assert door.state == "closed"

        def test_refusal(machine):
            machine("door.js").start(as_={"sub": "ada"}).send("lock")
        """
    )
    result = run_pytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E       AssertionError: assert 'open' == 'closed'",
            "*--- instances ---*",
            "door door-1: 'open'",
            "  2026-01-01 00:00:00  open  -> 'open'",
            "door-1 stdout: opened 1 times",
            "*RejectedByMachineAuthorizer: the machine's allowWrite said no",
            "*{'type': 'lock'} to door door-1, in state 'closed', as {'sub': 'ada'}",
        ]
    )
    result.stdout.no_fnmatch_line("*statekeep/*")


def test_a_run_that_uses_no_machine_imports_next_to_nothing(pytester, run_pytest):
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            ours = {name for name in sys.modules if name.startswith("statekeep")}
            assert ours <= {"statekeep", "statekeep.testing", "statekeep.testing.plugin"}
            assert "msgspec" not in sys.modules
        """
    )
    run_pytest().assert_outcomes(passed=1)


def test_hosts_end_with_the_run(pytester, run_pytest):
    pytester.path.joinpath("door.js").write_text(DOOR.read_text())
    pytester.makepyfile(
        """
        import threading
        import pytest

        def test_door(machine):
            machine("door.js").start(as_={"sub": "ada"})
            assert "statekeep-testing" in {thread.name for thread in threading.enumerate()}
        """
    )
    pytester.makeconftest(
        """
        import threading
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_unconfigure():
            names = {thread.name for thread in threading.enumerate()}
            print("threads left:", names - {"MainThread"} or "none")
        """
    )
    result = run_pytest("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["threads left: none"])


def test_names_of_the_package_are_imported_when_they_are_used():
    script = (
        "import sys, statekeep.testing as t\n"
        "assert 'statekeep.testing.blocking' not in sys.modules\n"
        "[getattr(t, name) for name in t.__all__]\n"
        "assert 'statekeep.testing.blocking' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_module_hides_a_name_of_the_package():
    import pkgutil

    import statekeep.testing

    modules = {module.name for module in pkgutil.iter_modules(statekeep.testing.__path__)}
    assert not modules & set(statekeep.testing.__all__)
