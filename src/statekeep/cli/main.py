"""The commands `statekeep` and `smply`: one program under two names.

Exit codes: 0 done, 1 it did not work, 2 it was not understood, 130 Ctrl-C, 141 nobody reads the output any more.

Whoever types `--help` or makes a mistake should not have to wait: what belongs to a noun is imported when the noun is typed, and
the modules imported here import nothing large themselves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Final

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

import statekeep
from statekeep.cli.commands.account import billing, login, logout, usage, whoami
from statekeep.cli.commands.backup import backup
from statekeep.cli.commands.bench import bench
from statekeep.cli.commands.completion import completion
from statekeep.cli.commands.demo import demo
from statekeep.cli.commands.dev import dev
from statekeep.cli.commands.init import init
from statekeep.cli.commands.serve import serve
from statekeep.cli.commands.sign_in_link import sign_in_link
from statekeep.cli.commands.test import test
from statekeep.cli.commands.transfer import export, import_
from statekeep.cli.globals import GlobalOptions
from statekeep.cli.nouns import examples
from statekeep.cli.output import PROGRAM, CommandFailed, Misused, complain, say
from statekeep.settings import SOURCES

_MACHINES: Final = Group("Machines", sort_key=1)
_PEOPLE: Final = Group("Who may", sort_key=2)
_SERVER: Final = Group("The server", sort_key=3)
_PROGRAM: Final = Group("This program", sort_key=4)

_INTERRUPTED: Final = 128 + 2
_NOBODY_READS: Final = 128 + 13

_NOUNS: Final = {
    _MACHINES: {
        "machines": "Manage state machine definitions.",
        "machine-versions": "Manage machine definition versions.",
        "migrations": "Manage migrations between machine versions.",
        "upgrades": "Carry many instances over to another version.",
        "instances": "Manage state machine instances.",
        "indexes": "See what instances can be found by.",
        "logs": "Retrieve execution logs for transitions, actions, services, authorizers, and migrations.",
        "dead-letters": "Deliver or discard delayed events and messages that were given up.",
        "retention": "Choose how long machines keep what they have done and printed.",
    },
    _PEOPLE: {
        "profiles": "Manage who is signed in where.",
        "sessions": "See where you are signed in, and end it.",
        "orgs": "Manage organizations.",
        "members": "Manage members of an organization.",
        "invitations": "Manage organization invitations.",
        "keys": "Manage API keys.",
        "tokens": "Utilities to generate tokens.",
        "identity-providers": "Manage identity provider configurations for token exchange.",
        "token-providers": "Manage token provider configurations for token exchange.",
    },
}
"""What is in commands/<noun>.py."""

_COMMANDS: Final[dict[Group, dict[Callable[..., object], tuple[str, ...]]]] = {
    _MACHINES: {
        test: (
            "statekeep test ./toggler.ts",
            'statekeep test machines/*.ts --auth-context \'{"sub": "ada"}\' --coverage-min 90',
            "statekeep test ./checkout.ts --events events.json --format json > report.json",
        ),
        export: (
            "statekeep export --output acme.ndjson.gz",
            "statekeep export --machine checkout --journal newest | gzip > checkout.ndjson.gz",
        ),
        import_: (
            "statekeep import acme.ndjson.gz --api-url https://other.example",
            "statekeep export | statekeep import - --profile staging",
        ),
    },
    _PEOPLE: {
        login: (
            "statekeep login --api-url https://states.example.com",
            "statekeep login --api-url https://staging.example.com --profile staging",
            'echo "$TOKEN" | statekeep login --token -',
        ),
        logout: ("statekeep logout", "statekeep logout --profile staging"),
        whoami: ("statekeep whoami",),
        billing: ("statekeep billing",),
        usage: ("statekeep usage",),
    },
    _SERVER: {
        bench: (
            "statekeep bench",
            "statekeep bench --local",
            "statekeep bench --api-url https://states.example.com --phase many hot --duration 30 --connections 64",
            "statekeep bench --format json > before.json",
        ),
    },
    _PROGRAM: {
        init: ("statekeep init", "statekeep init my-machines"),
        completion: (
            "statekeep completion bash > ~/.local/share/bash-completion/completions/statekeep",
            "statekeep completion zsh > ~/.zsh/completions/_statekeep",
            "statekeep completion fish > ~/.config/fish/completions/statekeep.fish",
        ),
    },
}
_OF_THE_SERVER: Final[dict[Callable[..., object], tuple[str, ...]]] = {
    serve: (
        "statekeep serve",
        "statekeep serve --data-dir /var/lib/statekeep --public-url https://states.example.com",
        "statekeep serve --host 0.0.0.0 --port 80 --log-format json",
    ),
    demo: ("statekeep demo",),
    dev: ("statekeep dev toggle.ts", "statekeep dev src/cart.ts src/order.ts --port 9000"),
    backup: ("statekeep backup /backups/statekeep-2026-01-31.db --data-dir /var/lib/statekeep",),
    sign_in_link: (
        "statekeep sign-in-link --data-dir /var/lib/statekeep",
        "statekeep sign-in-link ada@example.com",
    ),
}
"""Commands with their examples."""

app = App(
    name=PROGRAM,
    help="Durable state machines, self-hosted: upload XState machines, send them events over HTTP.",
    help_epilogue=f"Type `{PROGRAM} COMMAND --help` for what a command takes, with examples.",
    help_format="plaintext",
    version=lambda: statekeep.__version__,
    version_flags=("--version", "--smply-version", "-V"),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    group_commands=_PROGRAM,
)
for _group, _commands in _COMMANDS.items():
    for _command, _lines in _commands.items():
        app.command(_command, group=_group, help_epilogue=examples(*_lines))
# Only commands of the server read all of STATEKEEP_*: a variable must not become the name of something to delete.
for _of_server, _lines in _OF_THE_SERVER.items():
    app.command(
        _of_server,
        group=_SERVER,
        config=SOURCES,
        help_epilogue=examples(*_lines),
    )
for _group, _nouns in _NOUNS.items():
    for _noun, _help in _nouns.items():
        _path = f"statekeep.cli.commands.{_noun.replace('-', '_')}:app"
        app.command(_path, name=_noun, help=_help, group=_group)
# The documentation of State Backed has both names.
app.command(
    "statekeep.cli.commands.instances:machine_instances", name="machine-instances", show=False
)


@app.command(help_epilogue=examples("statekeep version"))
def version() -> None:
    """Print the version."""
    say(statekeep.__version__)


@app.command(name="help", help_epilogue=examples("statekeep help machines create"))
def help_(*command: str) -> None:
    """Say what a command takes.

    Parameters
    ----------
    command
        Such as machines create.
    """
    app.help_print(command)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code."""
    try:
        code = app(_hoist(arguments), exit_on_error=False, print_error=False) or 0
        # What is still in the buffer may be what nobody reads.
        sys.stdout.flush()
    except CycloptsError as error:
        complain(explain(error))
        return 2
    except Misused as error:
        complain(str(error))
        return 2
    except CommandFailed as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return _NOBODY_READS
    return code


def explain(error: CycloptsError) -> str:
    """What was not understood, in words of those who typed it and not of Python."""
    command = " ".join([app.name[0], *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f'Nothing takes "{error.unused_tokens[0]}": {command} --help lists what there is.'
    if isinstance(error, MissingArgumentError) and error.keyword:
        return f"{error.keyword} needs a value."
    if unknown := _unknown_option(error):
        return f"Unknown option: {unknown}. {_meant(unknown, error.app) or f'{command} --help lists what there is.'}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name} is missing: {command} --help has an example."
    if isinstance(error, CoercionError) and error.token and error.target_type is bool:
        return f'{error.token.keyword}: expected true or false, not "{error.token.value}".'
    return str(error)


def _unknown_option(error: CycloptsError) -> str | None:
    """The option that nothing takes, which may be all that is wrong where one is missing."""
    if isinstance(error, UnknownOptionError):
        typed = [error.token.keyword or error.token.value]
    elif isinstance(error, MissingArgumentError):
        typed = error.unused_tokens or []
    else:
        return None
    return next((word.partition("=")[0] for word in typed if word.startswith("--")), None)


def _meant(option: str, command: App | None) -> str | None:
    # Among whole words only: a single letter is like many, and may mean something else. Dashes, which all have, make nothing alike.
    words = [name.removeprefix("--") for name in _options(command)] if command else []
    close = get_close_matches(option.removeprefix("--"), words, n=1)
    return f"Did you mean --{close[0]}?" if close else None


def _options(command: App) -> Iterator[str]:
    for argument in command.assemble_argument_collection():
        if argument.parse and argument.show:
            yield from (name for name in argument.names if name.startswith("--"))


def main() -> None:
    """Entry point of the installed commands."""
    sys.exit(run(sys.argv[1:]))


def _hoist(arguments: Sequence[str]) -> list[str]:
    """Global options may stand before the command; each command knows them, so they are moved behind its name.

    There -t, -u and -o may be something else, so they get their long names.
    """
    known = _global_names()
    hoisted: list[str] = []
    rest = list(arguments)
    while rest:
        name, is_joined, value = rest[0].partition("=")
        if name not in known or not (is_joined or rest[1:]):
            break
        hoisted += [known[name], value if is_joined else rest[1]]
        del rest[: 1 if is_joined else 2]
    if not hoisted:
        return rest
    commands, _, _ = app.parse_commands(rest)
    return [*rest[: len(commands)], *hoisted, *rest[len(commands) :]] if commands else rest


def _global_names() -> dict[str, str]:
    long = {f"--{field.name.replace('_', '-')}" for field in fields(GlobalOptions)}
    short = {"-t": "--access-token", "-u": "--api-url", "-o": "--org"}
    return {**{name: name for name in long}, **short}


def _forget_output() -> None:
    """Let the end of the process, which flushes, find somewhere to write to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
