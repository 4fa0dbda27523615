"""The command line: what it understands, and how it says that it does not."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from pathlib import Path

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


def commands(app=cli.app, path=()):
    """The names of every command that does something, from the program on."""
    for name in app:
        if not name.startswith("-"):
            command = app[name]
            yield from commands(command, (*path, name))
            if command.default_command:
                yield (*path, name)


COMMANDS = [*commands()]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps(run, command):
    """What it does, every option, and what to type."""
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: statekeep {' '.join(command)}" in out
    undocumented = [
        line
        for line in out.splitlines()
        if re.match(r"│ (\*  |   )?--[a-z-]+( -\w)?( [A-Z.]+)? +│$", line)
    ]
    assert undocumented == []
    assert run("help", *command)[1] == out


def examples_of(command):
    """What stands in its help to be typed, without what a shell makes of it."""
    app = cli.app
    for name in command:
        app = app[name]
    epilogue = app.help_epilogue or ""
    for line in epilogue.replace("\\\n", "").splitlines()[1:]:
        typed = next(
            part
            for part in line.split("|")
            if f"statekeep {command[-1]}" in part or len(command) > 1
        )
        yield shlex.split(typed.partition("statekeep")[2].partition(" > ")[0])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_examples_that_are_understood(command):
    """Each of them of that very command."""
    examples = [*examples_of(command)]
    assert examples
    for typed in examples:
        name = [part.replace("machine-instances", "instances") for part in command]
        assert typed[: len(name)] == name
        cli.app.parse_args(typed, exit_on_error=False, print_error=False)


OF_SMPLY = {
    "": "login whoami billing",
    "machines": "list get create delete",
    "machine-versions": "create list validate-bundle",
    "migrations": "create",
    "instances": "list query get create send-event set-desired-version list-transitions set-status delete",
    "machine-instances": "list query get create send-event set-desired-version list-transitions set-status delete",
    "logs": "get watch",
    "orgs": "list create",
    "orgs default": "set get",
    "keys": "create list delete",
    "tokens": "generate",
    "invitations": "send accept",
    "identity-providers": "upsert upsert-auth0 upsert-cognito upsert-supabase list delete",
    "token-providers": "upsert list delete",
}


def test_every_command_of_smply_is_there():
    """Under its name (SPEC 11)."""
    wanted = {(*noun.split(), verb) for noun, verbs in OF_SMPLY.items() for verb in verbs.split()}
    assert wanted - set(COMMANDS) == set()


def bound(*arguments):
    """What a command gets of what was typed."""
    _, found, _ = cli.app.parse_args(cli._hoist(arguments), exit_on_error=False)
    return found.arguments


def test_global_options_may_stand_anywhere(monkeypatch):
    """Before the command, between its words and after it."""
    for arguments in (
        ["-u", "http://a", "machines", "list", "-o", "org_1"],
        ["--api-url=http://a", "--org", "org_1", "machines", "list"],
        ["machines", "list", "-o", "org_1", "-u", "http://a"],
    ):
        options = bound(*arguments)["options"]
        assert (options.api_url, options.org) == ("http://a", "org_1")
    monkeypatch.setenv("SMPLY_API_URL", "http://b")
    monkeypatch.setenv("STATEKEEP_ORG", "org_2")
    options = bound("machines", "list", "-u", "http://a")["options"]
    assert (options.api_url, options.org) == ("http://a", "org_2")


def test_a_letter_means_what_its_command_says():
    """After the command; before it, it is the global option."""
    create = ["-t", "mine", "instances", "create", "-m", "m", "-i", "i", "-t", "theirs"]
    found = bound(*create)
    assert (found["options"].access_token, found["token"]) == ("mine", "theirs")
    found = bound("-u", "http://a", "keys", "create", "-u", "ci", "-n", "name")
    assert (found["options"].api_url, found["use"]) == ("http://a", "ci")
    query = ["-o", "org_1", "instances", "query", "-m", "m", "-i", "x", "-o", "eq", "-v", "-1"]
    found = bound(*query)
    assert (found["options"].org, found["op"], found["value"]) == ("org_1", "eq", "-1")


def test_values_may_begin_with_a_dash():
    """Such as times, as State Backed documents them."""
    which = bound("logs", "get", "--from", "-10m", "--to", "-5m")["which"]
    assert (which.from_, which.to) == ("-10m", "-5m")
    assert bound("logs", "get", "-f", "-1h")["which"].from_ == "-1h"


def test_variables_of_the_server_name_nothing_to_delete(monkeypatch):
    """Only its own commands read all of them."""
    monkeypatch.setenv("STATEKEEP_MACHINE", "precious")
    monkeypatch.setenv("STATEKEEP_YES", "true")
    assert cli.run(["machines", "delete"]) == 2


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["machnes", "list"], "machines"),
        (["machines", "lst"], "list"),
        (["machines", "get", "--machin", "x"], "Unknown option: --machin. Did you mean --machine?"),
        (["machines", "get", "--machin=x"], "Unknown option: --machin. Did you mean --machine?"),
        (["dead-letters", "retry", "-m", "m", "--ltter", "x"], "Did you mean --letter?"),
        # It is like --org in nothing but its dashes.
        (["instances", "query", "--gte", "1"], "Unknown option: --gte. statekeep instances query"),
        (["dead-letters", "retry", "-m", "m", "--id", "x"], "dead-letters retry --help lists"),
        (["instances", "send-event", "-m", "m", "-i", "i", "-e", '{"type"'], "or JSON"),
        (["machines", "get"], "--machine is missing: statekeep machines get --help"),
        (["instances", "set-status", "-m", "m", "-i", "i", "-s", "runing"], "running"),
        (["instances", "create", "-m", "m", "-i", "i", "-a", "{"], "expected a JSON object"),
        (["instances", "create", "-m", "m", "-i", "i", "-a", "[]"], "expected a JSON object"),
        (["instances", "create", "-m", "m", "-i", "i"], "one of --token and --auth-context"),
        (["machine-versions", "create", "-m", "m", "-r", "1"], "exactly one of --js"),
        (["machines", "create", "-m", "m", "-d", '{"a": 1}'], "JSONPaths by the names"),
        (["logs", "get", "--from", "yesterday"], "expected a time such as"),
        (["logs", "get", "--from", "-1h", "--to", "-1m"], "--to must be after --from"),
        (["completion", "csh"], "csh"),
    ],
)
def test_a_mistake_in_a_command_ends_with_2_and_a_hint(run, arguments, hint):
    """In one line on stderr, before anything is asked of a server."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert hint in err
    assert err.count("\n") == 1


def test_a_command_that_is_interrupted_ends_with_130(run, monkeypatch):
    """Without a word: whoever pressed Ctrl-C knows."""

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    cli.app.command(interrupted)
    try:
        assert run("interrupted") == (130, "", "")
    finally:
        del cli.app["interrupted"]


@pytest.mark.parametrize("name", ["statekeep", "smply"])
def test_the_program_goes_by_the_name_that_was_typed(name):
    """In what it says of itself."""
    program = Path(sys.executable).with_name(name)
    result = subprocess.run([program, "machines", "lst"], capture_output=True, text=True)
    assert result.stderr.startswith(f'{name}: Unknown command "lst".')
    result = subprocess.run([program, "machines", "list", "-h"], capture_output=True, text=True)
    assert result.stdout.startswith(f"Usage: {name} machines list")


def test_nobody_need_read_all_of_the_output():
    """As with `| head -1`: no traceback, and the exit code that other programs have."""
    program = f"{sys.executable} -m statekeep"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} completion bash | true; echo $?"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("141\n", "")


@pytest.mark.parametrize("command", ["--help", "machines list --help"])
def test_asking_for_help_imports_nothing_large(command):
    """So that it comes at once: no HTTP client, no codec, no event loop, no server."""
    script = (
        f"import sys; from statekeep.cli import main; main.run({command.split()});"
        "large = {'httpx', 'msgspec', 'asyncio', 'apsw', 'statekeep.bootstrap', 'rich.markdown'};"
        "print(sorted(large & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(run, shell):
    """With commands and options."""
    code, out, err = run("completion", shell)
    assert (code, err) == (0, "")
    for word in ("machine-versions", "send-event", "auth-context"):
        assert word in out


_COMPLETED = pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["mach"], {"machines", "machine-versions"}),
        (["machines", "g"], {"get"}),
        (["orgs", "default", ""], {"get", "set"}),
        (["instances", "set-status", "--st"], {"--status"}),
        (["instances", "set-status", "--status", "p"], {"paused"}),
    ],
)


@_COMPLETED
def test_bash_completes(run, tmp_path, words, completed):
    """What was typed so far."""
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash")[1])
    typed = " ".join(f"'{word}'" for word in ["statekeep", *words])
    asked = f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _statekeep; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    result = subprocess.run(
        ["bash", "-c", f"source {script}; {asked}"], capture_output=True, text=True, check=True
    )
    assert completed <= {word.strip() for word in result.stdout.splitlines()}


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
@_COMPLETED
def test_fish_completes(run, tmp_path, words, completed):
    """What was typed so far."""
    script = tmp_path / "statekeep.fish"
    script.write_text(run("completion", "fish")[1])
    asked = f"source {script}; complete -C '{' '.join(['statekeep', *words])}'"
    result = subprocess.run(
        ["fish", "--no-config", "-c", asked], capture_output=True, text=True, check=True
    )
    assert completed <= {line.split("\t")[0] for line in result.stdout.splitlines()}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
@pytest.mark.parametrize(
    "read",
    ["fpath=($PWD $fpath); compinit -u -D", "compinit -u -D; source ./_statekeep"],
    ids=["found in a folder of $fpath", "sourced"],
)
def test_zsh_completes(run, tmp_path, read):
    """The first time that it is asked. It completes on terminals only, so what our script tells it is printed instead."""
    (tmp_path / "_statekeep").write_text(run("completion", "zsh")[1])
    instead = '_arguments() { state=cmds }; _describe() { print -l "${(P@)4}" }'
    result = subprocess.run(
        ["zsh", "-f", "-c", f"autoload -U compinit; {read}; {instead}; $_comps[statekeep]"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "machines" in {line.split(":")[0] for line in result.stdout.splitlines()}


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
