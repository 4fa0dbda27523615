"""`statekeep test`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statekeep.cli import main as cli

MACHINES = Path(__file__).parent / "machines"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """`run("door.js", ...)` -> (exit code, stdout, stderr), in a folder with the machines of the tests."""
    for file in MACHINES.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["test", *arguments])
        return code, *capsys.readouterr()

    return run


def test_what_throws_is_told_with_the_path_and_the_line(run):
    code, out, err = run("shop5.js", "--format", "table")
    assert code == 1
    assert err == "statekeep: failed: shop5.js\n"
    assert out.splitlines() == [
        "shop5.js: failed",
        "  354 situations, 8 paths; states 13/14   92%, transitions 14/16   87%",
        "  throws: torn",
        "    after start, add, checkout, charge done, pause, tear",
        "        at shop5.js:46:47",
        "  never active: never",
        "  never taken: paused --tear--> (stays)",
        "  never taken: done --always [guard]--> never",
    ]


def test_programs_get_json(run):
    code, out, _ = run("child.js", "shop4.js")
    assert code == 1
    child, shop = json.loads(out)
    assert child.pop("situations") > 2
    assert child == {
        "file": "child.js",
        "passed": True,
        "exhaustive": False,
        "refused": 0,
        "states": {"seen": 2, "all": 2, "missed": []},
        "transitions": {"seen": 2, "all": 2, "missed": []},
        "failures": [],
        "stderr": [],
        "deadEnds": [],
        "paths": [["start", "hello"], ["start", "after 1h"]],
    }
    assert shop["states"]["missed"] == ["never"]
    [failure] = shop["failures"]
    assert failure["path"][-1] == "tear"
    assert failure["error"] == "torn"
    assert "shop4.js" in failure["stack"]


def test_actions_that_throw_fail_and_what_they_print_does_not(run, tmp_path):
    head = (
        'import { createMachine } from "npm:xstate@5";'
        "export const allowRead = () => true, allowWrite = () => true;"
    )
    (tmp_path / "loud.js").write_text(
        head + "export default createMachine({on: {go: {actions: () => console.error('hm')}}});"
    )
    code, out, _ = run("loud.js", "--format", "table")
    assert code == 0
    assert "  writes to stderr: hm\n    after start, go\n" in out
    (tmp_path / "bad.js").write_text(
        head + "export default createMachine({on: {go: {actions: () => { throw Error('ow'); }}}});"
    )
    code, out, _ = run("bad.js", "--format", "table")
    assert code == 1
    assert "  throws, in an action: An action failed: ow\n" in out


def test_dead_ends_and_too_little_coverage_are_told(run, tmp_path):
    (tmp_path / "trap.js").write_text(
        'import { createMachine } from "npm:xstate@5";'
        "export const allowRead = () => true, allowWrite = () => true;"
        "export default createMachine({initial: 'a', states: {a: {on: {go: 'b'}}, b: {}, c: {}}});"
    )
    code, out, _ = run("trap.js", "--format", "table")
    assert code == 0
    assert "  dead end: 'b'\n  never active: c\n" in out
    code, out, _ = run("trap.js", "--coverage-min", "90", "--format", "table")
    assert code == 1
    assert "  66.6% are covered, less than 90%\n" in out


def test_events_and_callers_are_taken_from_the_command_line(run, tmp_path):
    (tmp_path / "events.json").write_text('["add", {"type": "add", "count": 2}]')
    ada = '{"sub": "ada"}'
    _, out, _ = run(
        "shop5.js", "--events", "events.json", "--auth-context", ada, "--without", "tear"
    )
    [shop] = json.loads(out)
    assert ["start", "add(count=2)", "add"] in shop["paths"]
    assert shop["failures"] == []
    code, out, _ = run("shop5.js", "-a", '{"sub": "bob"}', "--format", "table")
    assert code == 0
    assert "  allowWrite lets nobody create an instance\n" in out


def test_a_file_that_is_no_machine_fails_and_the_others_are_tested(run, tmp_path):
    (tmp_path / "broken.js").write_text("export default 1 +;")
    code, out, err = run("broken.js", "child.js", "--format", "table")
    assert code == 1
    assert out.startswith('broken.js: failed\n  broken.js:1:19: Unexpected ";"\n')
    assert "child.js: passed" in out
    assert err == "statekeep: failed: broken.js\n"
    assert json.loads(run("broken.js")[1])[0]["error"].startswith("broken.js:1:19")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[", "is not JSON"), ('{"type": "add"}', "is not a list of events"), (None, "cannot read")],
)
def test_events_that_cannot_be_read_are_refused(run, tmp_path, text, complaint):
    if text is not None:
        (tmp_path / "events.json").write_text(text)
    code, out, err = run("child.js", "--events", "events.json")
    assert (code, out) == (1, "")
    assert complaint in err
