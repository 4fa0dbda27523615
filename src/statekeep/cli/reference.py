"""docs/cli.md, from the commands themselves: `make reference` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from statekeep.cli.main import app

_GLOBAL: Final = re.compile(r"\*\*Global options\*\*:\n\n((?:\* .*\n)+)\n?")
_SECTION: Final = re.compile(r"^(?=## )", re.MULTILINE)
_OPTION: Final = re.compile(r"^\* `(--[\w-]+).*\n", re.MULTILINE)
_EMPTY_GROUP: Final = re.compile(r"^\*\*[^*]+\*\*:\n\n+(?=\*\*|\Z)", re.MULTILINE)
_ALL_SETTINGS: Final = "Every [setting](settings.md) is an option of it.\n"

_INTRODUCTION: Final = """\
# The command line

<!-- Written by `make reference`; a test fails where it is not current. -->

`statekeep` and `smply` are one program under two names. Commands, options and results are those of `smply`, the command line of State
Backed, so that what is written about that holds; what only this one has is marked by nothing but being here.

```console
$ statekeep login --api-url https://states.example.com
$ statekeep machines create --machine toggler --node ./toggler.ts
$ statekeep instances create --machine toggler --instance kitchen --auth-context '{"sub": "ada"}'
$ statekeep instances send-event --machine toggler --instance kitchen --auth-context '{"sub": "ada"}' --event toggle
```

On the machine of a server, in the folder where it was started, nobody needs to sign in.

## What goes where

Results go to stdout as JSON, everything else to stderr. On a terminal lists are tables, a page at a time; `--format json` and `--format
table` choose. A list is one JSON array, however many pages it came in. Four results are no JSON, since scripts know them as they are:
`tokens generate` prints the bare token, `orgs default get` the bare id, `logs ... --clean` text, and `keys create` a line of advice before
the JSON.

| Code | Meaning |
|---|---|
| 0 | Done |
| 1 | It did not work; stderr says why. Also where a question was not answered with yes |
| 2 | It was not understood: an option or value is wrong |
| 130 | Ctrl-C |
| 141 | Nobody reads the output any more, as where `head -1` has seen enough |

`NO_COLOR` turns colours off. Questions are asked on stderr and answered on stdin; `--yes` answers them.

## Which server, and who asks

What the command line says counts more than a variable, and that more than the profile:

{options}

They may stand before the command or after it. Where a command has an option of its own that begins with the same letter, that letter
means the global option only before the command: `smply -t TOKEN instances create -t END_USERS_TOKEN ...`.

**Profiles** keep who is signed in where: one is named `default`, `login --profile NAME` makes others, `profiles use NAME` chooses one. They
are files in `~/.smply` which only their owner may read: `credentials` and `default-org` as `smply` 0.1.18 has them, so that it works with
the default profile too, and `profiles/NAME/` for the others. A session is only sent to the server that gave it: with `--api-url` the
profile of that server is looked for.

**In CI** set `SMPLY_API_URL` and `SMPLY_TOKEN`, and `SMPLY_ORG` where the token is of somebody with several organizations.

## Unlike smply 0.1.18

- Messages and questions go to stderr, so that stdout is nothing but the result.
- A list of several pages is one JSON array, not one array after the other.
- A question that is not answered with yes ends with 1, and so does deleting a machine that has instances.
- `-t`, `-u` and `-o` after a command are that command's own options where it has them; `smply keys create -u ci` took `ci` for a URL.
- `keys create --scopes` takes all scopes of the server, by commas or blanks.
- `validate-bundle` and `--node` need no Node.js; `--deno` and `--file` (for `--js`) are there, as its documentation says.

## Completion

```console
$ statekeep completion bash > ~/.local/share/bash-completion/completions/statekeep
```

for bash with the package bash-completion, in its next session; create the folder if it is not there. fish reads `~/.config/fish/completions/statekeep.fish`. zsh reads `_statekeep` in a folder of `$fpath`:

```console
$ mkdir -p ~/.zsh/completions && statekeep completion zsh > ~/.zsh/completions/_statekeep
$ echo 'fpath=(~/.zsh/completions $fpath); autoload -U compinit && compinit' >> ~/.zshrc
```

In bash and zsh `source <(statekeep completion bash)` in `~/.bashrc` (`~/.zshrc`, behind `compinit`) does without a file, some tenths of a second with every session. `smply completion bash` is for the other name.
"""


def render() -> str:
    """The whole page."""
    rendered = app.generate_docs(heading_level=2, flatten_commands=True, usage_name="statekeep")
    # What comes first is the program and its contents, which the introduction tells better.
    _, *commands = _SECTION.split(rendered.partition("## Table of Contents")[2])
    # Some commands lack a letter of them.
    options = max(_GLOBAL.findall(rendered), key=len)
    head = _INTRODUCTION.replace("{options}", options.rstrip("\n"))
    serve = next(text for text in commands if text.startswith("## statekeep serve\n"))
    return "\n".join([head, *(_section(text, serve) for text in commands)])


def _section(text: str, serve: str) -> str:
    heading, _, rest = text.partition("\n")
    body = _without_settings(_GLOBAL.sub("", rest), _GLOBAL.sub("", serve)).strip("\n")
    return "\n".join([heading, "", body, *_examples(heading), ""])


def _without_settings(body: str, serve: str) -> str:
    """Of a command that takes all options of `serve`, those that are its own: the others stand on a page of theirs."""
    if not set(_OPTION.findall(serve)) <= set(_OPTION.findall(body)):
        return body
    settings = [match[0] for match in _OPTION.finditer(serve)]
    own = _OPTION.sub(lambda option: "" if option[0] in settings else option[0], body)
    return f"{_EMPTY_GROUP.sub('', own).rstrip()}\n\n{_ALL_SETTINGS}"


def _examples(heading: str) -> Iterator[str]:
    command = app
    for name in heading.removeprefix("## ").split()[1:]:
        command = command[name]
    epilogue = command.help_epilogue
    if not isinstance(epilogue, str) or not epilogue.startswith("Examples:"):
        return
    yield "\n```console"
    for line in epilogue.splitlines()[1:]:
        yield line.removeprefix("  ")
    yield "```"
