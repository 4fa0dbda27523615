"""The command line: what it understands, and how it says that it does not."""

from __future__ import annotations

import re
from dataclasses import asdict, fields, replace
from importlib.metadata import version

import pytest

from statekeep.cli import main as cli
from statekeep.cli.commands.demo import DemoSettings
from statekeep.cli.output import CommandFailed
from statekeep.settings import Settings


@pytest.fixture
def run(capsys, monkeypatch):
    """`run("serve", "--help")` -> (exit code, stdout, stderr), on a wide screen."""
    monkeypatch.setenv("COLUMNS", "500")

    def run(*arguments: str) -> tuple[str | int | None, str, str]:
        code: str | int | None
        try:
            code = cli.run(arguments)
        except SystemExit as end:
            code = end.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_that_of_the_package(run, arguments):
    """Alone on stdout, as scripts want it."""
    assert run(*arguments) == (0, version("statekeep") + "\n", "")


def test_help_lists_the_commands(run):
    """And asking for it is no mistake."""
    for arguments in ([], ["--help"], ["-h"]):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        for command in ("serve", "demo", "backup", "version"):
            assert re.search(rf"\b{command}\b", out)


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_help_tells_every_option_with_its_variable(run, command):
    """Nothing that can be chosen is left out, and what is for tests only is not shown."""
    code, out, _ = run(command, "--help")
    assert code == 0
    for field in fields(Settings):
        name = field.name.replace("_", "-")
        is_shown = f"--{name}" in out and f"STATEKEEP_{field.name.upper()}" in out
        assert is_shown == (field.name != "crash_at"), field.name


def test_the_demo_takes_the_options_of_serve():
    """Every one, under the same name."""
    for arguments in (["--log-level", "debug"], ["--settle-timeout", "1s"], ["--host", "::1"]):
        _, of_serve, _ = cli.app.parse_args(["serve", *arguments], exit_on_error=False)
        _, of_demo, _ = cli.app.parse_args(["demo", *arguments], exit_on_error=False)
        demo, serve = of_demo.arguments["settings"], of_serve.arguments["settings"]
        served = replace(demo, port=serve.port, log_machine_output=serve.log_machine_output)
        assert served == DemoSettings(**asdict(serve))


def test_help_tells_defaults_as_they_are_typed(run):
    """90s, not 0:01:30."""
    _, out, _ = run("serve", "--help")
    for default in ("90s", "5s", "10s", "30s", "8080", "127.0.0.1", ".statekeep"):
        assert f"[default: {default}]" in out
    _, out, _ = run("demo", "--help")
    assert "8080, or the next that is free" in out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["sreve"], "serve"),
        (["serve", "--prot", "1"], "--port"),
        (["serve", "--settle-timout", "1s"], "--settle-timeout"),
        (["demo", "--data-dri", "x"], "--data-dir"),
        (["serve", "--log-level", "inof"], "info"),
        (["serve", "extra"], "extra"),
        (["serve", "--allow-http-jwks", "yes"], '"yes"'),
        (["serve", "--port"], "--port needs a value"),
        (["serve", "--port", "x"], "--port"),
    ],
)
def test_a_mistake_ends_with_2_and_a_hint(run, arguments, hint, monkeypatch):
    """On stderr, since stdout belongs to results, and in one line however narrow the terminal: it may hold a path to copy."""
    monkeypatch.setenv("COLUMNS", "20")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert hint in err
    assert re.fullmatch(r"statekeep: [^][]+\n", err)


@pytest.mark.usefixtures("_failing_command")
def test_a_failure_ends_with_1_and_a_reason(run):
    """One line, no traceback."""
    assert run("fail") == (1, "", "statekeep: the disk is full\n")


@pytest.fixture
def _failing_command():
    def fail() -> None:
        raise CommandFailed("the disk is full")

    cli.app.command(fail)
    yield
    del cli.app["fail"]


def test_colours_are_for_terminals(run, monkeypatch):
    """Piped output is plain, and so is a terminal's where NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (["serve", "--help"], ["sreve"], ["version"]):
        _, out, err = run(*arguments)
        assert "\x1b" not in out + err


def test_main_ends_with_what_the_command_said(monkeypatch):
    """The installed command takes its arguments from the process."""
    monkeypatch.setattr("sys.argv", ["statekeep", "version"])
    with pytest.raises(SystemExit) as raised:
        cli.main()
    assert raised.value.code == 0


def test_a_backup_takes_the_folder_from_wherever_the_server_does(monkeypatch, tmp_path):
    """The command line, the environment, or the file of settings, in that order."""
    config = tmp_path / "keep.toml"
    config.write_text('data_dir = "/from/file"\nport = 1\n')

    def folder_of(*arguments: str) -> str:
        _, bound, _ = cli.app.parse_args(["backup", "copy.db", *arguments], exit_on_error=False)
        return str(bound.arguments.get("data_dir"))

    assert folder_of("--config", str(config)) == "/from/file"
    monkeypatch.setenv("STATEKEEP_DATA_DIR", "/from/environment")
    assert folder_of("--config", str(config)) == "/from/environment"
    assert folder_of("--data-dir", "/typed") == "/typed"
