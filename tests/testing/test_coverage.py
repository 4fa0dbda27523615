"""Coverage: what runs of pytest with paths and plain tests say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

MACHINES = Path(__file__).parent / "machines"

PATHS = """
import statekeep.testing

@statekeep.testing.paths("shop.js", events=["add", {"type": "add", "count": 2}])
def test_path(path):
    assert path.steps[0].label == "start"
"""
ONE = """
def test_one(machine):
    shop = machine("shop.js").start(as_={"sub": "ada"})
    shop.send("add")
    shop.may_write({}, "checkout")
"""


@pytest.fixture
def project(pytester):
    """A project with a machine."""
    pytester.path.joinpath("shop.js").write_text((MACHINES / "shop5.js").read_text())
    return pytester


def test_each_path_is_a_case_and_the_one_that_throws_fails(project, run_pytest):
    project.makepyfile(PATHS)
    result = run_pytest("-v")
    result.assert_outcomes(passed=8, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*::test_path?add, checkout, charge failed? PASSED*",
            "*::test_path?add, checkout, charge done, pause, tear throws? FAILED*",
            "torn",
            "after start, add, checkout, charge done, pause, tear",
            "*at shop.js:46:*",
        ]
    )


def test_the_summary_tells_what_was_covered_and_what_was_not(project, run_pytest):
    project.makepyfile(PATHS)
    result = run_pytest()
    result.stdout.fnmatch_lines(
        [
            "*= coverage of machines =*",
            "machine * states * transitions",
            "shop.js * 13/14   92% * 14/16   87%",
            "  never active: never",
            "  never taken: paused --tear--> (stays)",
            "  never taken: done --always ?guard?--> never",
        ]
    )
    run_pytest("-q").stdout.no_fnmatch_line("*coverage of machines*")


def test_plain_tests_cover_what_they_do_and_not_what_they_ask(project, run_pytest):
    project.makepyfile(ONE)
    run_pytest().stdout.fnmatch_lines(["shop.js *  1/14    7%* 1/16    6%", "  ... and 18 more"])


def test_only_the_paths_that_ran_are_covered(project, run_pytest):
    project.makepyfile(PATHS)
    result = run_pytest("-k", "overflow and not add")
    result.assert_outcomes(passed=1, deselected=8)
    result.stdout.fnmatch_lines(["shop.js * 1/14    7%* 1/16    6%"])


def test_too_little_coverage_fails_the_run(project, run_pytest):
    project.makepyfile(ONE)
    assert run_pytest("--statekeep-coverage-min=5").ret == pytest.ExitCode.OK
    result = run_pytest("--statekeep-coverage-min=90")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["shop.js: 6.2% are covered, less than 90%"])
    project.makeini("[pytest]\nstatekeep_coverage_min = 90")
    assert run_pytest().ret == pytest.ExitCode.TESTS_FAILED
    assert run_pytest("--statekeep-coverage-min=0").ret == pytest.ExitCode.OK


def test_coverage_of_several_processes_is_put_together(project, run_pytest):
    pytest.importorskip("xdist")
    project.makepyfile(PATHS)
    result = run_pytest("-n2")
    result.stdout.fnmatch_lines(["shop.js * 13/14   92% * 14/16   87%"])


def test_paths_for_a_test_that_takes_none_are_refused(project, run_pytest):
    project.makepyfile(PATHS.replace("(path)", "()").replace("path.steps[0].label", '"start"'))
    run_pytest().stdout.fnmatch_lines(["*test_path asks for paths, and takes none*"])


def test_a_machine_that_cannot_be_built_is_an_error_of_collection(project, run_pytest):
    project.path.joinpath("shop.js").write_text("export default 1 +;")
    project.makepyfile(PATHS)
    result = run_pytest()
    result.stdout.fnmatch_lines(["shop.js:1:19: *"])
    assert result.ret == pytest.ExitCode.INTERRUPTED
